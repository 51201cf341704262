"""Open a PostgreSQL database: to work on it, or to look into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncpg

from contraflow.errors import StoreUnwritable
from contraflow.store import postgres_statements as sql
from contraflow.store.postgres import PostgresStore
from contraflow.store.postgres_clock import ServerClock
from contraflow.store.postgres_link import (
    ANSWER_S_MAX,
    CONNECTIONS_MAX,
    LOOKING,
    READ_ONLY,
    SESSION,
    Link,
    open_link,
)
from contraflow.store.postgres_schema import READER, WRITER, applied_to, assert_current, migrate
from contraflow.store.postgres_trouble import ConnectionLost, TryAgain
from contraflow.store.postgres_views import PostgresViews
from contraflow.store.postgres_wake import Wake
from contraflow.store.postgres_warm_up import warm_up

LOOKERS_MAX = 8
TIME_QUESTIONS_MAX = 50


async def open_store(
    dsn: str, *, clock: Callable[[], int] | None = None, slot: int = 0, owner: str = ""
) -> PostgresStore:
    """As one of any number of processes. An empty database is given its tables by `owner`.

    A `clock` stands for the server's own, as in a replay. Raises SchemaUnknown, SettingUnsafe or
    StoreUnwritable.
    """
    with _or_unwritable():
        await _migrate_if_empty(dsn, owner or dsn)
        link = await open_link(dsn, _write, SESSION, CONNECTIONS_MAX, ANSWER_S_MAX)
        store = PostgresStore(link, ServerClock(clock), Wake(dsn, LOOKING), slot)
        try:
            await _learn_the_time(link, store.clock)
        except BaseException:
            await store.close()
            raise
        store.wake.start()
    return store


async def open_views(dsn: str) -> PostgresViews:
    """Raises SchemaUnknown, SettingUnsafe or StoreUnwritable."""
    with _or_unwritable():
        link = await open_link(dsn, _read, LOOKING, LOOKERS_MAX)
        try:
            async with link.connection() as connection:
                await assert_current(connection)
        except BaseException:
            await link.close()
            raise
    return PostgresViews(link)


@contextmanager
def _or_unwritable() -> Iterator[None]:
    """Whoever opens a database does not wait for its server."""
    try:
        yield
    except (ConnectionLost, TryAgain) as error:
        raise StoreUnwritable(str(error)) from error


async def _migrate_if_empty(dsn: str, owner: str) -> None:
    """Only an empty one: what changes a database that is in use is said by a person."""
    link = await open_link(dsn, _look, LOOKING, 1)
    try:
        async with link.connection() as connection:
            is_empty = not await applied_to(connection)
    finally:
        await link.close()
    if is_empty:
        await migrate(owner)


async def _write(connection: asyncpg.Connection) -> None:
    await connection.execute(f"SET ROLE {WRITER}")
    await assert_current(connection)
    await _come_home(connection)
    await warm_up(connection)


async def _read(connection: asyncpg.Connection) -> None:
    await connection.execute(f"SET ROLE {READER}")
    await _look(connection)


async def _look(connection: asyncpg.Connection) -> None:
    await connection.execute(READ_ONLY)


async def _come_home(connection: asyncpg.Connection) -> None:
    """After a failover or a restore it is another server, with another clock."""
    is_home = await connection.fetchrow(sql.IS_HOME)
    if is_home["is_same_system"] and is_home["is_same_timeline"]:
        return
    async with connection.transaction():
        await connection.execute(sql.MOVE_HOME)
        if not is_home["is_same_system"]:
            await connection.execute(sql.RESTART_SEQUENCER)


async def _learn_the_time(link: Link, clock: ServerClock) -> None:
    for _ in range(TIME_QUESTIONS_MAX):
        async with link.connection() as connection:
            asked_at = clock.monotonic()
            clock.note(await connection.fetchval(sql.CLOCK), asked_at)
        if clock.is_set:
            return
    raise StoreUnwritable("the server answers too slowly to be asked for the time")
