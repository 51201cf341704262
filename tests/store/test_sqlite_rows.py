# ruff: noqa: S608 the statements are made of our own words.
"""The tables of SQLite keep what they were told, also against plain SQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import apsw
import msgspec
import pytest
from contract.stores.beside import ROWS
from contract.stores.samples import NOW, PAYMENT, REFUND, commit_of, fill, reaching, refund, save
from msgspec.structs import replace

from contraflow.domain.decision import Receipt
from contraflow.domain.instruction import Instruction
from contraflow.domain.money import AMOUNT_MINOR_MAX
from contraflow.domain.payment import Payment
from contraflow.outside.virtual_time import result_of
from contraflow.store import Commit, Loaded
from contraflow.store.sqlite import SqliteStore, open_store

NAMES = itertools.count()


@pytest.fixture
def rows() -> Iterator[SqliteStore]:
    """The schema is the same in memory as in a file, and faster."""
    opened = open_store(f"file:/rows-{next(NAMES)}?vfs=memdb", lambda: NOW)
    result_of(fill(opened))
    for statement, values in ROWS:
        bindings = {str(place): value for place, value in enumerate(values, 1)}
        opened.connection.execute(statement, bindings)
    yield opened
    result_of(opened.close())


TABLES = (*("receipt", "event", "entry", "line", "migration", "old_number", "merchant_reference"),)
KEPT = (
    *("payment", "instruction", "fact", "operator_case", "engine", "api_key"),
    *("refund_batch", "refund_batch_lines"),
)
REPLACED = {
    "receipt": ["key"],
    "event": ["position", "object_id"],
    "entry": ["position"],
    "line": ["source"],
    "migration": ["number"],
    "old_number": ["number"],
    "payment": ["payment_id"],
    "instruction": ["instruction_id", "number"],
    "fact": ["fact_id"],
    "operator_case": ["case_id"],
    "merchant_reference": ["object_id"],
    "api_key": ["key_id", "sha256"],
}


@pytest.mark.parametrize("table", TABLES)
def test_what_is_recorded_stays(rows: SqliteStore, table: str) -> None:
    before, columns = dump(rows), columns_of(rows, table)

    for column in columns:
        with pytest.raises(apsw.ConstraintError, match="append only"):
            run(rows, f"UPDATE {table} SET {column} = {column}")
    with pytest.raises(apsw.ConstraintError, match="append only"):
        run(rows, f"DELETE FROM {table}")
    assert dump(rows) == before


@pytest.mark.parametrize("table", KEPT)
def test_what_lives_is_never_removed(rows: SqliteStore, table: str) -> None:
    before = dump(rows)

    with pytest.raises(apsw.ConstraintError, match="never removed"):
        run(rows, f"DELETE FROM {table}")
    assert dump(rows) == before


@pytest.mark.parametrize(
    ("table", "key"), [(table, key) for table, keys in REPLACED.items() for key in keys]
)
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_nothing_is_replaced_by_any_of_its_keys(
    rows: SqliteStore, table: str, key: str, recursive: str
) -> None:
    """Also on a connection that does not ask the delete triggers."""
    before = dump(rows)
    run(rows, f"PRAGMA recursive_triggers = {recursive}")
    run(rows, "PRAGMA foreign_keys = OFF")
    others = {"position": "position + 99", "object_id": "object_id", "sequence": "sequence"}
    if key == "object_id":
        others["position"] = "position + 99"
    else:
        others |= {"position": "position", "object_id": "object_id || '_'"}
    if table == "instruction":
        others |= {
            "instruction_id": "instruction_id" + (" || '_'" if key == "number" else ""),
            "number": "number" + (" || '_'" if key != "number" else ""),
        }
    values = ", ".join(others.get(column, column) for column in columns_of(rows, table))

    with pytest.raises(apsw.ConstraintError, match=r"append only|never replaced"):
        run(rows, f"INSERT OR REPLACE INTO {table} SELECT {values} FROM {table} LIMIT 1")
    assert dump(rows) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE fact SET minor = 1 WHERE kind = 'chargeback'",
        "UPDATE fact SET state = 'opened' WHERE kind = 'chargeback'",
        "UPDATE fact SET state = 'won' WHERE kind = 'capture'",
        "UPDATE fact SET state = 'won', payment_id = 'x' WHERE kind = 'chargeback'",
        "UPDATE operator_case SET detail = 'x'",
        "UPDATE operator_case SET detail = 'x', closed_at = 1",
        "UPDATE operator_case SET closed_by = 'x'",
        "UPDATE instruction SET number = 'x'",
        "UPDATE instruction SET number = 'OLD', generation = 2",
        "UPDATE engine SET incarnation = incarnation - 1",
        "UPDATE engine SET now = now - 1",
    ],
)
def test_a_life_goes_on_only_as_it_may(rows: SqliteStore, statement: str) -> None:
    before = dump(rows)

    with pytest.raises(apsw.ConstraintError):
        run(rows, statement)
    assert dump(rows) == before


def test_a_closed_case_and_an_ended_dispute_stay_as_they_are(rows: SqliteStore) -> None:
    run(rows, "UPDATE operator_case SET closed_at = 1, closed_by = 'x'")
    run(rows, "UPDATE fact SET state = 'won' WHERE kind = 'chargeback'")

    for statement in (
        "UPDATE operator_case SET closed_at = 2",
        "UPDATE operator_case SET closed_at = NULL",
        "UPDATE fact SET state = 'lost' WHERE kind = 'chargeback'",
    ):
        with pytest.raises(apsw.ConstraintError, match="only"):
            run(rows, statement)


@pytest.mark.parametrize("kind", [Payment, Instruction])
def test_what_it_was_born_with_never_changes(rows: SqliteStore, kind: type[Any]) -> None:
    fields = kind.__struct_fields__
    for column in fields[: fields.index("state")]:
        with pytest.raises(apsw.ConstraintError, match="born with"):
            run(rows, f"UPDATE {kind.__name__} SET {column} = {column}")


@pytest.mark.parametrize("kind", [Payment, Instruction])
def test_the_columns_are_the_fields_in_their_order(rows: SqliteStore, kind: type[Any]) -> None:
    assert columns_of(rows, kind.__name__) == ["version", *kind.__struct_fields__]


@pytest.mark.parametrize(
    "change",
    [
        "reserved = 1001",
        "refunded = refunded + 1",
        "charged_back = -1",
        "voided = 1000",
        "capture_in_flight = 1000",
        "capture_in_flight = -1",
        "authorized = 10",
        "excess = 0",
        "excess = 101",
        "captured = 600.5",
        "captured = 'many'",
        f"authorized = {AMOUNT_MINOR_MAX + 1}",
        "authorized = 9223372036854775808",
        "refunds = -1",
        "unknown = -1",
        "closing = -1",
        "sequence = 0",
        "state = 'lost'",
        "state = NULL",
    ],
)
def test_the_database_refuses_a_payment_that_cannot_be(rows: SqliteStore, change: str) -> None:
    with pytest.raises(apsw.ConstraintError):
        run(rows, f"UPDATE payment SET {change}")


@pytest.mark.parametrize(
    "change",
    [
        "state = 'lost'",
        "state = 'failed'",
        "state = 'succeeded', final_at = 5",
        "final_at = 5, due_at = NULL",
        "state = 'held', deadline_at = NULL",
        "withdrawal = 'perhaps'",
        "waiting = 'long'",
        "attempt = 0",
        "leave_by = NULL",
        "lease = -1",
        "in_doubt = 2",
        "sequence = 0",
        "due_at = 'soon'",
    ],
)
def test_the_database_refuses_an_instruction_that_cannot_be(rows: SqliteStore, change: str) -> None:
    with pytest.raises(apsw.ConstraintError):
        run(rows, f"UPDATE instruction SET {change}")


@pytest.mark.parametrize(
    "change",
    [
        {"minor": "0"},
        {"minor": str(AMOUNT_MINOR_MAX + 1)},
        {"kind": "'chargeback'"},
        {"mode": "'by_hand'"},
        {"currency": "'USD'"},
        {"payment_id": "'acme/pay_2'"},
        {"leg": "-1"},
        {"is_fallback": "7"},
    ],
)
def test_no_instruction_is_born_that_cannot_be(rows: SqliteStore, change: dict[str, str]) -> None:
    fresh = {"instruction_id": "'acme/ref_2'", "number": "'N2'"} | change
    values = ", ".join(fresh.get(column, column) for column in columns_of(rows, "instruction"))

    with pytest.raises(apsw.ConstraintError):
        run(rows, f"INSERT INTO instruction SELECT {values} FROM instruction")


def test_a_row_in_another_version_than_loaded_stops_the_commit(rows: SqliteStore) -> None:
    before = result_of(rows.contents())

    def overtaken(_: Loaded) -> Commit:
        run(rows, "UPDATE payment SET version = version + 1")
        return commit_of(payments=[replace(PAYMENT, reference="x")])

    with pytest.raises(AssertionError, match="UPDATE payment"):
        result_of(rows.commit([refund()], overtaken))
    assert result_of(rows.contents()) == before


@pytest.mark.parametrize("name", ["a\0b", "\0", "a\0"])
def test_a_key_with_a_zero_byte_is_found_exactly_as_it_was_written(
    rows: SqliteStore, name: str
) -> None:
    keys = [name, name + "\0", name + "x"]
    for key in keys:
        result_of(save(rows, receipts=[Receipt(key, bytes(32), key.encode())]))
    loaded = result_of(save(rows, *(refund(key=key) for key in keys)))

    assert {key: receipt.body for key, receipt in loaded.receipts.items()} == {
        key: key.encode() for key in keys
    }


def test_a_new_generation_keeps_the_old_number_in_a_table_of_its_own(rows: SqliteStore) -> None:
    assert rows_of(rows, "SELECT * FROM old_number") == [("OLD", "acme/ref_1")]

    third = replace(REFUND, number="THIRD", generation=2)
    result_of(save(rows, reaching(REFUND), instructions=[third]))
    assert rows_of(rows, "SELECT * FROM old_number") == [
        ("NEW", "acme/ref_1"),
        ("OLD", "acme/ref_1"),
    ]


def run(store: SqliteStore, statement: str) -> None:
    store.connection.execute(statement).fetchall()


def rows_of(store: SqliteStore, statement: str) -> list[Any]:
    return store.connection.execute(statement).fetchall()


def columns_of(store: SqliteStore, table: str) -> list[str]:
    rows = rows_of(store, f"SELECT name FROM pragma_table_info('{table.lower()}')")
    return [row[0] for row in rows]


def dump(store: SqliteStore) -> bytes:
    """Every row of every table."""
    tables = rows_of(store, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    rows = {name: rows_of(store, f"SELECT * FROM {name} ORDER BY 1") for (name,) in tables}
    assert all(rows[name] for name in rows if name != "cursor"), "a table without a row"
    return msgspec.json.encode(rows)
