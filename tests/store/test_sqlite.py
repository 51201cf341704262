"""What only the SQLite store has: a file that may be full, and plans of queries."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from contraflow.domain.decision import Receipt
from contraflow.errors import StoreUnwritable
from contraflow.outside.virtual_time import result_of
from contraflow.store import Commit, Record
from contraflow.store import sqlite_questions as ask
from contraflow.store import sqlite_statements as sql
from contraflow.store.sqlite import SqliteStore, connect, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(tmp_path / "contraflow.db", lambda: 1)
    yield opened
    result_of(opened.close())


def commit_of(**parts: Any) -> Commit:
    empty: dict[str, Any] = {name: [] for name in Commit.__struct_fields__}
    return Commit(**empty | parts)


def save(store: SqliteStore, number: int) -> None:
    key = f"acme/k{number}"
    commit = commit_of(
        receipts=[Receipt(key, bytes(32), bytes(4_000))],
        records=[Record(key, 1, bytes(4_000))],
    )
    result_of(store.commit([], lambda _: commit))


def save_until_it_is_full(store: SqliteStore) -> int:
    for number in range(100):
        try:
            save(store, number)
        except StoreUnwritable:
            return number
    raise AssertionError("it is never full")


def test_a_full_disk_loses_nothing_that_was_acknowledged(
    store: SqliteStore, tmp_path: Path
) -> None:
    [[pages]] = store.connection.execute("PRAGMA page_count").fetchall()
    store.connection.execute(f"PRAGMA max_page_count = {pages + 20}").fetchall()
    acknowledged = save_until_it_is_full(store)
    with pytest.raises(StoreUnwritable, match="Full"):
        save(store, 100)
    expected = {f"acme/k{number}" for number in range(acknowledged)}
    assert acknowledged > 0
    assert set(result_of(store.contents()).receipts) == expected

    store.connection.execute("PRAGMA max_page_count = 100000").fetchall()
    save(store, acknowledged)
    result_of(store.close())
    reopened = open_store(tmp_path / "contraflow.db", lambda: 1)
    contents = result_of(reopened.contents())
    assert set(contents.receipts) == {*expected, f"acme/k{acknowledged}"}
    assert [event[0] for event in contents.events] == list(range(1, acknowledged + 2))
    result_of(reopened.close())


def test_somebody_else_who_writes_for_long_is_trouble_and_not_an_end(
    store: SqliteStore, tmp_path: Path
) -> None:
    other = connect(tmp_path / "contraflow.db")
    store.connection.set_busy_timeout(0)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnwritable, match="Busy"):
        save(store, 1)
    other.execute("ROLLBACK")
    save(store, 1)

    assert set(result_of(store.contents()).receipts) == {"acme/k1"}


def test_a_store_that_may_only_read_cannot_write(store: SqliteStore) -> None:
    store.connection.execute("PRAGMA query_only = ON").fetchall()

    with pytest.raises(StoreUnwritable):
        save(store, 1)


def test_a_copy_of_a_template_is_a_store_of_its_own() -> None:
    template = open_store("file:/store-template?vfs=memdb", lambda: 1)
    save(template, 1)
    ground = connect("file:/store-copy?vfs=memdb")
    with ground.backup("main", template.connection, "main") as backup:
        backup.step()
    copy = SqliteStore(connect("file:/store-copy?vfs=memdb"), lambda: 1)
    save(copy, 2)

    assert set(result_of(copy.contents()).receipts) == {"acme/k1", "acme/k2"}
    assert set(result_of(template.contents()).receipts) == {"acme/k1"}
    for connection in (copy.connection, ground, template.connection):
        connection.close()


# Those of every batch and of every turn of a loop.
FREQUENT = {
    "PAYMENTS": sql.PAYMENTS,
    "INSTRUCTIONS": sql.INSTRUCTIONS,
    "INSTRUCTIONS_OF": sql.INSTRUCTIONS_OF,
    "NUMBERS": sql.NUMBERS,
    "RECEIPTS": sql.RECEIPTS,
    "FACTS": sql.FACTS,
    "CASES": sql.CASES,
    "CASES_OF": sql.CASES_OF,
    "LINES": sql.LINES,
    "QUARANTINED": sql.QUARANTINED,
    "UPDATE_PAYMENT": sql.UPDATE_PAYMENT,
    "UPDATE_INSTRUCTION": sql.UPDATE_INSTRUCTION,
    "RENUMBER": sql.RENUMBER,
    "UPDATE_FACT": sql.UPDATE_FACT,
    "CLOSE_CASE": sql.CLOSE_CASE,
    "DUE": sql.DUE,
    "DUE_PAYMENTS": sql.DUE_PAYMENTS,
    "DUE_PARKED": sql.DUE_PARKED,
    "UNDELIVERED": sql.UNDELIVERED,
    "ENTRIES_BETWEEN": sql.ENTRIES_BETWEEN,
    "ask PAYMENT": ask.PAYMENT,
    "ask INSTRUCTION": ask.INSTRUCTION,
    "ask INSTRUCTIONS_OF": ask.INSTRUCTIONS_OF,
    "ask LIST_INSTRUCTIONS": ask.LIST_INSTRUCTIONS,
    "ask EVENTS_OF": ask.EVENTS_OF,
    "ask ENTRIES_OF": ask.ENTRIES_OF,
    "ask RECEIPT": ask.RECEIPT,
}


@pytest.mark.parametrize("name", FREQUENT)
def test_a_frequent_statement_reads_no_whole_table(store: SqliteStore, name: str) -> None:
    statement = FREQUENT[name]
    numbered = [int(number) for number in re.findall(r"\?(\d+)", statement)]
    bindings = ("1",) * (max(numbered) if numbered else statement.count("?"))
    rows = store.connection.execute("EXPLAIN QUERY PLAN " + statement, bindings).fetchall()
    steps = [str(row[3]) for row in rows]

    scans = [step for step in steps if step.startswith("SCAN")]
    asked = re.compile("SCAN (wanted|served)")
    assert [step for step in scans if not asked.match(step)] == []
    assert not any("TEMP B-TREE" in step for step in steps if name.startswith("DUE"))


def test_no_check_builds_a_table_for_every_row(store: SqliteStore) -> None:
    """IN with more than two words does; it cost up to 170 us an instruction."""
    for statement, count in (
        (sql.INSERT_PAYMENT, 29),
        (sql.UPDATE_PAYMENT, 30),
        (sql.INSERT_INSTRUCTION, 31),
        (sql.UPDATE_INSTRUCTION, 32),
        (sql.INSERT_RECEIPT, 3),
        (sql.INSERT_EVENT, 4),
        (sql.INSERT_ENTRY, 8),
        (sql.INSERT_FACT, 7),
    ):
        program = store.connection.execute("EXPLAIN " + statement, (1,) * count).fetchall()

        assert not [step for step in program if step[1] == "OpenEphemeral"], statement


def test_the_store_has_no_more_indexes_than_it_needs(store: SqliteStore) -> None:
    """Each is written in the hot path; a new one needs a better reason than a slow report."""
    names = store.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")

    assert {name for (name,) in names if not str(name).startswith("sqlite_autoindex")} == {
        "payment_expires",
        "instruction_due",
        "instruction_payment",
        "instruction_attention",
        "operator_case_open",
        "payment_time",
        "instruction_time",
        "api_key_tenant",
        "nonce_age",
        "delivery_due",
        "delivery_list",
        "refund_batch_open",
        "parked_due",
    }


def test_nobody_makes_the_schema_writable(store: SqliteStore) -> None:
    store.connection.execute("PRAGMA writable_schema = ON").fetchall()

    with pytest.raises(apsw.SQLError, match="may not be modified"):
        store.connection.execute("DELETE FROM sqlite_schema WHERE name = 'event_delete'").fetchall()
