"""A server that may forget what it has acknowledged is refused, on every new connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from contract.stores.samples import refund, save
from servers import running
from store.asking import (
    accepted,
    ask,
    ask_one,
    end_sessions,
    holding,
    recorded,
    switched,
    until,
    until_waiting,
)
from store.databases import Database, Opened, bare
from store.on_one_loop import run

from contraflow.domain.decision import Receipt
from contraflow.errors import SchemaUnknown, SettingUnsafe, StoreUnwritable
from contraflow.store.postgres_link import SESSION
from contraflow.store.postgres_opening import open_store, open_views
from contraflow.store.postgres_schema import migrate

RECEIPT = Receipt("acme/k", bytes(32), b"")
ASYNCHRONOUS = "synchronous_commit = off"
# Where it may be set that nobody waits for the disk: {name} is the database's.
PLACES = {
    "database": "ALTER DATABASE {name}",
    "login": "ALTER ROLE postgres",
    "login in this database": "ALTER ROLE postgres IN DATABASE {name}",
}


@pytest.fixture
def unset(own: Database) -> Iterator[None]:
    """Also of the server, which others use after us."""
    yield
    for place in PLACES.values():
        run(own.execute(f"{place.format(name=own.name)} RESET ALL"))
    run(own.execute("ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()"))
    run(until(lambda: is_set(own, "fsync", "on")))


async def is_set(database: Database, name: str, value: str) -> bool:
    """As a new connection finds it."""
    connection = await database.connect()
    try:
        return bool(await connection.fetchval(f"SHOW {name}") == value)
    finally:
        await connection.close()


async def set_for_the_server(database: Database, name: str, value: str) -> None:
    await database.execute(f"ALTER SYSTEM SET {name} = {value}", "SELECT pg_reload_conf()")
    await until(lambda: is_set(database, name, value))


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_a_commit_that_does_not_wait_for_the_disk_is_refused(
    own: Database, place: str
) -> None:
    await own.execute(f"{place.format(name=own.name)} SET {ASYNCHRONOUS}")

    for opening in (open_store(own.dsn), open_views(own.dsn), migrate(own.dsn)):
        with pytest.raises(SettingUnsafe, match="synchronous_commit"):
            await opening


@pytest.mark.parametrize("option", ["&synchronous_commit=off", "&options=-c%20fsync%3Doff"])
async def test_a_dsn_cannot_ask_for_less(database: Database, option: str) -> None:
    with pytest.raises((SettingUnsafe, StoreUnwritable, AssertionError)):
        await open_store(database.dsn + option)


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
async def test_a_server_without_durability_is_refused(own: Database, name: str) -> None:
    await set_for_the_server(own, name, "off")

    for opening in (open_store(own.dsn), open_views(own.dsn), migrate(own.dsn)):
        with pytest.raises(SettingUnsafe, match=name):
            await opening


@pytest.mark.slow
@pytest.mark.usefixtures("unset")
async def test_a_connection_that_is_replaced_is_looked_at_again(
    own: Database, opened_own: Opened
) -> None:
    """The server was restarted by somebody who wanted it faster."""
    store, views = await opened_own.store(), await opened_own.views()
    await save(store, receipts=[RECEIPT])
    await own.execute(f"ALTER DATABASE {own.name} SET {ASYNCHRONOUS}")
    await save(store, receipts=[Receipt("acme/k2", bytes(32), b"")])  # Not a new connection.
    await end_sessions(own)
    for _ in range(2):
        with pytest.raises(SettingUnsafe, match="synchronous_commit"):
            await save(store, receipts=[Receipt("acme/k3", bytes(32), b"")])
        with pytest.raises(SettingUnsafe, match="synchronous_commit"):
            await views.receipt("acme/k")
        with pytest.raises(SettingUnsafe, match="synchronous_commit"):
            await store.due("rail", 1)
    await own.execute(f"ALTER DATABASE {own.name} RESET synchronous_commit")
    await save(store, receipts=[Receipt("acme/k4", bytes(32), b"")])

    assert set((await store.contents()).receipts) == {"acme/k", "acme/k2", "acme/k4"}


@pytest.mark.slow
@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
async def test_a_server_that_is_made_unsafe_by_a_reload_is_noticed_by_the_next_batch(
    own: Database, opened_own: Opened, name: str
) -> None:
    store = await opened_own.store()
    await save(store, receipts=[RECEIPT])
    await set_for_the_server(own, name, "off")
    await until(lambda: is_set(own, name, "off"))
    with pytest.raises(SettingUnsafe, match=name):
        await save(store, receipts=[Receipt("acme/k2", bytes(32), b"")])

    assert set((await store.contents()).receipts) == {"acme/k"}


@pytest.mark.usefixtures("unset")
async def test_a_batch_sees_what_was_done_before_its_locks_whatever_the_default(
    own: Database, opened_own: Opened
) -> None:
    """In a transaction that sees all of its beginning, a mark would not see the hold before it."""
    await own.execute(
        f"ALTER DATABASE {own.name} SET default_transaction_isolation = 'serializable'"
    )
    store = await opened_own.store()
    async with store.link.connection() as connection:
        assert await connection.fetchval("SHOW transaction_isolation") == "read committed"
    dsn = own.dsn + "&options=-c%20default_transaction_isolation%3Dserializable"
    other = await opened_own.store(dsn=dsn)
    stranger = await opened_own.connection(default_transaction_isolation="read committed")
    await ask(store, recorded())
    async with holding(stranger, "LOCK TABLE gate IN EXCLUSIVE MODE"):
        asked = asyncio.ensure_future(ask_one(other, switched("all")))
        await until_waiting(own)
        also = asyncio.ensure_future(save(store))
        await until_waiting(own, 2)
    accepted(await asked)

    assert (await also).holds == {"all"}


async def test_every_session_of_a_store_is_set_as_we_say(opened: Opened) -> None:
    """Whatever the server, the database or the role has set otherwise."""
    store = await opened.store()
    async with store.link.connection() as connection:
        found = {name: await connection.fetchval(f"SHOW {name}") for name in SESSION}
        role = await connection.fetchval("SELECT current_user")
        durable = await connection.fetchval("SHOW synchronous_commit")

    assert found == SESSION | unheard_on_a_socket(found)
    assert (role, durable) == ("contraflow_writer", "on")


def unheard_on_a_socket(found: dict[str, str]) -> dict[str, str]:
    """TCP alone has keepalives."""
    return {name: value for name, value in found.items() if name.startswith("tcp_")}


# Another database than ours.


@pytest.mark.slow
def test_an_encoding_that_cannot_hold_all_names_is_refused(major: int) -> None:
    options = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    database = bare(running(major), options)

    for opening in (open_store(database.dsn), migrate(database.dsn)):
        with pytest.raises(SettingUnsafe, match="LATIN1"):
            run(opening)


async def test_a_database_that_is_not_there_is_told(database: Database) -> None:
    dsn = database.server.superuser_dsn("nobody_made_it")

    for opening in (open_store(dsn), open_views(dsn)):
        with pytest.raises(StoreUnwritable, match="nobody_made_it"):
            await opening


async def test_a_wrong_password_is_told(database: Database) -> None:
    for opening in (open_store(database.dsn_of("postgres")), open_views(database.dsn_of("x"))):
        with pytest.raises(StoreUnwritable, match="does not let us in"):
            await opening


async def test_a_server_that_is_not_there_is_told(database: Database) -> None:
    dsn = database.dsn.replace("5432", "5433")

    for opening in (open_store(dsn), open_views(dsn)):
        with pytest.raises(StoreUnwritable):
            await opening


@pytest.mark.parametrize(
    ("change", "undo"),
    [
        ("ALTER TABLE receipt RENAME TO receipts", "ALTER TABLE receipts RENAME TO receipt"),
        (
            "ALTER TABLE receipt RENAME COLUMN key TO name",
            "ALTER TABLE receipt RENAME COLUMN name TO key",
        ),
        (
            "ALTER FUNCTION clock_ms RENAME TO clock",
            "ALTER FUNCTION clock RENAME TO clock_ms",
        ),
    ],
    ids=["table", "column", "function"],
)
async def test_a_schema_that_is_not_ours_is_told(own: Database, change: str, undo: str) -> None:
    await own.execute(change)
    try:
        with pytest.raises(SchemaUnknown, match="run contraflow migrate"):
            await work_on(own.dsn)
    finally:
        await own.execute(undo)
    await work_on(own.dsn)


async def work_on(dsn: str) -> None:
    store = await open_store(dsn)
    try:
        await save(store, refund(), receipts=[RECEIPT])
        assert set((await store.contents()).receipts) == {"acme/k"}
    finally:
        await store.close()


async def test_a_view_of_nothing_is_refused(major: int) -> None:
    database = Database(running(major), "postgres")

    with pytest.raises(SchemaUnknown, match="migrate"):
        await open_views(database.dsn)
