"""The server dies, is away, or may be read only: what was acknowledged stays, and work goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from contract.stores.samples import commit_of, save
from servers import found, guard
from store.asking import accepted, ask, ask_one, end_sessions, recorded, refund_of, until
from store.databases import Database, Opened, bare
from store.on_one_loop import run

from contraflow.domain.decision import Receipt
from contraflow.engine.audit import audit
from contraflow.errors import StoreUnwritable
from contraflow.outside.postgres_server import PostgresServer, private_folder
from contraflow.store import Commit, Record, postgres
from contraflow.store.postgres import PostgresStore
from contraflow.store.postgres_trouble import TryAgain

pytestmark = pytest.mark.slow

SETTINGS = {"shared_buffers": "16MB", "max_connections": "40"}


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """The newest there is, to be killed."""
    if not found():
        pytest.skip("no PostgreSQL was found")
    server = PostgresServer(found()[0], private_folder(), SETTINGS)
    guard(server.folder)
    server.create()
    server.start()
    yield server
    server.delete()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "RECONNECT_S", 0.02)


@pytest.fixture
def there(mortal: PostgresServer) -> Iterator[Opened]:
    mortal.start()
    there = Opened(bare(mortal))
    yield there
    mortal.start()
    run(there.close())
    run(there.database.settle())


async def kill(server: PostgresServer) -> None:
    await asyncio.to_thread(server.kill)


async def start(server: PostgresServer) -> None:
    await asyncio.to_thread(server.start)


class Client:
    """Stores one thing after another, and remembers what was acknowledged."""

    def __init__(self, store: PostgresStore, name: str) -> None:
        self.store, self.name = store, name
        self.acknowledged: list[str] = []
        self.is_done = False

    async def work(self) -> None:
        for number in range(100_000):
            if self.is_done:
                return
            key = f"acme/{self.name}_{number}"
            await self.store.commit([], lambda _, key=key: stored_as(key))
            self.acknowledged.append(key)


def stored_as(key: str) -> Commit:
    records = [Record(key, 1, b"{}")]
    return commit_of(receipts=[Receipt(key, bytes(32), b"")], records=records)


@asynccontextmanager
async def working(*clients: Client) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.work())
        yield
        for client in clients:
            client.is_done = True


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(there: Opened) -> None:
    """And no store has to be opened again."""
    chance, server = random.Random(7), there.database.server
    clients = [Client(await there.store(), name) for name in "abc"]
    views = await there.views()
    async with working(*clients):
        for _ in range(3):
            before = [len(client.acknowledged) for client in clients]
            await asyncio.sleep(chance.uniform(0.05, 0.2))
            await kill(server)
            await start(server)
            await until(lambda: all_further(clients, before))  # noqa: B023 it is awaited here
    stored = await views.contents()
    acknowledged = [key for client in clients for key in client.acknowledged]
    objects = [object_id for _, object_id, _, _ in stored.events]

    assert len(acknowledged) > 20
    assert set(acknowledged) == set(stored.receipts)
    assert sorted(objects) == sorted(acknowledged)


def all_further(clients: list[Client], before: list[int]) -> bool:
    return all(len(c.acknowledged) > b + 3 for c, b in zip(clients, before, strict=True))


async def test_the_sequencer_goes_on_after_a_crash(there: Opened) -> None:
    server, seen = there.database.server, []
    client = Client(await there.store(), "a")
    reader = await there.store()
    async with working(client):
        for _ in range(2):
            await asyncio.sleep(0.1)
            await kill(server)
            await start(server)
            have = len(client.acknowledged)
            await until(lambda: len(client.acknowledged) > have + 3)  # noqa: B023
            seen += await deliver(reader, 5)
    seen += await deliver(reader, 10_000)

    assert [position for position, _ in seen] == list(range(1, len(client.acknowledged) + 1))
    assert [record.object_id for _, record in seen] == client.acknowledged


async def deliver(store: PostgresStore, count_max: int) -> list[tuple[int, Record]]:
    """A connection may have died since it was used last."""
    while True:
        try:
            part = await store.undelivered("sink", count_max)
            await store.advance("sink", part[-1][0])
        except StoreUnwritable:
            continue
        return part


async def test_a_server_that_is_away_for_long_is_told_and_then_works_again(
    there: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "OUTAGE_S_MAX", 0.3)
    store, views, server = await there.store(), await there.views(), there.database.server
    await ask(store, recorded())
    command = refund_of(minor=400)
    await kill(server)
    for _ in range(2):
        with pytest.raises(StoreUnwritable):
            await ask_one(store, command)
    for looking in (store.due("sandbox", 1), store.contents(), store.undelivered("sink", 1)):
        with pytest.raises(StoreUnwritable):
            await looking
    for view in (views.payment("main/pay_1"), views.contents(), views.events_of(["main/pay_1"])):
        with pytest.raises(StoreUnwritable):
            await view
    await start(server)
    accepted(await ask_one(store, command))

    assert (await views.contents()).payments["main/pay_1"].reserved == 400
    assert [len(await views.events_of(["main/pay_1"])), len(await store.due("sandbox", 9))] == [
        1,
        1,
    ]


async def test_a_server_that_is_back_in_time_was_only_slow(there: Opened) -> None:
    store, server = await there.store(), there.database.server
    await ask(store, recorded())
    await kill(server)
    asked = asyncio.ensure_future(ask_one(store, refund_of(minor=400)))
    await asyncio.sleep(0.3)
    assert not asked.done()
    await start(server)
    accepted(await asked)

    assert audit(await store.contents()) == []


# Connections that end one by one, on any server.


async def test_sessions_that_are_ended_are_replaced_without_a_word(opened: Opened) -> None:
    store, views = await opened.store(), await opened.views()
    await ask(store, recorded(minor=10_000))
    for _ in range(5):
        assert await end_sessions(opened.database) >= 1
        accepted(await ask_one(store, refund_of(minor=100)))
        assert await end_sessions(opened.database) >= 1
        assert await views.payment("main/pay_1") is not None
        assert await end_sessions(opened.database) >= 1
        assert len(await views.events_of(["main/pay_1"])) == 1
        assert await end_sessions(opened.database) >= 1
        assert len((await views.contents()).payments) == 1
    contents = await store.contents()

    assert contents.payments["main/pay_1"].reserved == 500
    assert audit(contents) == []


async def test_sessions_are_ended_at_any_moment_of_a_batch(opened: Opened) -> None:
    clients = [Client(await opened.store(), name) for name in "ab"]
    ended = 0
    async with working(*clients):
        for _ in range(30):
            await asyncio.sleep(0.01)
            ended += await end_sessions(opened.database, "state <> 'idle'")
    stored = await clients[0].store.contents()
    acknowledged = [key for client in clients for key in client.acknowledged]

    assert ended > 5
    assert set(acknowledged) == set(stored.receipts)
    assert sorted(event[1] for event in stored.events) == sorted(acknowledged)


async def test_statements_are_broken_off_at_any_moment_of_a_batch(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an administrator does with pg_cancel_backend."""
    monkeypatch.setattr(TryAgain, "times_max", 1_000)
    clients = [Client(await opened.store(), name) for name in "ab"]
    question = """
        SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE state = 'active'
        AND datname = current_database() AND application_name = 'contraflow'
    """
    broken = 0
    async with working(*clients):
        for _ in range(50):
            await asyncio.sleep(0.005)
            broken += await opened.database.value(question)
    stored = await clients[0].store.contents()
    acknowledged = [key for client in clients for key in client.acknowledged]

    assert broken > 5
    assert set(acknowledged) == set(stored.receipts)
    assert sorted(event[1] for event in stored.events) == sorted(acknowledged)


async def test_a_batch_that_nobody_waits_for_leaves_no_session_in_a_transaction(
    opened: Opened,
) -> None:
    """As where an engine is told to stop: what comes after it finds every connection clean."""
    store = await opened.store()
    await ask(store, recorded(minor=1_000_000))
    for number in range(60):
        asked = [
            asyncio.ensure_future(work)
            for work in (
                ask_one(store, refund_of(minor=1)),
                ask_one(store, refund_of(minor=1)),
                store.due("sandbox", 1),
                store.undelivered("sink", 1),
                store.contents(),
            )
        ]
        await asyncio.sleep(number % 30 / 5_000)
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await store.suspect([f"s{number}"], is_proven=True)
    contents = await asyncio.gather(*(store.contents() for _ in range(6)))
    left = await opened.database.ask(
        "SELECT state, query FROM pg_stat_activity "
        "WHERE application_name = 'contraflow' AND state LIKE 'idle in%'"
    )

    assert left == []
    assert len(await opened.database.ask("SELECT * FROM suspect")) == 60
    assert all(audit(each) == [] for each in contents)


async def test_a_server_that_may_only_be_read_is_left_until_it_may_be_written(
    own: Database, opened_own: Opened
) -> None:
    """25006, as after a failover: every connection is replaced, and none that was is kept."""
    store = await opened_own.store()
    await ask(store, recorded(minor=10_000))
    await own.execute(f"ALTER DATABASE {own.name} SET default_transaction_read_only = on")
    await end_sessions(own)
    asked = asyncio.ensure_future(ask_one(store, refund_of(minor=100)))
    await asyncio.sleep(0.3)
    assert not asked.done()
    await own.execute(f"ALTER DATABASE {own.name} RESET default_transaction_read_only")
    async with asyncio.timeout(5):
        accepted(await asked)
        accepted(await ask_one(store, refund_of(minor=100)))
        await store.undelivered("sink", 9)

    assert (await store.contents()).payments["main/pay_1"].reserved == 200


async def test_a_server_that_stays_read_only_is_told_in_time(
    own: Database, opened_own: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "OUTAGE_S_MAX", 0.2)
    store = await opened_own.store()
    await own.execute(f"ALTER DATABASE {own.name} SET default_transaction_read_only = on")
    await end_sessions(own)
    with pytest.raises(StoreUnwritable, match="25006"):
        await save(store, receipts=[Receipt("acme/k", bytes(32), b"")])
    with pytest.raises(StoreUnwritable, match="25006"):
        await store.undelivered("sink", 9)
    await own.execute(f"ALTER DATABASE {own.name} RESET default_transaction_read_only")
    await save(store, receipts=[Receipt("acme/k", bytes(32), b"")])

    assert set((await store.contents()).receipts) == {"acme/k"}
