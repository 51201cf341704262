"""Several processes, each with a share of the file and a clock of its own, on one server."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable

from msgspec.structs import replace

from contraflow.errors import SettingInvalid
from contraflow.settings import ChannelSettings
from contraflow.simulation.replay import Task, play_all, play_share
from contraflow.simulation.replay_rows import read_rows, refusal_of
from contraflow.simulation.replay_shares import Share, rows_of
from contraflow.simulation.replay_totals import totals_of
from contraflow.store import Contents
from contraflow.store.places import is_server, open_views
from contraflow.wiring import lines_of


def play_at_once(task: Task, jobs: int, on_row: Callable[[int], None]) -> dict[str, object]:
    """The totals, as of one process. Begun with so many, it must go on with so many."""
    if jobs == 1:
        return play_all(task, on_row)
    if not is_server(task.settings.database):
        raise SettingInvalid("jobs: a database file is worked on by one process")
    rows = read_rows(task.path)
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for count in pool.imap_unordered(_play, [share_of(task, n, jobs) for n in range(jobs)]):
            on_row(count)
    answered: dict[int, str] = {
        row.number: code for row in rows if (code := refusal_of(row)) is not None
    }
    answered |= asyncio.run(_kept(task))
    return totals_of(rows, answered, asyncio.run(_contents(task.settings.database)))


def share_of(task: Task, number: int, count: int) -> Task:
    name = f"{task.channel}_{number}of{count}"
    channels = {name: ChannelSettings(plugin="sandbox")}
    return replace(
        task, settings=replace(task.settings, channels=channels), share=Share(number, count)
    )


def _play(task: Task) -> int:
    play_share(task, lambda _: None)
    return len(rows_of(read_rows(task.path), task.share))


async def _kept(task: Task) -> dict[int, str]:
    return dict(await lines_of(task.settings, task.source))


async def _contents(database: str) -> Contents:
    views = await open_views(database)
    try:
        return await views.contents()
    finally:
        await views.close()
