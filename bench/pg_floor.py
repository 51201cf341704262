"""The floor on PostgreSQL: the engine's own rows by bare SQL, in the same batches.

A spy notes the writing statements of an earlier run, with their values; they are written again in
the same transactions, through the same triggers and CHECKs. What the engine reads, locks, claims
and decides is left out. In that run nobody claims, so that the versions of the rows fit.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from msgspec import Struct
from pg_lives import live, unclaimed
from workload import frozen_clock, policy

from contraflow.store.postgres_link import SESSION, Link
from contraflow.store.postgres_opening import open_store
from contraflow.store.postgres_schema import WRITER

WRITES = re.compile(r"\s*(INSERT|UPDATE)\b")
LOOKS = re.compile(r"\s*(SELECT|SET|LOCK|ROLLBACK)\b")
NOTED = ("execute", "executemany", "fetch", "fetchrow", "fetchval")


class Write(Struct, frozen=True, array_like=True):
    """A statement and its values; or a table, its columns and the rows that are copied to it."""

    statement: str
    values: Sequence[Any]
    is_copy: bool = False


Transaction = list[Write]


async def spied(dsn: str, numbers: Sequence[int]) -> list[Transaction]:
    """What the engine writes for these life cycles; it leaves its database behind."""
    store = await open_store(dsn, clock=frozen_clock)
    spy = Spy(store.link.pool)
    store.link = spy
    await live(store, policy(), numbers, claim=unclaimed)
    await store.close()
    return spy.transactions


async def replay(connection: asyncpg.Connection, transactions: Iterable[Transaction]) -> None:
    for writes in transactions:
        await connection.execute("BEGIN")
        for write in writes:
            if write.is_copy:
                columns, rows = write.values
                await connection.copy_records_to_table(
                    write.statement, columns=columns, records=rows
                )
            else:
                await connection.execute(write.statement, *write.values)
        await connection.execute("COMMIT")


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """As the engine is."""
    connection = await asyncpg.connect(dsn, server_settings=SESSION)
    try:
        await connection.execute(f"SET ROLE {WRITER}")
        yield connection
    finally:
        await connection.close()


# The spy.


@dataclass(slots=True)
class Spy(Link):
    transactions: list[Transaction] = field(default_factory=list)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        async with self.pool.acquire() as connection:
            yield Noting(connection, self.transactions)


class Noting:
    """A connection whose statements are noted as they are executed."""

    def __init__(self, connection: asyncpg.Connection, transactions: list[Transaction]) -> None:
        self._connection, self._transactions = connection, transactions

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)
        if name not in NOTED:
            assert name in {"is_in_transaction", "copy_records_to_table"}, name
            return method

        async def noted(statement: str, *values: Any, **how: Any) -> Any:
            self._note(statement, values)
            return await method(statement, *values, **how)

        return noted

    async def copy_records_to_table(
        self, table: str, *, records: Iterable[Any], columns: Sequence[str] | None = None
    ) -> Any:
        rows = [list(record) for record in records]
        self._transactions[-1].append(Write(table, (columns, rows), is_copy=True))
        return await self._connection.copy_records_to_table(table, records=rows, columns=columns)

    def _note(self, statement: str, values: Sequence[Any]) -> None:
        for part in statement.split(";") if not values else [statement]:
            word = part.split(maxsplit=1)[0] if part.strip() else "SET"
            if word == "BEGIN":
                self._transactions.append([])
            elif WRITES.match(part):
                self._transactions[-1].append(Write(part, values))
            else:
                assert word == "COMMIT" or LOOKS.match(part), f"may it write? {part}"
