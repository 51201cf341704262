"""Whether two PostgreSQL databases hold the same rows, whoever wrote them."""

from __future__ import annotations

from typing import Any

import asyncpg

TABLES = ("payment", "instruction", "receipt", "event", "entry", "account", "commit_marker")
ANOTHER_DAY = ("xid", "written_at")  # Of the transaction.

Rows = list[dict[str, Any]]
Tables = dict[str, Rows]


async def tables_of(dsn: str) -> Tables:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "contraflow"})
    try:
        found = {}
        for table in TABLES:
            records = await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608 a name of ours
            found[table] = [dict(record) for record in records]
        return found
    finally:
        await connection.close()


def assert_same(
    one: Tables, other: Tables, *, but: tuple[str, ...] = (), tables: tuple[str, ...] = TABLES
) -> None:
    """`but`: columns that follow from how a batch was cut, and not from what happened."""
    for table in tables:
        expected, actual = ordered(one[table], but), ordered(other[table], but)
        assert expected, f"{table} is empty"
        assert len(expected) == len(actual), f"{table}: {len(expected)} and {len(actual)} rows"
        for row, twin in zip(expected, actual, strict=True):
            assert row == twin, f"{table}: {row} and {twin}"


def ordered(rows: Rows, but: tuple[str, ...]) -> Rows:
    left_out = {*but, *ANOTHER_DAY}
    kept = [{name: value for name, value in row.items() if name not in left_out} for row in rows]
    return sorted(kept, key=repr)


def bytes_of_bodies(tables: Tables) -> int:
    return sum(len(row["body"]) for table in ("event", "receipt") for row in tables[table])
