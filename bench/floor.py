"""The floor: bare SQL that writes the engine's own rows, and decides and reads nothing.

A spy notes every writing statement of an earlier run of the engine, with its values, whatever part
of the store it comes from. They are written again, in the same transactions, through the same
triggers and CHECKs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
from payments import copy_of
from same_rows import assert_same_rows
from stopwatch import Took, timed
from workload import live, policy

from contraflow.outside.virtual_time import result_of

Row = tuple[Any, ...]
Writes = list[tuple[str, list[Row]]]  # A statement, and the rows that follow one another.

BOUNDS = ("BEGIN", "COMMIT")


def spied(payments: Path, path: Path, numbers: Sequence[int]) -> Writes:
    """What the engine writes for these life cycles; it leaves its database behind."""
    store = copy_of(payments, path)
    writes: Writes = []

    def note(_: apsw.Cursor, statement: str, bindings: Any) -> bool:
        if not statement.lstrip().startswith("SELECT"):
            row = bindings or ()
            if writes and writes[-1][0] == statement:
                writes[-1][1].append(row)
            else:
                writes.append((statement, [row]))
        return True

    store.connection.exec_trace = note
    live(store, policy(), numbers)
    result_of(store.close())
    return writes


def run_floor(payments: Path, path: Path, writes: Writes, life_cycles: int) -> Took:
    store = copy_of(payments, path)
    took = timed(lambda: replay(store.connection, writes), life_cycles)
    result_of(store.close())
    return took


def replay(connection: apsw.Connection, writes: Writes) -> None:
    for statement, rows in writes:
        if len(rows) == 1:
            connection.execute(statement, rows[0]).fetchall()
        else:
            connection.executemany(statement, rows)


def assert_the_floor_is_even(payments: Path, by_engine: Path, path: Path, writes: Writes) -> None:
    """The comparison is worth something only if both leave the same database behind."""
    begun = sum(statement.startswith(BOUNDS) for statement, _ in writes)
    assert begun > 0
    assert begun % 2 == 0
    run_floor(payments, path, writes, 1)
    assert_same_rows(by_engine, path, but=())
