# ruff: noqa: S608 the statements are made of our own words.
"""Three roles: one owns the tables, one writes and owns nothing, one reads and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from contract.stores.samples import save
from servers import found, guard
from store.asking import accepted, ask, recorded
from store.databases import Database, Opened, bare, filled_of
from store.on_one_loop import run

from contraflow.domain.decision import Receipt
from contraflow.errors import StoreUnwritable
from contraflow.outside.postgres_server import PostgresServer, private_folder
from contraflow.store.postgres_opening import open_store, open_views
from contraflow.store.postgres_schema import (
    MIGRATIONS,
    OWNER,
    READER,
    WRITER,
    Migration,
    migrate,
)

TABLES = (
    "payment",
    "instruction",
    "old_number",
    "receipt",
    "event",
    "entry",
    "feed",
    "sequencer",
    "home",
    "gate",
    "account",
    "fact",
    "operator_case",
    "parked",
    "hold",
    "line",
    "cursor",
    "suspect",
    "commit_marker",
    "migration",
    "api_key",
    "nonce",
    "merchant_reference",
    "webhook_endpoint",
    "delivery",
    "refund_batch",
    "refund_batch_lines",
)
SECRETIVE = ("api_key", "nonce", "webhook_endpoint")  # Hashes and seals: not for who only reads.
DENIED = asyncpg.InsufficientPrivilegeError


@pytest.fixture
def filled(major: int) -> Database:
    return filled_of(major)


@asynccontextmanager
async def as_role(database: Database, role: str) -> AsyncIterator[asyncpg.Connection]:
    """Whatever happens is undone."""
    connection = await database.connect()
    try:
        await connection.execute(f"SET ROLE {role}")
        yield connection
    finally:
        await connection.close()


async def refused(connection: asyncpg.Connection, statement: str) -> None:
    await connection.execute("BEGIN")
    with pytest.raises(DENIED):
        await connection.execute(statement)
    await connection.execute("ROLLBACK")


async def test_the_tables_are_all_that_there_are(filled: Database) -> None:
    found = await filled.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'contraflow'")

    assert {name for (name,) in found} == set(TABLES)


async def test_everything_belongs_to_the_owner(filled: Database) -> None:
    question = """
        SELECT relname, pg_get_userbyid(relowner) FROM pg_class
        WHERE relnamespace = 'contraflow'::regnamespace
        UNION ALL SELECT proname, pg_get_userbyid(proowner) FROM pg_proc
        WHERE pronamespace = 'contraflow'::regnamespace
        UNION ALL SELECT nspname, pg_get_userbyid(nspowner) FROM pg_namespace
        WHERE nspname = 'contraflow'
    """

    assert {owner for _, owner in await filled.ask(question)} == {OWNER}


async def test_nobody_can_log_in_as_a_role_or_is_more_than_it_needs(filled: Database) -> None:
    found = await filled.ask(
        "SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, "
        "rolreplication FROM pg_roles WHERE rolname LIKE 'contraflow%' ORDER BY rolname"
    )
    members = await filled.ask(
        "SELECT count(*) FROM pg_auth_members WHERE member IN ($1::regrole, $2::regrole)",
        WRITER,
        READER,
    )

    assert [row[0] for row in found] == [OWNER, READER, WRITER]
    assert not any(any(row[1:]) for row in found)
    assert members == [(0,)]


@pytest.mark.parametrize("role", [WRITER, READER])
async def test_who_writes_and_who_reads_own_nothing(filled: Database, role: str) -> None:
    """So neither can take a table, a rule or a trigger away, nor add one."""
    async with as_role(filled, role) as connection:
        for table in TABLES:
            for statement in (
                f"DROP TABLE {table}",
                f"TRUNCATE {table}",
                f"ALTER TABLE {table} DISABLE TRIGGER USER",
                f"ALTER TABLE {table} DISABLE TRIGGER ALL",
                f"ALTER TABLE {table} ADD COLUMN x text",
                f"ALTER TABLE {table} OWNER TO {role}",
                f"CREATE TRIGGER x BEFORE INSERT ON {table} EXECUTE FUNCTION refuse()",
                f"CREATE INDEX ON {table} ((1))",
            ):
                await refused(connection, statement)
        for statement in (
            "CREATE TABLE x (y bigint)",
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "DROP FUNCTION clock_ms",
            "DROP SCHEMA contraflow CASCADE",
            "SET session_replication_role = replica",
        ):
            await refused(connection, statement)
        with pytest.raises(DENIED):
            await connection.execute("ALTER SYSTEM SET fsync = off")


async def test_who_reads_reads_everything_and_writes_nothing(filled: Database) -> None:
    async with as_role(filled, READER) as connection:
        for table in TABLES:
            if table in SECRETIVE:
                await refused(connection, f"SELECT count(*) FROM {table}")
            else:
                count = await connection.fetchval(f"SELECT count(*) FROM {table}")
                assert (count == 0) == (table == "gate"), table
            [column] = await filled.ask(
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass "
                "AND attnum = 1",
                table,
            )
            for statement in (
                f"INSERT INTO {table} SELECT * FROM {table}",
                f"DELETE FROM {table}",
                f"UPDATE {table} SET {column[0]} = {column[0]}",
                f"SELECT * FROM {table} FOR UPDATE",
            ):
                await refused(connection, statement)
        await refused(connection, "SELECT nextval('event_block')")


async def test_views_cannot_write_even_if_they_might(opened: Opened) -> None:
    views = await opened.views()
    async with views.link.connection() as connection:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("CREATE TEMPORARY TABLE x AS SELECT 1")
        assert await connection.fetchval("SELECT current_user") == READER


# What the writer may change, and no more.
MAY_UPDATE = {
    "payment": "version state authorized capture_in_flight captured void_in_flight voided reserved "
    "refunded charged_back excess refunds unknown closing paid_at captured_at refund_sent_at "
    "expires_at reference sequence",
    "instruction": "version state number generation withdrawal waiting sequence due_at deadline_at "
    "lease attempt sent_at leave_by in_doubt known_at final_at reference failure fruitless",
    "account": "balance",
    "fact": "state booked_at",
    "operator_case": "closed_at closed_by",
    "parked": "due_at",
    "cursor": "position owner leased_until",
    "sequencer": "next_xid position",
    "home": "system timeline moved_at",
    "commit_marker": "written_at",
    "suspect": "failures",
    "api_key": "expires_at revoked_at",
    "nonce": "seen_at",
    "webhook_endpoint": "url description types metadata secrets status why failing_since "
    "changed_at",
    "delivery": "status attempts due_at answer failure attempted_at",
    "refund_batch": "state sha256 format lines next_line accepted refused caller metadata failure "
    "finished_at leased_until lease",
    "refund_batch_lines": "body",
}
MAY_INSERT = set(TABLES) - {"sequencer", "home", "gate", "migration"}
MAY_DELETE = {"suspect", "hold", "gate", "commit_marker", "nonce", "delivery"}


async def test_who_writes_changes_only_what_lives(filled: Database) -> None:
    rights = {
        (table, right)
        for table in TABLES
        for right in ("SELECT", "INSERT", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
        if await filled.value("SELECT has_table_privilege($1, $2, $3)", WRITER, table, right)
    }
    columns = await filled.ask(
        "SELECT attrelid::regclass::text, attname FROM pg_attribute "
        "WHERE attrelid = ANY($1::text[]::regclass[]) AND attnum > 0 "
        "AND has_column_privilege($2::text, attrelid, attnum, 'UPDATE')",
        list(TABLES),
        WRITER,
    )
    expected = {(table, name) for table, names in MAY_UPDATE.items() for name in names.split()}

    assert {table for table, right in rights if right == "SELECT"} == set(TABLES)
    assert {table for table, right in rights if right == "INSERT"} == MAY_INSERT
    assert {table for table, right in rights if right == "DELETE"} == MAY_DELETE
    assert {right for _, right in rights} == {"SELECT", "INSERT", "DELETE"}
    assert set(columns) == expected


# Logins: a database's life without its superuser.

LOGINS = ("mayor", "clerk", "reader", "stranger")


@pytest.fixture(scope="module", params=found(), ids=lambda each: str(each.major))
def young(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A server that has none of our roles yet; `mayor` may make them, and is no superuser."""
    server = PostgresServer(request.param, private_folder(), {"shared_buffers": "16MB"})
    guard(server.folder)
    server.create()
    server.start()
    made = [f"CREATE ROLE {name} LOGIN PASSWORD 'word'" for name in LOGINS]
    database = Database(server, "postgres")
    run(database.execute(*made, "ALTER ROLE mayor CREATEROLE"))
    run(database.settle())
    yield server
    server.delete()


@pytest.fixture
def town(young: PostgresServer) -> Iterator[Database]:
    """An empty database that belongs to `mayor`."""
    database = bare(young, "OWNER mayor")
    yield database
    run(database.settle())


@pytest.mark.slow
async def test_an_owner_that_is_no_superuser_can_migrate(town: Database) -> None:
    dsn = town.dsn_of("mayor")

    assert await migrate(dsn) == [migration.name for migration in MIGRATIONS]
    assert await migrate(dsn) == []


@pytest.mark.slow
async def test_each_login_does_its_own(town: Database) -> None:
    mayor, clerk, reader = (town.dsn_of(name) for name in ("mayor", "clerk", "reader"))
    await migrate(mayor)
    await town.execute(f"GRANT {WRITER} TO clerk", f"GRANT {READER} TO reader")
    store, views = await open_store(clerk), await open_views(reader)
    [answer] = await ask(store, recorded())
    await store.undelivered("sink", 9)
    await store.suspect(["x"], is_proven=True)
    await store.clear_suspects()
    accepted(answer)

    assert await views.payment("main/pay_1") is not None
    await views.close()
    await store.close()
    for opening in (lambda: open_store(reader), lambda: open_views(clerk)):
        with pytest.raises(StoreUnwritable, match="permission denied"):
            await opening()


@pytest.mark.slow
async def test_who_may_only_write_cannot_migrate(town: Database) -> None:
    await migrate(town.dsn_of("mayor"))
    await town.execute(f"GRANT {WRITER} TO clerk")
    more = (*MIGRATIONS, Migration("pre_0099_more", "CREATE TABLE more (x bigint)"))
    for login in ("clerk", "stranger"):
        with pytest.raises(StoreUnwritable, match="does not let us"):
            await migrate(town.dsn_of(login), migrations=more)

    assert await town.value("SELECT to_regclass('contraflow.more') IS NULL")


@pytest.mark.slow
async def test_who_may_only_write_needs_somebody_to_make_the_tables(town: Database) -> None:
    await migrate(town.dsn_of("mayor"), migrations=[])
    await town.execute(f"GRANT {WRITER} TO clerk", "DROP SCHEMA contraflow CASCADE")
    with pytest.raises(StoreUnwritable, match="does not let us"):
        await open_store(town.dsn_of("clerk"))
    store = await open_store(town.dsn_of("clerk"), owner=town.dsn_of("mayor"))
    await save(store, receipts=[Receipt("acme/k", bytes(32), b"")])

    assert set((await store.contents()).receipts) == {"acme/k"}
    await store.close()


@pytest.mark.slow
async def test_a_stranger_sees_nothing(town: Database) -> None:
    await migrate(town.dsn_of("mayor"))
    stranger = await asyncpg.connect(town.dsn_of("stranger"))
    for table in TABLES:
        with pytest.raises(DENIED):
            await stranger.execute(f"SELECT * FROM contraflow.{table}")
    await stranger.close()
