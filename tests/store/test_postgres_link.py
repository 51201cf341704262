"""What a connection is when it is used, and what becomes of one that was lost."""

from __future__ import annotations

import asyncio

import pytest
from contract.stores.samples import fill, save
from store.asking import end_sessions
from store.databases import Opened

from contraflow.domain.commands import FireTimer
from contraflow.domain.decision import Receipt
from contraflow.domain.instruction import Fence
from contraflow.errors import BatchRefused, StoreUnwritable
from contraflow.store import postgres_statements as sql
from contraflow.store.postgres import PostgresStore, given_up
from contraflow.store.postgres_trouble import ConnectionLost, Taken, TooSlow, TryAgain

PREPARED = "SELECT statement FROM pg_prepared_statements"


async def prepared_in(store: PostgresStore) -> set[str]:
    """What the connection that is used next knows already."""
    async with store.link.connection() as connection:
        return {row[0] for row in await connection.fetch(PREPARED)}


async def test_nothing_is_prepared_while_a_batch_holds_locks(opened: Opened) -> None:
    """A process that is stopped in between would keep them: no time-out of the server counts."""
    store = await opened.store(lambda: 1_000)
    before = await prepared_in(store)
    await fill(store)
    await store.due("rail", 1)
    async with store.link.connection() as connection:
        rows = await connection.fetch(PREPARED)
    by_the_way = {
        sql.IS_RESTORED, sql.HAS_NEWS, sql.IS_MY_TURN, sql.SINK, sql.LEASE_SINK, sql.UNDELIVERED,
        sql.ENTRIES, sql.ADVANCE, sql.SUSPECT, PREPARED,
    }  # fmt: skip

    assert len(before) > 25
    assert {row[0] for row in rows} - before - by_the_way == set()


async def test_who_is_called_off_on_a_lost_connection_is_called_off(opened: Opened) -> None:
    store = await opened.store()

    async def lose(trouble: BaseException) -> None:
        async with store.link.connection():
            await end_sessions(opened.database)
            await asyncio.sleep(0.2)
            raise trouble

    for trouble in (asyncio.CancelledError(), ConnectionLost()):
        with pytest.raises(type(trouble)):
            await lose(trouble)
    await save(store, receipts=[Receipt("acme/k", bytes(32), b"")])


# What cannot be committed whole.


@pytest.mark.parametrize(
    ("trouble", "alone", "among_others"),
    [
        (Taken, AssertionError, BatchRefused),
        (TooSlow, StoreUnwritable, BatchRefused),
        (TryAgain, StoreUnwritable, StoreUnwritable),
    ],
)
def test_who_is_always_in_the_way_is_parted_from_the_others(
    trouble: type[TryAgain], alone: type[Exception], among_others: type[Exception]
) -> None:
    one = FireTimer(fence=Fence("a", 1, 1))

    assert type(given_up(trouble("why"), [one])) is alone
    assert type(given_up(trouble("why"), [one, one])) is among_others


async def test_a_row_that_is_there_though_it_was_not_found_divides_the_batch(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Taken, "times_max", 3)
    store = await opened.store()
    receipt = Receipt("acme/k", bytes(32), b"")
    await save(store, receipts=[receipt])
    commands = [FireTimer(fence=Fence(name, 1, 1)) for name in "ab"]
    with pytest.raises(BatchRefused):
        await save(store, *commands, receipts=[receipt])


# Markers of commits.


async def test_old_markers_go_a_few_at_a_time_and_in_nobodys_way(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contraflow.store.postgres.FORGET_EVERY", 2)
    store, other = await opened.store(), await opened.connection()
    await opened.database.execute(
        "INSERT INTO commit_marker SELECT gen_random_uuid(), false, now() - interval '8 days' "
        "FROM generate_series(1, 3000)"
    )
    await other.execute("BEGIN")
    await other.execute(
        "DELETE FROM commit_marker WHERE batch_id IN "
        "(SELECT batch_id FROM commit_marker ORDER BY written_at LIMIT 10)"
    )
    for n in range(4):
        await save(store, receipts=[Receipt(f"acme/k{n}", bytes(32), b"")])
    await other.execute("ROLLBACK")

    assert await opened.database.value("SELECT count(*) FROM commit_marker") == 4 + 10
