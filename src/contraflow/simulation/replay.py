"""Play a file of commands on the file's own clock, and come to the same end however often.

The clock only goes on when everything that is due has happened. The answer to a row is kept in
the commit that decides it, so a replay that was killed goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from contraflow.banking import memory_bank
from contraflow.domain.commands import ClientCommand
from contraflow.engine.commit import line_answer
from contraflow.engine.intake import submit
from contraflow.engine.loops import start
from contraflow.engine.parts import Parts
from contraflow.outside.virtual_time import VirtualTime, result_of
from contraflow.settings import ChannelSettings, Settings
from contraflow.simulation.replay_rows import (
    Row,
    command_of,
    digest_of,
    read_rows,
    refusal_of,
)
from contraflow.simulation.replay_shares import WHOLE, Share, rows_of
from contraflow.simulation.replay_totals import totals_of
from contraflow.simulation.standing_store import standing
from contraflow.store import Contents
from contraflow.store.places import is_server, open_store
from contraflow.store.postgres_opening import open_store as open_server
from contraflow.wiring import Embedded, embed, latest_of, lines_of

UNDO_WINDOW_S = 1_800
ROUNDS_MAX = 100_000  # Until all is at rest after the last row.


class Task(Struct, frozen=True):
    """What is to be played, and where to."""

    path: Path
    settings: Settings
    source: str  # Under which the answers are kept: the digest of the file, and a cursor.
    share: Share = WHOLE

    @property
    def channel(self) -> str:
        """Each share has its own, so that no process works on what another's clock rules."""
        [name] = self.settings.channels
        return name


@dataclass(slots=True)
class Replay:
    runtime: VirtualTime
    embedded: Embedded
    task: Task
    answered: dict[int, str]
    refunds: dict[str, str] = field(default_factory=dict)  # The payment of a request, by its key.

    @property
    def parts(self) -> Parts:
        return self.embedded.parts


def task_of(path: Path, database: str, tenant: str, *, fresh_cursor: bool = False) -> Task:
    """To go on with the latest cursor of this file, or to begin one that nobody has used."""
    digest, number = digest_of(path), 0
    channel = f"replay_{digest[:8]}" if is_server(database) else "sandbox"
    settings = Settings(
        database=database,
        tenant=tenant,
        sinks={},
        undo_window_s=UNDO_WINDOW_S,
        channels={channel: ChannelSettings(plugin="sandbox")},
    )
    with asyncio.Runner() as runner:
        runner.run(latest_of(settings, 0))  # A new database gets its tables.
        source = digest
        while fresh_cursor and runner.run(lines_of(settings, source)):
            number += 1
            source = f"{digest}#{number}"
    return Task(path, settings, source)


def play_all(task: Task, on_row: Callable[[int], None]) -> dict[str, object]:
    """The totals of the end state, in the form of `expected_totals.json`."""
    rows = read_rows(task.path)
    answered, contents = play_share(task, on_row)
    return totals_of(rows, answered, contents)


def play_share(task: Task, on_row: Callable[[int], None]) -> tuple[dict[int, str], Contents]:
    rows = rows_of(read_rows(task.path), task.share)
    settings = task.settings
    with asyncio.Runner() as runner:
        first_at = rows[0].at if rows else 0
        runtime = VirtualTime(time=runner.run(latest_of(settings, first_at)))
        answered = dict(runner.run(lines_of(settings, task.source)))
        embedded = open_engine(settings, runtime, runner)
        replay = Replay(runtime, embedded, task, answered)
        try:
            start(replay.parts)
            embedded.wake_bank()
            for group in groups_of(rows):
                play(replay, group)
                on_row(len(group))
            come_to_rest(replay)
            contents = result_of(replay.parts.store.contents())
        finally:
            runtime.drop()
            result_of(embedded.close())
    return replay.answered, contents


def open_engine(settings: Settings, runtime: VirtualTime, runner: asyncio.Runner) -> Embedded:
    """On a server the bank is in memory: what it has forgotten after a kill is sent again."""
    if is_server(settings.database):
        store = standing(runner.run(open_server(settings.database, clock=runtime.now)), runner)
        return embed(settings, runtime, store, memory_bank())
    return embed(settings, runtime, runner.run(open_store(settings.database, runtime.now)))


def groups_of(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows of one moment that have nothing to do with each other share a commit."""
    group: list[Row] = []
    names: set[str] = set()
    payments: dict[str, str] = {}
    for row in rows:
        if row.kind == "refund":
            payments.setdefault(row.key, row.target)
        own = {f"key {row.key}", f"payment {row.target}", f"key {row.target}"}
        own.add(f"payment {payments.get(row.target, row.target)}")
        if group and (row.at != group[0].at or names & own):
            yield group
            group, names = [], set()
        group.append(row)
        names |= own
    if group:
        yield group


def play(replay: Replay, group: list[Row]) -> None:
    """First everything that is due by then; then the rows, and what follows from them at once."""
    replay.runtime.run_to(group[0].at)
    for row in group:
        if row.kind == "refund" and refusal_of(row) is None:
            replay.refunds.setdefault(row.key, row.target)
        if row.number in replay.answered:
            continue
        refused = refusal_of(row)
        if refused is not None:
            replay.answered[row.number] = refused
            continue
        refunded = replay.refunds.get(row.target, "")
        task = replay.task
        command = command_of(row, task.source, task.settings.tenant, refunded, task.channel)
        replay.runtime.spawn(answer(replay, row.number, command))
    replay.runtime.run_to(group[0].at)


async def answer(replay: Replay, number: int, command: ClientCommand) -> None:
    told = await submit(replay.parts.intake, command)
    replay.answered[number] = line_answer(told)


def come_to_rest(replay: Replay) -> None:
    for _ in range(ROUNDS_MAX):
        due_at = result_of(replay.parts.store.next_due(replay.parts.channels))
        if due_at is None:
            return
        replay.runtime.run_to(max(due_at, replay.runtime.time + 1))
    raise AssertionError("the replay does not come to rest")
