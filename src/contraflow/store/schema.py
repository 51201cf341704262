"""The numbered migrations: each applied once, in order, and never edited after that."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
from msgspec import Struct

from contraflow.errors import SchemaUnknown
from contraflow.store import sqlite_statements as sql


class Migration(Struct, frozen=True, gc=False):
    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations_in(folder: Path) -> tuple[Migration, ...]:
    """From files named `0001_what.sql`; the numbers have no gap."""
    found = tuple(
        Migration(int(path.stem[:4]), path.stem[5:], path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    )
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    return found


MIGRATIONS = migrations_in(Path(__file__).with_name("migrations"))
EXPECTED = {migration.number: migration.sha256 for migration in MIGRATIONS}


def migrate(
    connection: apsw.Connection, *, now: int, migrations: Sequence[Migration] = MIGRATIONS
) -> list[str]:
    """Apply what is missing, each in its own transaction; the names of what was applied.

    Raises SchemaUnknown if the database knows more than we do, or knows a file otherwise.
    """
    applied = applied_to(connection)
    if not applied and connection.execute(sql.HAS_TABLES).get is not None:
        raise SchemaUnknown("this is another program's database")
    done = []
    for migration in migrations:
        known = applied.pop(migration.number, None)
        if known is None:
            _apply(connection, migration, now)
            done.append(migration.name)
        elif known != migration.sha256:
            raise SchemaUnknown(f"migration {migration.number} is another one in this database")
    if applied:
        raise SchemaUnknown(f"migration {max(applied)} is newer than this contraflow")
    return done


def assert_current(connection: apsw.Connection) -> None:
    """For whoever only reads. Raises SchemaUnknown unless exactly our migrations were applied."""
    if applied_to(connection) != EXPECTED:
        raise SchemaUnknown("the database has another schema than this contraflow; open it to work")


def applied_to(connection: apsw.Connection) -> dict[int, str]:
    if not connection.execute(sql.HAS_MIGRATIONS).fetchall():
        return {}
    rows: list[Any] = connection.execute(sql.APPLIED).fetchall()
    return dict(rows)


def _apply(connection: apsw.Connection, migration: Migration, now: int) -> None:
    row = (migration.number, migration.name, migration.sha256, now)
    connection.execute(sql.BEGIN)
    try:
        if migration.number not in applied_to(connection):
            connection.execute(migration.text).fetchall()
            connection.execute(sql.INSERT_MIGRATION, row)
        connection.execute(sql.COMMIT)
    except BaseException:
        if connection.in_transaction:
            connection.execute(sql.ROLLBACK)
        raise
