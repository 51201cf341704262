"""Every sink is told everything once it can be seen: nothing skipped, nothing twice, in order."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import asyncpg
import pytest
from contract.stores.samples import Clock, save
from store.asking import holding
from store.databases import Database, Opened

from contraflow.ledger.journal import Entry
from contraflow.store import Record
from contraflow.store import postgres_statements as sql
from contraflow.store.postgres import SINK_LEASE_MS, PostgresStore

OBJECTS = 20
NEXT_ID = "SELECT nextval('event_block') << 16"
INSERT = "INSERT INTO event (event_id, object_id, sequence, body) VALUES ($1, $2, $3, '')"


@dataclass(slots=True)
class Delivered:
    """What one sink has been told so far."""

    store: PostgresStore
    sink: str = "sink"
    all: list[tuple[int, Record]] = field(default_factory=list)

    async def step(self, count_max: int = 1_000) -> list[str]:
        """The objects of what is new."""
        part = await self.store.undelivered(self.sink, count_max)
        if part:
            await self.store.advance(self.sink, part[-1][0])
        self.all += part
        return [record.object_id for _, record in part]

    def check(self, count: int) -> None:
        assert [position for position, _ in self.all] == list(range(1, count + 1))
        latest: Counter[str] = Counter()
        for _, record in self.all:
            assert record.sequence == latest[record.object_id] + 1, record
            latest[record.object_id] += 1


async def note(store: PostgresStore, object_id: str, sequence: int = 1) -> None:
    await save(store, records=[Record(object_id, sequence, b"")])


async def begin(connection: asyncpg.Connection) -> int:
    """A transaction with an id, which may be smaller than those of all that follow."""
    await connection.execute("BEGIN")
    xid: int = await connection.fetchval("SELECT pg_current_xact_id()::text::bigint")
    return xid


@pytest.mark.parametrize("event_id", [1, 2**62], ids=["smaller id", "larger id"])
@pytest.mark.parametrize("is_first", [True, False], ids=["smaller xid", "larger xid"])
async def test_what_is_committed_late_is_told_late_and_delays_nobody(
    opened: Opened, event_id: int, *, is_first: bool
) -> None:
    store, late = await opened.store(), await opened.connection()
    told = Delivered(store)
    if is_first:
        await begin(late)
    await note(store, "a")
    if not is_first:
        await begin(late)
    await late.execute(INSERT, event_id, "late", 1)
    assert await told.step() == ["a"]
    await note(store, "b")
    assert await told.step() == ["b"]
    await note(store, "c")
    await late.execute("COMMIT")
    rest = await told.step()
    await note(store, "d")

    assert sorted(rest) == ["c", "late"]
    assert await told.step() == ["d"]
    assert await told.step() == []
    told.check(5)


async def test_many_late_ones_are_all_told(opened: Opened) -> None:
    """In whatever order they come to their end, and some never do."""
    store = await opened.store()
    told, chance = Delivered(store), random.Random(3)
    late = [await opened.connection() for _ in range(8)]
    expected = 0
    for turn in range(6):
        for number, connection in enumerate(late):
            if connection.is_in_transaction():
                if chance.random() < 0.5:
                    is_kept = chance.random() < 0.7
                    await connection.execute("COMMIT" if is_kept else "ROLLBACK")
                    expected += is_kept
            else:
                await begin(connection)
                event_id = chance.randrange(2**62)
                await connection.execute(INSERT, event_id, f"late_{turn}_{number}", 1)
        await note(store, f"own_{turn}")
        expected += 1
        await told.step(3)
    while await told.step(3):
        pass

    told.check(expected)


async def test_what_follows_from_another_event_comes_behind_it(opened: Opened) -> None:
    """Also in a transaction that began before what it then saw."""
    store, early = await opened.store(), await opened.connection()
    told = Delivered(store)
    await begin(early)
    await note(store, "x", 1)
    assert await early.fetchval("SELECT count(*) FROM event") == 1
    await early.execute(INSERT, await early.fetchval(NEXT_ID), "x", 2)
    await early.execute("COMMIT")

    assert await told.step() == ["x", "x"]
    told.check(2)


async def test_a_batch_is_told_in_its_own_order_with_its_entries(opened: Opened) -> None:
    store = await opened.store()
    records = [
        Record(f"o{n % 3}", n // 3 + 1, b"%d" % n, (Entry("a", "b", n + 1, "GBP"),) * (n % 3))
        for n in range(300)
    ]
    await save(store, records=records)

    assert await store.undelivered("sink", 1_000) == list(enumerate(records, 1))


@dataclass(slots=True)
class Crowd:
    """Writers of the same objects, and strangers whose transactions last."""

    chance: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    is_done: bool = False

    async def write(self, store: PostgresStore) -> None:
        while not self.is_done:
            object_id = f"o{self.chance.randrange(OBJECTS)}"
            async with self.locks[object_id]:
                self.counts[object_id] += 1
                await note(store, object_id, self.counts[object_id])

    async def write_slowly(self, connection: asyncpg.Connection, object_id: str) -> None:
        while not self.is_done:
            await begin(connection)
            await asyncio.sleep(self.chance.uniform(0, 0.02))
            self.counts[object_id] += 1
            event_id = await connection.fetchval(NEXT_ID)
            await connection.execute(INSERT, event_id, object_id, self.counts[object_id])
            await asyncio.sleep(self.chance.uniform(0, 0.05))
            await connection.execute("COMMIT")

    async def read(self, delivered: Delivered, count_max: int) -> None:
        while not self.is_done:
            await delivered.step(count_max)


@pytest.mark.slow
async def test_a_crowd_of_writers_and_some_readers(own: Database, opened_own: Opened) -> None:
    """Several processes give positions by turns, while others write and some take their time."""
    stores = [await opened_own.store() for _ in range(3)]
    strangers = [await opened_own.connection() for _ in range(4)]
    readers = [Delivered(store, f"sink_{n}") for n, store in enumerate(stores)]
    crowd = Crowd(random.Random(5))
    async with asyncio.TaskGroup() as group:
        for number, stranger in enumerate(strangers):
            group.create_task(crowd.write_slowly(stranger, f"slow_{number}"))
        for store, reader in zip(stores, readers, strict=True):
            group.create_task(crowd.write(store))
            group.create_task(crowd.read(reader, 5 + 20 * (store is stores[0])))
        await asyncio.sleep(1.5)
        crowd.is_done = True
    count = crowd.counts.total()
    for reader in readers:
        while await reader.step():
            pass
        reader.check(count)

    assert count > 100
    assert all(reader.all == readers[0].all for reader in readers)
    assert await own.value("SELECT count(*) FROM feed") == count


# Whoever gives the positions.


async def test_positions_are_given_by_one_at_a_time_and_nobody_waits(opened: Opened) -> None:
    store, other = await opened.store(), await opened.connection()
    told = Delivered(store)
    await note(store, "a")
    await told.step()
    await note(store, "b")
    async with holding(other, sql.IS_MY_TURN):
        async with asyncio.timeout(1):
            assert await told.step() == []

    assert await told.step() == ["b"]
    told.check(2)


async def test_a_process_that_dies_while_it_gives_positions_has_given_none(opened: Opened) -> None:
    store, other = await opened.store(), await opened.connection()
    told = Delivered(store)
    await note(store, "a")
    await note(store, "b")
    await other.execute("BEGIN")
    await other.fetchval(sql.IS_MY_TURN)
    await other.execute(sql.GIVE_POSITIONS)
    assert await other.fetchval("SELECT count(*) FROM feed") == 2
    await other.execute("ROLLBACK")

    assert await told.step() == ["a", "b"]
    told.check(2)


async def test_a_database_in_another_server_goes_on_with_its_feed(opened: Opened) -> None:
    """Restored from a dump: the numbers of its transactions are still to come there."""
    store = await opened.store()
    told = Delivered(store)
    await note(store, "a")
    assert await told.step() == ["a"]
    await note(store, "b")
    await opened.database.execute(
        "ALTER TABLE event DISABLE TRIGGER USER",
        "UPDATE event SET xid = (xid::text::bigint + 1000000000)::text::xid8",
        "ALTER TABLE event ENABLE ALWAYS TRIGGER event_update_or_delete_or_truncate",
        "UPDATE sequencer SET next_xid = (next_xid::text::bigint + 1000000000)::text::xid8",
    )
    await note(store, "c")
    assert await told.step() == ["b", "c"]
    await note(store, "d")

    assert await told.step() == ["d"]
    assert await told.step() == []
    told.check(4)


# Which transactions have written or locked the rows: others of the server have their own numbers.
WRITTEN_BY = """
SELECT 'sequencer', xmin::text, xmax::text FROM sequencer
UNION ALL SELECT 'cursor', xmin::text, xmax::text FROM cursor
UNION ALL SELECT 'feed', xmin::text, xmax::text FROM feed ORDER BY 1, 2, 3
"""


async def test_nothing_is_written_while_there_is_nothing_new(opened: Opened) -> None:
    """A sink that is polled does not fill the disk."""
    store = await opened.store()
    told = Delivered(store)
    await note(store, "a")
    await told.step()
    before = await opened.database.ask(WRITTEN_BY)
    for _ in range(5):
        assert await told.step() == []

    assert await opened.database.ask(WRITTEN_BY) == before


# Whoever delivers.


async def test_a_sink_is_told_by_one_process_at_a_time(opened: Opened) -> None:
    clock = Clock()
    one, two = await opened.store(clock), await opened.store(clock)
    await note(one, "a")

    assert len(await one.undelivered("sink", 9)) == 1
    assert await two.undelivered("sink", 9) == []
    assert len(await two.undelivered("other", 9)) == 1
    clock.at += SINK_LEASE_MS - 1
    assert await two.undelivered("sink", 9) == []
    clock.at += 1
    assert len(await two.undelivered("sink", 9)) == 1
    assert await one.undelivered("sink", 9) == []


async def test_whoever_delivers_keeps_the_sink(opened: Opened) -> None:
    clock = Clock()
    one, two = await opened.store(clock), await opened.store(clock)
    await note(one, "a")
    for _ in range(10):
        assert len(await one.undelivered("sink", 9)) == 1
        clock.at += SINK_LEASE_MS * 2 // 3
        assert await two.undelivered("sink", 9) == []


async def test_two_processes_that_begin_at_once_share_no_sink(opened: Opened) -> None:
    stores = [await opened.store(Clock()) for _ in range(4)]
    await note(stores[0], "a")
    for number in range(10):
        asked = (store.undelivered(f"sink_{number}", 9) for store in stores)
        found = await asyncio.gather(*asked)

        assert sorted(len(part) for part in found) == [0, 0, 0, 1]


async def test_whoever_lost_the_sink_moves_nothing(opened: Opened) -> None:
    clock = Clock()
    one, two = await opened.store(clock), await opened.store(clock)
    await note(one, "a")
    await note(one, "b")
    await one.undelivered("sink", 9)
    clock.at += SINK_LEASE_MS
    assert len(await two.undelivered("sink", 9)) == 2
    await one.advance("sink", 2)
    assert len(await two.undelivered("sink", 9)) == 2
    await two.advance("sink", 1)
    await one.advance("sink", 2)

    assert [position for position, _ in await two.undelivered("sink", 9)] == [2]


async def test_a_place_never_goes_back(opened: Opened) -> None:
    store = await opened.store()
    await note(store, "a")
    await note(store, "b")
    await store.undelivered("sink", 9)
    await store.advance("sink", 2)
    await store.advance("sink", 1)

    assert await store.undelivered("sink", 9) == []


async def test_a_process_that_is_gone_leaves_its_sinks_to_others(opened: Opened) -> None:
    clock = Clock()
    one = await opened.store(clock)
    await note(one, "a")
    await note(one, "b")
    told = Delivered(one)
    await told.step(1)
    await one.close()
    opened.stores.remove(one)
    two = await opened.store(clock)
    clock.at += SINK_LEASE_MS
    then = Delivered(two)
    await then.step()

    assert [position for position, _ in told.all + then.all] == [1, 2]
