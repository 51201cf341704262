"""The rows beside the business in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from contraflow.errors import StoreUnwritable
from contraflow.store import postgres_questions as ask
from contraflow.store.postgres_link import LOOKING, Link, open_link
from contraflow.store.postgres_schema import WRITER, assert_current
from contraflow.store.postgres_trouble import ConnectionLost, TryAgain
from contraflow.store.shelf import Row, Step, Value

SHELF_CONNECTIONS_MAX = 4
TRIES_MAX = 3  # A connection may have died since it was used last, or another was faster.


async def open_shelf(dsn: str) -> PostgresShelf:
    """Raises SchemaUnknown, SettingUnsafe or StoreUnwritable."""
    try:
        link = await open_link(dsn, _write, LOOKING, SHELF_CONNECTIONS_MAX)
        try:
            async with link.connection() as connection:
                await assert_current(connection)
        except BaseException:
            await link.close()
            raise
    except (ConnectionLost, TryAgain) as error:
        raise StoreUnwritable(str(error)) from error
    return PostgresShelf(link)


async def _write(connection: asyncpg.Connection) -> None:
    await connection.execute(f"SET ROLE {WRITER}")


@dataclass(frozen=True, slots=True)
class PostgresShelf:
    link: Link

    async def close(self) -> None:
        await self.link.close()

    async def now(self) -> int:
        [[now]] = await self.rows(ask.NOW)
        assert isinstance(now, int)
        return now

    async def rows(self, statement: str, *values: Value) -> list[Row]:
        """A lost answer is asked for again, so a statement must be one that may be repeated."""
        for tried in range(1, TRIES_MAX + 1):
            try:
                async with self.link.connection() as connection:
                    return [tuple(row) for row in await connection.fetch(statement, *values)]
            except (ConnectionLost, TryAgain) as error:
                if tried == TRIES_MAX:
                    raise StoreUnwritable(str(error)) from error
        raise AssertionError("it returns or raises")

    async def write(self, *steps: Step) -> None:
        for tried in range(1, TRIES_MAX + 1):
            try:
                async with self.link.connection() as connection, connection.transaction():
                    for statement, rows in steps:
                        await connection.executemany(statement, rows)
            except (ConnectionLost, TryAgain) as error:
                if tried == TRIES_MAX:
                    raise StoreUnwritable(str(error)) from error
            else:
                return
