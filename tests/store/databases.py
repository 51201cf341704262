"""The PostgreSQL databases under the tests: one on each server is emptied again and again."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
from contract.stores.beside import ROWS
from contract.stores.samples import NOW, fill
from servers import running
from store.on_one_loop import run

from contraflow.outside.postgres_server import PostgresServer
from contraflow.store.postgres import PostgresStore
from contraflow.store.postgres_opening import open_store, open_views
from contraflow.store.postgres_schema import migrate
from contraflow.store.postgres_views import PostgresViews

TEMPLATE = "migrated"
# By the superuser, and against every rule of the schema; the triggers are as before after it.
EMPTY = """
DO $$
DECLARE
    kept record;
BEGIN
    FOR kept IN
        SELECT relname AS name, array_agg(tgname) FILTER (WHERE tgname IS NOT NULL) AS triggers
        FROM pg_class LEFT JOIN pg_trigger ON tgrelid = pg_class.oid AND NOT tgisinternal
        WHERE relnamespace = 'contraflow'::regnamespace AND relkind = 'r'
            AND relname NOT IN ('migration', 'sequencer', 'home')
        GROUP BY relname ORDER BY relname
    LOOP
        EXECUTE format('ALTER TABLE %I DISABLE TRIGGER USER', kept.name);
        EXECUTE format('DELETE FROM %I', kept.name);
        EXECUTE coalesce((
            SELECT string_agg(
                format('ALTER TABLE %I ENABLE ALWAYS TRIGGER %I', kept.name, name), ';')
            FROM unnest(kept.triggers) AS name), 'SELECT 1');
    END LOOP;
    UPDATE sequencer SET next_xid = '0', position = 0;
END $$
"""

_at_the_end: list[Callable[[], Coroutine[Any, Any, None]]] = []


@dataclass(slots=True, eq=False)
class Database:
    server: PostgresServer
    name: str
    ground: asyncpg.Connection | None = None

    @property
    def major(self) -> int:
        return self.server.binaries.major

    @property
    def dsn(self) -> str:
        """The superuser's."""
        return self.server.superuser_dsn(self.name)

    def dsn_of(self, login: str, password: str = "word") -> str:  # noqa: S107 it guards nothing
        return self.server.dsn(login, password, self.name)

    @property
    def socket(self) -> str:
        [folder] = parse_qs(urlsplit(self.dsn).query)["host"]
        return f"{folder}/.s.PGSQL.5432"

    async def connect(self, **settings: str) -> asyncpg.Connection:
        """As the superuser. Whoever asks closes it."""
        return await asyncpg.connect(
            self.dsn, server_settings={"search_path": "contraflow", **settings}
        )

    async def execute(self, *statements: str) -> None:
        """As the superuser, each in its own transaction."""
        if self.ground is None or self.ground.is_closed():
            self.ground = await self.connect(synchronous_commit="off")
        for statement in statements:
            await self.ground.execute(statement)

    async def ask(self, question: str, *bindings: object) -> list[tuple[Any, ...]]:
        await self.execute()
        assert self.ground is not None
        return [tuple(row) for row in await self.ground.fetch(question, *bindings)]

    async def value(self, question: str, *bindings: object) -> Any:
        [[value]] = await self.ask(question, *bindings)
        return value

    async def empty(self) -> None:
        await self.execute(EMPTY)

    async def open(
        self, clock: Callable[[], int] | None = None, *, slot: int = 0, dsn: str = ""
    ) -> PostgresStore:
        return await open_store(dsn or self.dsn, clock=clock, slot=slot)

    async def settle(self) -> None:
        """Let go of it, so that it can be a template, or dropped."""
        if self.ground is not None:
            await self.ground.close()
            self.ground = None


@dataclass(slots=True)
class Opened:
    """Whatever a test opens is closed after it."""

    database: Database
    stores: list[PostgresStore | PostgresViews] = field(default_factory=list)
    connections: list[asyncpg.Connection] = field(default_factory=list)

    async def store(
        self, clock: Callable[[], int] | None = None, *, slot: int = 0, dsn: str = ""
    ) -> PostgresStore:
        store = await self.database.open(clock, slot=slot, dsn=dsn)
        self.stores.append(store)
        return store

    async def views(self, dsn: str = "") -> PostgresViews:
        views = await open_views(dsn or self.database.dsn)
        self.stores.append(views)
        return views

    async def connection(self, **settings: str) -> asyncpg.Connection:
        """The superuser's, who may do what no store does."""
        connection = await self.database.connect(**settings)
        self.connections.append(connection)
        return connection

    async def close(self) -> None:
        """First those that may hold locks."""
        while self.connections:
            connection = self.connections.pop()
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=2)
        while self.stores:
            await self.stores.pop().close()


@functools.cache
def shared(major: int) -> Database:
    """One of each server for all tests of this process; whoever takes it empties it first."""
    return _copy_of_template(running(major))


@functools.cache
def own_of(major: int, owner: str) -> Database:
    """Another one, for the tests of one file."""
    assert owner
    return _copy_of_template(running(major))


@functools.cache
def filled_of(major: int) -> Database:
    """With a row at least in every table, for tests that undo whatever they do."""
    database = _copy_of_template(running(major))

    async def work() -> None:
        store = await database.open(lambda: NOW)
        await fill(store)
        await store.close()
        for statement, values in ROWS:
            await database.ask(statement, *values)

    run(work())
    return database


def close_all() -> None:
    """Before the servers go."""
    while _at_the_end:
        run(_at_the_end.pop()())


@functools.cache
def _template(server: PostgresServer) -> str:
    run(_execute(server, f"CREATE DATABASE {TEMPLATE}"))
    run(migrate(server.superuser_dsn(TEMPLATE)))
    return TEMPLATE


def _copy_of_template(server: PostgresServer) -> Database:
    database = bare(server, f"TEMPLATE {_template(server)}")
    _at_the_end.append(database.settle)
    return database


def bare(server: PostgresServer, options: str = "") -> Database:
    """Without a single table. It goes when its server goes."""
    name = f"test_{uuid.uuid4().hex}"
    run(_execute(server, f"CREATE DATABASE {name} {options}"))
    return Database(server, name)


async def _execute(server: PostgresServer, statement: str) -> None:
    connection = await asyncpg.connect(server.superuser_dsn())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def forget(store: PostgresStore, clock: Callable[[], int] | None) -> None:
    """What a store remembers of a database that was emptied under it."""
    store.accounts.clear()
    store.clock.given, store.clock.latest = clock, 0


@functools.cache
def shared_store(major: int) -> PostgresStore:
    """Opened once: most tests of the contract need no more than one, and an empty database."""
    store = run(shared(major).open(lambda: 0))
    _at_the_end.append(store.close)
    return store


def emptied_store(major: int, clock: Callable[[], int]) -> PostgresStore:
    run(shared(major).empty())
    store = shared_store(major)
    forget(store, clock)
    return store
