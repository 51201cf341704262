# ruff: noqa: S608 the statements are made of our own words.
"""The tables of PostgreSQL keep what they were told, whoever speaks plain SQL to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from contract.stores.samples import PAYMENT, REFUND, commit_of, fill, reaching, refund, save
from msgspec.structs import replace
from store.databases import Database, Opened, filled_of

from contraflow.domain.instruction import Instruction
from contraflow.domain.payment import Payment
from contraflow.store import Loaded, postgres
from contraflow.store.postgres_schema import OWNER
from contraflow.store.rows import Found

TABLES = (
    *("receipt", "event", "entry", "feed", "line", "old_number", "migration"),
    "merchant_reference",
)
KEPT = (
    *("payment", "instruction", "fact", "operator_case", "account", "sequencer", "home", "parked"),
    *("api_key", "refund_batch", "refund_batch_lines"),
)
# Of those who are not bound by any right: the superuser, the owner, and whoever replays changes.
WHO = {
    "superuser": "SELECT 1",
    "owner": f"SET ROLE {OWNER}",
    "replica": "SET session_replication_role = replica",
    "local": "SET session_replication_role = local",
}
KEEPING = "append only|never removed|born with"


@pytest.fixture
def rows(major: int) -> Database:
    return filled_of(major)


@asynccontextmanager
async def session(database: Database, who: str = "superuser") -> AsyncIterator[asyncpg.Connection]:
    connection = await database.connect()
    try:
        await connection.execute(WHO[who])
        yield connection
    finally:
        await connection.close()


async def refused(connection: asyncpg.Connection, statement: str, words: str) -> None:
    """And nothing comes of it."""
    await connection.execute("BEGIN")
    with pytest.raises(asyncpg.PostgresError, match=words):
        await connection.execute(statement)
    await connection.execute("ROLLBACK")


async def columns_of(database: Database, table: str) -> list[str]:
    rows = await database.ask(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 "
        "AND NOT attisdropped ORDER BY attnum",
        table,
    )
    return [name for (name,) in rows]


async def dump(database: Database) -> dict[str, Any]:
    """Every row of every table."""
    tables = await database.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'contraflow'")
    return {
        name: sorted(map(repr, await database.ask(f"SELECT * FROM {name}"))) for (name,) in tables
    }


async def test_there_is_something_in_every_table(rows: Database) -> None:
    assert [name for name, found in (await dump(rows)).items() if not found] == ["gate"]


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("table", TABLES)
async def test_what_is_recorded_stays(rows: Database, table: str, who: str) -> None:
    before = await dump(rows)
    columns = await columns_of(rows, table)
    async with session(rows, who) as connection:
        for statement in (
            *(f"UPDATE {table} SET {column} = {column}" for column in columns),
            f"UPDATE {table} SET {columns[0]} = {columns[0]} WHERE false",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
            f"TRUNCATE {table} CASCADE",
            f"TRUNCATE suspect, {table}",
            f"MERGE INTO {table} USING suspect ON true WHEN MATCHED THEN DELETE",
        ):
            await refused(connection, statement, "append only")

    assert await dump(rows) == before


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("table", KEPT)
async def test_what_lives_is_never_removed(rows: Database, table: str, who: str) -> None:
    before = await dump(rows)
    async with session(rows, who) as connection:
        for statement in (
            f"DELETE FROM {table}",
            f"DELETE FROM {table} WHERE false",
            f"TRUNCATE {table}",
            f"TRUNCATE suspect, {table} CASCADE",
            f"MERGE INTO {table} USING suspect ON true WHEN MATCHED THEN DELETE",
        ):
            await refused(connection, statement, "never removed")

    assert await dump(rows) == before


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("kind", [Payment, Instruction])
async def test_what_it_was_born_with_never_changes(
    rows: Database, kind: type[Any], who: str
) -> None:
    before = await dump(rows)
    fields = kind.__struct_fields__
    table = kind.__name__.lower()
    async with session(rows, who) as connection:
        for column in fields[: fields.index("state")]:
            await refused(connection, f"UPDATE {table} SET {column} = {column}", "born with")
        key = fields[0]
        upsert = f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({key}) DO UPDATE SET "
        for column in ("channel", "currency", key):
            await refused(connection, f"{upsert} {column} = excluded.{column}", "born with")
        for column in fields[fields.index("state") :]:
            done = await connection.execute(f"UPDATE {table} SET {column} = {column}")
            assert done == "UPDATE 1"

    assert await dump(rows) == before


@pytest.mark.parametrize("kind", [Payment, Instruction])
async def test_the_columns_are_the_fields_in_their_order(rows: Database, kind: type[Any]) -> None:
    """Of what is inserted; what is read is read by name."""
    assert await columns_of(rows, kind.__name__.lower()) == ["version", *kind.__struct_fields__]


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE fact SET minor = 1 WHERE kind = 'chargeback'",
        "UPDATE fact SET state = 'opened' WHERE kind = 'chargeback'",
        "UPDATE fact SET state = 'won' WHERE kind = 'capture'",
        "UPDATE fact SET state = 'won', payment_id = 'x' WHERE kind = 'chargeback'",
        "UPDATE fact SET state = 'won', minor = 1 WHERE kind = 'chargeback'",
        "UPDATE fact SET state = 'won', currency = 'x' WHERE kind = 'chargeback'",
        "UPDATE fact SET state = 'won', fact_id = 'x' WHERE kind = 'chargeback'",
        "UPDATE fact SET state = 'won', kind = 'capture' WHERE kind = 'chargeback'",
        "UPDATE fact SET booked_at = 1 WHERE kind = 'chargeback'",
        "UPDATE operator_case SET detail = 'x'",
        "UPDATE operator_case SET detail = 'x', closed_at = 1",
        "UPDATE operator_case SET object_id = 'x', closed_at = 1",
        "UPDATE operator_case SET deadline_at = 1, closed_at = 1",
        "UPDATE operator_case SET closed_by = 'x'",
        "UPDATE instruction SET number = 'x'",
        "UPDATE instruction SET number = 'x', generation = 0",
        "UPDATE instruction SET number = 'OLD', generation = 2",
    ],
)
async def test_a_life_goes_on_only_as_it_may(rows: Database, statement: str, who: str) -> None:
    async with session(rows, who) as connection:
        await connection.execute("BEGIN")  # What it does goes with the session.
        with pytest.raises(asyncpg.RaiseError, match=r"only where|only be closed|fresh number"):
            await connection.execute(statement)


async def test_a_life_goes_on_as_it_may(rows: Database) -> None:
    """And what has ended stays as it is."""
    async with session(rows) as connection:
        await connection.execute("BEGIN")
        for statement in (
            "UPDATE fact SET state = 'won', booked_at = 5 WHERE kind = 'chargeback'",
            "UPDATE operator_case SET closed_at = 1, closed_by = 'x'",
            "UPDATE instruction SET number = 'x', generation = 2",
            "UPDATE instruction SET generation = 3",
            "UPDATE parked SET due_at = NULL",
            "UPDATE account SET balance = balance + 1",
        ):
            await connection.execute(statement)
        for statement in (
            "UPDATE fact SET state = 'lost' WHERE kind = 'chargeback'",
            "UPDATE operator_case SET closed_at = 2",
            "UPDATE operator_case SET closed_at = NULL",
        ):
            await connection.execute("SAVEPOINT here")
            with pytest.raises(asyncpg.RaiseError, match="only"):
                await connection.execute(statement)
            await connection.execute("ROLLBACK TO here")
        await connection.execute("ROLLBACK")


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(
    "change",
    [{"currency": "'USD'"}, {"payment_id": "'acme/pay_2'"}, {"payment_id": "''"}],
    ids=["currency", "unknown payment", "no payment"],
)
async def test_no_instruction_is_born_of_a_payment_that_is_not_its_own(
    rows: Database, change: dict[str, str], who: str
) -> None:
    """Also as one of many of a batch."""
    names = await columns_of(rows, "instruction")
    selected = []
    for number in ("1", "2", "3"):
        fresh = {"instruction_id": f"'acme/new_{number}'", "number": f"'N{number}'"}
        fresh |= change if number == "2" else {}
        selected.append(", ".join(fresh.get(name, name) for name in names))
    insert = "INSERT INTO instruction " + " UNION ALL ".join(
        f"(SELECT {values} FROM instruction LIMIT 1)" for values in selected
    )
    async with session(rows, who) as connection:
        await connection.execute("BEGIN")  # What it does goes with the session.
        with pytest.raises(asyncpg.RaiseError, match="currency of its payment"):
            await connection.execute(insert)


async def test_every_rule_stands_for_everybody(rows: Database) -> None:
    """ENABLE ALWAYS, so that no role of replication passes it."""
    triggers = await rows.ask(
        "SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger "
        "WHERE NOT tgisinternal"
    )

    assert {enabled for _, _, enabled in triggers} == {"A"}
    assert {table for table, _, _ in triggers} == {*TABLES, *KEPT}
    assert len(triggers) == len({*TABLES, *KEPT}) + 7


async def test_whatever_is_looked_up_by_name_sorts_as_python_does(rows: Database) -> None:
    """Locks are taken in this order on both sides."""
    wrong = await rows.ask(
        "SELECT attrelid::regclass::text, attname FROM pg_index "
        "JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey) "
        "JOIN pg_class ON pg_class.oid = indrelid "
        "WHERE relnamespace = 'contraflow'::regnamespace AND atttypid = 'text'::regtype "
        "AND attcollation <> 'pg_catalog.\"C\"'::regcollation AND relname <> 'migration'"
    )

    assert wrong == [("operator_case", "kind")]  # A word of ours, and nothing is locked by it.


async def test_a_row_in_another_version_than_loaded_stops_the_commit(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be, since it is locked; if it were, money could be at stake."""
    store = await opened.store()
    await fill(store)
    before = await dump(opened.database)
    load = postgres.load

    async def stale(*given: Any) -> tuple[Found, int]:
        found, number = await load(*given)
        for versions in (found.payment_versions, found.instruction_versions):
            versions.update({name: version - 1 for name, version in versions.items()})
        return found, number

    monkeypatch.setattr(postgres, "load", stale)
    for parts in (
        {"payments": [replace(PAYMENT, reference="x")]},
        {"instructions": [replace(REFUND, reference="x")]},
    ):
        with pytest.raises(AssertionError, match="0 of 1"):
            await save(store, reaching(REFUND), **parts)

    assert await dump(opened.database) == before


async def test_a_plan_sees_rows_that_nobody_else_can_change(opened: Opened) -> None:
    store = await opened.store()
    await fill(store)
    seen: list[Loaded] = []

    def plan(loaded: Loaded) -> Any:
        seen.append(loaded)
        return commit_of(payments=[replace(PAYMENT, sequence=PAYMENT.sequence + len(seen))])

    for _ in range(3):
        await store.commit([refund()], plan)

    assert [loaded.payments["acme/pay_1"].sequence for loaded in seen] == [7, 8, 9]
    version = await opened.database.value("SELECT version FROM payment")
    assert version == 4
