"""Whether two databases hold the same rows, whoever wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw

TABLES = ("payment", "instruction", "receipt", "event", "entry", "account", "fact", "operator_case")
COLUMNS = "SELECT name FROM pragma_table_info(?) ORDER BY cid"


def assert_same_rows(one: Path, other: Path, but: tuple[str, ...]) -> None:
    """`but`: columns that follow from how a batch was cut, and not from what happened."""
    for table in TABLES:
        expected, actual = rows_of(one, table, but), rows_of(other, table, but)
        assert expected or table == "operator_case", f"{table} is empty"
        assert len(expected) == len(actual), f"{table}: {len(expected)} and {len(actual)} rows"
        for row, twin in zip(expected, actual, strict=True):
            assert row == twin, f"{table}: {row} and {twin}"


def rows_of(path: Path, table: str, but: tuple[str, ...]) -> list[dict[str, Any]]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    names = [row[0] for row in connection.execute(COLUMNS, (table,))]
    cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 a name of ours
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    connection.close()
    kept = [{name: value for name, value in row.items() if name not in but} for row in rows]
    return sorted(kept, key=repr)


def bytes_of_bodies(path: Path) -> int:
    return sum(
        len(row["body"]) for table in ("event", "receipt") for row in rows_of(path, table, ())
    )
