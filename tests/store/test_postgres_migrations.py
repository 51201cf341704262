"""Migrations are applied once and in order, by whoever may, also while the old version serves."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.stores.samples import KEY, PARKED, PAYMENT, REFUND, fill, reaching, refund, save
from msgspec.structs import replace
from servers import found, guard, running
from store.asking import ask, recorded, refund_of
from store.databases import Database, Opened, bare
from store.on_one_loop import run

from contraflow.domain import commands as c
from contraflow.domain.decision import Receipt
from contraflow.engine.audit import audit
from contraflow.errors import SchemaUnknown
from contraflow.outside.postgres_server import PostgresServer, private_folder
from contraflow.store import Record, postgres_schema
from contraflow.store.postgres import PostgresStore
from contraflow.store.postgres_opening import open_store, open_views
from contraflow.store.postgres_schema import MIGRATIONS, Migration, migrate, migrations_in

FIRST = Migration(
    "pre_0001_first",
    """
    CREATE TABLE a (x bigint);
    GRANT USAGE ON SCHEMA contraflow TO contraflow_writer, contraflow_reader;
    GRANT SELECT ON ALL TABLES IN SCHEMA contraflow TO contraflow_writer, contraflow_reader;
    """,
)
SECOND = Migration(
    "pre_0002_second", "ALTER TABLE a ADD COLUMN y text; INSERT INTO a VALUES (1, 'y')"
)
THIRD = Migration("post_0003_third", "ALTER TABLE a DROP COLUMN x")
FOURTH = Migration("pre_0004_fourth", "ALTER TABLE a ADD COLUMN z text")
ALL = (FIRST, SECOND, THIRD, FOURTH)


@pytest.fixture
def empty(major: int) -> Iterator[Database]:
    """Without a single table."""
    database = bare(running(major))
    yield database
    run(database.settle())


async def applied(database: Database) -> list[str]:
    rows = await database.ask("SELECT name FROM migration ORDER BY applied_at")
    return [name for (name,) in rows]


async def test_an_empty_database_gets_its_tables_when_it_is_opened(empty: Database) -> None:
    store = await open_store(empty.dsn)
    await save(store, receipts=[Receipt("acme/k", bytes(32), b"")])
    await store.close()

    assert await applied(empty) == [migration.name for migration in MIGRATIONS]
    assert await migrate(empty.dsn) == []


async def test_a_database_in_use_is_changed_by_nobody_who_opens_it(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only when a person says so."""
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", (*MIGRATIONS, SECOND))

    for opening in (open_store(opened.database.dsn), open_views(opened.database.dsn)):
        with pytest.raises(SchemaUnknown, match="pre_0002_second is missing; run contraflow migr"):
            await opening


async def test_each_is_applied_once_and_in_order(empty: Database) -> None:
    assert await migrate(empty.dsn, migrations=[FIRST]) == ["pre_0001_first"]
    assert await migrate(empty.dsn, migrations=ALL[:2]) == ["pre_0002_second"]
    assert await migrate(empty.dsn, migrations=ALL[:2]) == []
    assert await empty.ask("SELECT * FROM a") == [(1, "y")]


async def test_what_the_old_version_needs_goes_when_a_person_says_so(empty: Database) -> None:
    """And what comes behind it waits for it."""
    assert await migrate(empty.dsn, migrations=ALL) == ["pre_0001_first", "pre_0002_second"]
    assert await migrate(empty.dsn, migrations=ALL) == []
    assert await migrate(empty.dsn, migrations=ALL, with_post=True) == [
        "post_0003_third",
        "pre_0004_fourth",
    ]
    assert await applied(empty) == [migration.name for migration in ALL]
    assert await empty.ask("SELECT * FROM a") == [("y", None)]


async def test_one_that_fails_leaves_nothing_behind(empty: Database) -> None:
    broken = Migration(
        "pre_0002_second", "INSERT INTO a VALUES (1); INSERT INTO nowhere VALUES (1)"
    )
    await migrate(empty.dsn, migrations=[FIRST])
    with pytest.raises(SchemaUnknown, match="nowhere"):
        await migrate(empty.dsn, migrations=[FIRST, broken, FOURTH])

    assert await applied(empty) == ["pre_0001_first"]
    assert await empty.ask("SELECT * FROM a") == []
    assert await migrate(empty.dsn, migrations=ALL[:2]) == ["pre_0002_second"]


async def test_one_that_was_changed_is_refused(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(empty.dsn, migrations=[FIRST, SECOND])
    changed = Migration(FIRST.name, FIRST.text + " ")

    with pytest.raises(SchemaUnknown, match="pre_0001_first is another one"):
        await migrate(empty.dsn, migrations=[changed, SECOND, FOURTH])
    assert await applied(empty) == ["pre_0001_first", "pre_0002_second"]
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", (changed, SECOND))
    for opening in (open_store(empty.dsn), open_views(empty.dsn)):
        with pytest.raises(SchemaUnknown, match="pre_0001_first is another one"):
            await opening


async def test_whoever_removes_what_we_need_locks_us_out(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(empty.dsn, migrations=ALL, with_post=True)
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", (FIRST, SECOND))

    for opening in (open_store(empty.dsn), open_views(empty.dsn)):
        with pytest.raises(SchemaUnknown, match="post_0003_third is newer"):
            await opening


@pytest.mark.slow
async def test_many_may_migrate_at_once(empty: Database) -> None:
    results = await asyncio.gather(*(migrate(empty.dsn) for _ in range(4)))

    assert sorted(results) == [[], [], [], [migration.name for migration in MIGRATIONS]]


@pytest.mark.slow
async def test_many_may_open_an_empty_database_at_once(empty: Database) -> None:
    stores = await asyncio.gather(*(open_store(empty.dsn) for _ in range(4)))
    for number, store in enumerate(stores):
        await save(store, receipts=[Receipt(f"acme/k{number}", bytes(32), b"")])
        await store.close()

    assert await empty.value("SELECT count(*) FROM receipt") == 4


@pytest.mark.slow
async def test_many_databases_of_a_server_may_be_migrated_at_once() -> None:
    """The roles are common to them, and none of them is there yet."""
    if not found():
        pytest.skip("no PostgreSQL was found")
    server = PostgresServer(found()[0], private_folder(), {"shared_buffers": "16MB"})
    guard(server.folder)
    await asyncio.to_thread(server.create)
    await asyncio.to_thread(server.start)
    names = [f"d{number}" for number in range(6)]
    ground = Database(server, "postgres")
    await ground.execute(*(f"CREATE DATABASE {name}" for name in names))
    await ground.settle()
    try:
        done = await asyncio.gather(*(migrate(server.superuser_dsn(name)) for name in names))
    finally:
        await asyncio.to_thread(server.delete)

    assert done == [[migration.name for migration in MIGRATIONS]] * 6


MIGRATE = """
import asyncio, sys
from contraflow.store.postgres_schema import migrate
print(*asyncio.run(migrate(sys.argv[1])))
"""


@pytest.mark.slow
async def test_many_processes_may_migrate_at_once(empty: Database) -> None:
    programs = [
        subprocess.Popen([sys.executable, "-c", MIGRATE, empty.dsn], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    said = [await asyncio.to_thread(program.communicate) for program in programs]
    done = " ".join(migration.name for migration in MIGRATIONS).encode()

    assert sorted(out.strip() for out, _ in said) == [b"", b"", b"", done]


# While the old version serves.

# What a newer version may add: columns to every table, tables, indexes.
NEWER = Migration(
    "pre_0099_newer",
    """
    DO $$ DECLARE
        kept text;
    BEGIN
        FOR kept IN SELECT tablename FROM pg_tables WHERE schemaname = 'contraflow' LOOP
            EXECUTE format('ALTER TABLE %I ADD COLUMN newer text DEFAULT ''new''', kept);
            EXECUTE format('CREATE INDEX ON %I (newer)', kept);
        END LOOP;
    END $$;
    CREATE TABLE newer (x bigint)
    """,
)


@pytest.mark.slow
async def test_the_old_version_serves_while_a_newer_one_adds_what_it_needs(
    empty: Database,
) -> None:
    """Whatever is prepared and pooled in it goes on, and so does one that is opened after."""
    opened = Opened(empty)
    old, views = await opened.store(), await opened.views()
    await fill(old)
    await everything(old, "before")
    before = await views.contents()
    assert await migrate(empty.dsn, migrations=(*MIGRATIONS, NEWER)) == [NEWER.name]
    try:
        await everything(old, "after")
        assert (await views.contents()).payments.keys() > before.payments.keys()
        later, later_views = await opened.store(), await opened.views()
        await everything(later, "later")
        for looking in (views, later_views):
            assert await looking.payment("acme/pay_1") == PAYMENT
            assert await looking.receipt("acme/key_1") == Receipt("acme/key_1", bytes(32), b"{}")
            assert len(await looking.events_of(["acme/ref_1"])) == 1
            assert (await looking.open_cases())[0].detail == "why"
    finally:
        await opened.close()


async def everything(store: PostgresStore, name: str) -> None:
    """What a process does all day."""
    payment = replace(PAYMENT, payment_id=f"acme/{name}", expires_at=1, state="pending")
    waits = replace(
        REFUND,
        instruction_id=f"acme/of_{name}",
        payment_id=payment.payment_id,
        number=name,
        channel="telex",
        due_at=0,
    )
    await save(
        store,
        payments=[payment],
        instructions=[waits],
        parked=[replace(PARKED, notice_id=name, due_at=1)],
        records=[Record(payment.payment_id, 1, b"{}")],
    )
    [given] = await store.due("telex", 9)
    loaded = await save(store, reaching(given), refund(), c.ExpirePayment(payment_id="acme/x"))
    assert loaded.payments["acme/pay_1"] == PAYMENT
    assert loaded.receipts[KEY["key"]] == Receipt("acme/key_1", bytes(32), b"{}")
    moved = replace(given, due_at=None, number=f"{name}_2", generation=given.generation + 1)
    await save(store, reaching(given), instructions=[moved], payments=[])
    assert name in {parked.notice_id for parked in await store.due_parked(["rail"], 9)}
    assert payment in await store.due_payments(["rail"], 9)
    assert len(await store.undelivered(f"sink_{name}", 99)) > 0
    await ask(store, recorded(f"main/{name}"), refund_of("main/nobody"))
    await ask(store, refund_of(f"main/{name}"))
    contents = await store.contents()
    assert contents.instructions[moved.instruction_id] == moved
    assert audit(contents) != []  # The samples are not of one piece; the requests are.


# The files.


def test_the_files_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("post_0002_b", "pre_0001_a", "pre_0003_c"):
        (tmp_path / f"{name}.sql").write_text("SELECT 1")

    assert [migration.name for migration in migrations_in(tmp_path)] == [
        "pre_0001_a",
        "post_0002_b",
        "pre_0003_c",
    ]


@pytest.mark.parametrize("name", ["pre_0003_c", "0002_b", "pre_2_b", "late_0002_b"])
def test_a_gap_or_a_strange_name_among_the_files_is_our_own_bug(tmp_path: Path, name: str) -> None:
    for each in ("pre_0001_a", name):
        (tmp_path / f"{each}.sql").write_text("SELECT 1")

    with pytest.raises(AssertionError):
        migrations_in(tmp_path)
