"""The connections of one process: each is checked before it is used, and lost ones are replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg

from contraflow.errors import SettingUnsafe
from contraflow.store import postgres_statements as sql
from contraflow.store.postgres_trouble import ConnectionLost, in_our_words

VERSION_MIN = 150_000
CONNECT_S = 5
CLOSE_S = 0.5  # A process that ends has several to close, and ten seconds in all.
ANSWER_S_MAX = 12  # Then a server that is silent is as good as dead.
LOOK_S_MAX = 70
CONNECTIONS_MAX = 6  # A batch, what is due, the feed, and a few looks.
# A process that is stopped must not hold its locks for ever, nor wait for those of another.
SESSION = {
    "application_name": "contraflow",
    "search_path": "contraflow, pg_temp",
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": "1s",
    "client_connection_check_interval": "500ms",
    "lock_timeout": "2s",
    "statement_timeout": "10s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15s",
    # A batch finds its rows by an index, however full the tables are; a plan is made once.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
LOOKING = {name: SESSION[name] for name in ("application_name", "search_path")} | {
    "statement_timeout": "60s",
}
# Said once we are in: a server that is read only from the start is no primary for asyncpg.
READ_ONLY = "SET default_transaction_read_only = on"


@dataclass(slots=True)
class Link:
    """To one database, in one role."""

    pool: asyncpg.Pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """One to yourself. Raises ConnectionLost and whatever else in_our_words says."""
        with in_our_words():
            connection = await self.pool.acquire(timeout=CONNECT_S)
            assert not connection.is_in_transaction(), "whoever had it has left it clean"
            try:
                with in_our_words():
                    yield connection
            except ConnectionLost:
                # It may be open still, to a server that became a standby.
                hang_up(connection)
                raise
            except Exception:
                await leave(connection)
                raise
            except BaseException:
                # Called off in the middle of a statement: nobody knows what it is in.
                hang_up(connection)
                raise
            finally:
                await self.pool.release(connection)

    async def close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.pool.close()
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.pool.terminate()


async def leave(connection: asyncpg.Connection) -> None:
    """Undo what was begun; where that cannot be said, the server sees the connection end."""
    if not connection.is_in_transaction():
        return
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        await connection.execute(sql.ROLLBACK, timeout=CONNECT_S)
        return
    hang_up(connection)


def hang_up(connection: asyncpg.Connection) -> None:
    with suppress(asyncpg.InterfaceError):  # The pool has noticed its end before us.
        connection.terminate()


async def open_link(
    dsn: str,
    prepare: Callable[[asyncpg.Connection], Awaitable[None]],
    settings: dict[str, str],
    size: int,
    answer_s_max: float = LOOK_S_MAX,
) -> Link:
    """Every connection is checked and then prepared, before it is used.

    Raises SettingUnsafe, SchemaUnknown or StoreUnwritable, also later for a new connection.
    """

    async def check_and_prepare(connection: asyncpg.Connection) -> None:
        await refuse_unsafe(connection)
        await prepare(connection)

    with in_our_words():
        pool = await asyncpg.create_pool(
            dsn,
            min_size=0,  # With more, asyncpg logs a traceback each time a server is away.
            max_size=size,
            init=check_and_prepare,
            reset=_nothing_to_reset,
            timeout=CONNECT_S,
            command_timeout=answer_s_max,
            server_settings=settings,
            max_cached_statement_lifetime=0,
            max_inactive_connection_lifetime=0,
        )
    return Link(pool)


async def refuse_unsafe(connection: asyncpg.Connection) -> None:
    """On every new connection: a role or a database may have settings of its own."""
    row = await connection.fetchrow(sql.CHECK_SETTINGS)
    refuse_forgetting(await connection.fetchval(sql.CHECK_SAFETY))
    if row["version"] < VERSION_MIN:
        raise SettingUnsafe("PostgreSQL 15 or newer is needed")
    if row["encoding"] != "UTF8":
        raise SettingUnsafe(f"the database is in {row['encoding']}: UTF8 is needed")
    if row["is_standby"]:
        raise ConnectionLost("this server is a standby")


def refuse_forgetting(settings: Sequence[str]) -> None:
    """Of those that make it safe, these are off."""
    if settings:
        raise SettingUnsafe(f"{settings[0]} is off: the server may forget what it has acknowledged")


async def _nothing_to_reset(_: asyncpg.Connection) -> None:
    """No session state is ever changed, so a connection goes back as it is."""
