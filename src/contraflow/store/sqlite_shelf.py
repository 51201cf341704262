"""The rows beside the business in one SQLite file, beside whoever works on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from contraflow.store import sqlite_statements as sql
from contraflow.store.schema import assert_current
from contraflow.store.shelf import Row, Step, Value
from contraflow.store.sqlite import connect
from contraflow.store.sqlite_trouble import in_our_words


def open_shelf(place: str | Path, clock: Callable[[], int]) -> SqliteShelf:
    """A connection of its own, also while an engine works on the file: one waits for the other.

    Raises StoreUnwritable or SchemaUnknown.
    """
    with in_our_words():
        connection = connect(place)
        assert_current(connection)
    return SqliteShelf(connection, clock)


@dataclass(frozen=True, slots=True)
class SqliteShelf:
    connection: apsw.Connection
    clock: Callable[[], int]

    async def close(self) -> None:
        self.connection.close()

    async def now(self) -> int:
        return self.clock()

    async def rows(self, statement: str, *values: Value) -> list[Row]:
        with in_our_words():
            return self.connection.execute(statement, _named(values)).fetchall()

    async def write(self, *steps: Step) -> None:
        with in_our_words():
            self.connection.execute(sql.BEGIN)
            try:
                for statement, rows in steps:
                    self.connection.executemany(statement, [_named(row) for row in rows])
                self.connection.execute(sql.COMMIT)
            finally:
                if self.connection.in_transaction:
                    self.connection.execute(sql.ROLLBACK)


def _named(values: Sequence[Value]) -> dict[str, Value]:
    return {str(place): value for place, value in enumerate(values, 1)}
