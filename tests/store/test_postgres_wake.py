"""What one process commits rings in the others soon, and late where the bell is broken."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import NoReturn

import pytest
from contract.stores.samples import PAYMENT, refund, save
from store.asking import end_sessions, holding, until, until_waiting
from store.databases import Opened

from contraflow.domain.decision import Receipt
from contraflow.store import Loaded, postgres_wake
from contraflow.store.postgres import PostgresStore
from contraflow.store.postgres_wake import CHANNEL, PAUSE_S, Wake

SOON_S = 0.1


@dataclass(slots=True)
class Bell:
    times: list[float] = field(default_factory=list)

    def ring(self) -> None:
        self.times.append(time.monotonic())


async def with_bell(opened: Opened) -> tuple[PostgresStore, Bell]:
    store, bell = await opened.store(), Bell()
    store.on_wake(bell.ring)
    await until(lambda: len(bell.times) == 1)  # Once at the start: much may have happened.
    return store, bell


async def commit(store: PostgresStore, number: int = 1) -> None:
    await save(store, receipts=[Receipt(f"acme/k{number}", bytes(32), b"")])


async def test_a_commit_rings_in_the_other_process_at_once(opened: Opened) -> None:
    one, mine = await with_bell(opened)
    _, theirs = await with_bell(opened)
    took = []
    for number in range(5):
        heard = len(theirs.times)
        await commit(one, number)
        committed_at = time.monotonic()
        await until(lambda: len(theirs.times) > heard)  # noqa: B023 it is awaited here
        took.append(theirs.times[-1] - committed_at)

    assert min(took) < SOON_S
    assert len(mine.times) == 1  # It knows.


async def test_a_batch_that_changes_nothing_is_not_told(opened: Opened) -> None:
    one, _ = await with_bell(opened)
    _, theirs = await with_bell(opened)
    await save(one)
    await one.suspect(["x"], is_proven=True)
    await asyncio.sleep(SOON_S)

    assert len(theirs.times) == 1


async def test_a_plan_that_fails_is_not_told(opened: Opened) -> None:
    one, _ = await with_bell(opened)
    _, theirs = await with_bell(opened)

    def fail(_: Loaded) -> NoReturn:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await one.commit([], fail)
    await asyncio.sleep(SOON_S)

    assert len(theirs.times) == 1


@pytest.mark.slow
async def test_a_busy_process_rings_so_often_and_no_more(opened: Opened) -> None:
    heard: list[float] = []
    stranger = await opened.connection()
    one, _ = await with_bell(opened)
    await stranger.add_listener(CHANNEL, lambda *_: heard.append(time.monotonic()))
    begun = time.monotonic()
    number = 0
    while time.monotonic() < begun + 0.4:
        number += 1
        await commit(one, number)
        one.wake.call()
    await asyncio.sleep(SOON_S)
    took = time.monotonic() - begun
    await stranger.remove_listener(CHANNEL, lambda *_: None)

    assert 3 < len(heard) <= took / PAUSE_S + 1
    assert heard[-1] - begun >= 0.4 - SOON_S  # The last commit, too.


async def test_nothing_is_told_inside_of_a_transaction(opened: Opened) -> None:
    """NOTIFY in the money's transaction would make all commits stand in one queue."""
    store = await opened.store()
    async with store.link.connection() as connection:
        await connection.execute("BEGIN")
        await connection.execute(f"LISTEN {CHANNEL}")
        await connection.execute("ROLLBACK")
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 0 AND objid = 0"
    await commit(store)

    assert await opened.database.value(locks) == 0


@pytest.mark.slow
async def test_a_bell_that_breaks_is_hung_again_and_rings(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself then: what was told in between is not known."""
    monkeypatch.setattr(postgres_wake, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(postgres_wake, "RECONNECT_S", 0.05)
    one, _ = await with_bell(opened)
    two, theirs = await with_bell(opened)
    assert await end_sessions(opened.database) >= 4
    await commit(one)
    await until(lambda: len(theirs.times) >= 2)
    rung = len(theirs.times)
    await asyncio.sleep(SOON_S)
    await commit(one, 2)
    await until(lambda: len(theirs.times) > rung)

    assert set((await two.contents()).receipts) == {"acme/k1", "acme/k2"}


def test_the_last_word_of_a_connection_that_is_gone_is_heard() -> None:
    """asyncpg may say it when the connection does not know any more who it was."""
    rung: list[bool] = []
    heard = Wake("", {}, lambda: rung.append(True)).listener(5)
    heard(None, 5, "contraflow", "")
    assert rung == []
    heard(None, 6, "contraflow", "")
    assert rung == [True]


async def test_without_any_bell_commits_go_on(opened: Opened) -> None:
    one = await opened.store()
    await one.wake.close()
    await commit(one)

    assert one.poll_ms == 1_000
    assert set((await one.contents()).receipts) == {"acme/k1"}


async def test_a_store_that_is_closed_leaves_no_connection(opened: Opened) -> None:
    ours = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'contraflow' "
        "AND datname = current_database()"
    )

    async def are_gone() -> bool:
        return bool(await opened.database.value(ours) <= before)

    before = await opened.database.value(ours)  # Of a store that other tests share.
    for number in range(3):
        store, _ = await with_bell(opened)
        views = await opened.views()
        await commit(store, number)
        assert not await are_gone()
        await views.close()
        await store.close()
        opened.stores.clear()
    await until(are_gone)

    assert await opened.database.value(ours) <= before


@pytest.mark.slow
async def test_a_store_may_be_closed_while_a_batch_is_under_way(opened: Opened) -> None:
    """Whoever asked is told that nothing was stored, or is called off with the process."""
    store, other = await opened.store(), await opened.connection()
    await save(store, payments=[PAYMENT])
    async with holding(other, "SELECT * FROM payment FOR UPDATE"):
        asked = asyncio.ensure_future(save(store, refund()))
        await until_waiting(opened.database, 1)
        asked.cancel()
        async with asyncio.timeout(2):
            await store.close()
    opened.stores.remove(store)

    with pytest.raises(asyncio.CancelledError):
        await asked
