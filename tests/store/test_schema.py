from pathlib import Path

import pytest

from contraflow.errors import LibraryTooOld, SchemaUnknown, StoreUnwritable
from contraflow.outside.virtual_time import result_of
from contraflow.store.schema import MIGRATIONS, Migration, applied_to, migrate, migrations_in
from contraflow.store.sqlite import connect, open_store, refuse_old_library
from contraflow.store.sqlite_views import open_views

MIGRATION_TABLE = """
CREATE TABLE migration (
    number INTEGER PRIMARY KEY, name TEXT, sha256 TEXT, applied_at INTEGER) STRICT;
"""
FIRST = Migration(1, "first", MIGRATION_TABLE + "CREATE TABLE a (x INTEGER) STRICT;")
SECOND = Migration(2, "second", "ALTER TABLE a ADD COLUMN y TEXT; INSERT INTO a VALUES (1, 'y');")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "contraflow.db"


def test_migrations_are_applied_once_and_in_order(path: Path) -> None:
    connection = connect(path)
    migrate(connection, now=5, migrations=[FIRST])
    migrate(connection, now=6, migrations=[FIRST, SECOND])
    migrate(connection, now=7, migrations=[FIRST, SECOND])

    assert connection.execute("SELECT * FROM migration").fetchall() == [
        (1, "first", FIRST.sha256, 5),
        (2, "second", SECOND.sha256, 6),
    ]
    assert connection.execute("SELECT * FROM a").fetchall() == [(1, "y")]


def test_a_migration_that_fails_leaves_nothing_behind(path: Path) -> None:
    connection = connect(path)
    migrate(connection, now=5, migrations=[FIRST])
    broken = Migration(2, "second", "INSERT INTO a VALUES (1); INSERT INTO nowhere VALUES (1);")

    with pytest.raises(Exception, match="nowhere"):
        migrate(connection, now=6, migrations=[FIRST, broken])
    assert applied_to(connection) == {1: FIRST.sha256}
    assert connection.execute("SELECT * FROM a").fetchall() == []
    migrate(connection, now=6, migrations=[FIRST, SECOND])


def test_a_migration_that_was_changed_is_refused(path: Path) -> None:
    connection = connect(path)
    migrate(connection, now=5, migrations=[FIRST])

    with pytest.raises(SchemaUnknown, match="migration 1 is another one"):
        migrate(connection, now=6, migrations=[Migration(1, "first", FIRST.text + " ")])


def test_a_database_of_a_newer_contraflow_is_refused(path: Path) -> None:
    connection = connect(path)
    migrate(connection, now=5, migrations=[FIRST, SECOND])

    with pytest.raises(SchemaUnknown, match="migration 2 is newer"):
        migrate(connection, now=6, migrations=[FIRST])


def test_a_store_refuses_the_schema_of_others(path: Path) -> None:
    store = open_store(path, lambda: 1)
    store.connection.execute("INSERT INTO migration VALUES (99, 'x', hex(zeroblob(32)), 1)")
    result_of(store.close())

    with pytest.raises(SchemaUnknown, match="99"):
        open_store(path, lambda: 1)
    with pytest.raises(SchemaUnknown):
        open_views(path)


def test_our_own_migrations_have_no_gap_and_are_all_applied(path: Path) -> None:
    store = open_store(path, lambda: 1)

    assert [m.number for m in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))
    assert applied_to(store.connection) == {m.number: m.sha256 for m in MIGRATIONS}
    result_of(store.close())


def test_a_gap_between_migrations_is_our_own_bug(tmp_path: Path) -> None:
    (tmp_path / "0002_late.sql").write_text("", encoding="utf-8")

    with pytest.raises(AssertionError):
        migrations_in(tmp_path)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)

    with pytest.raises(SchemaUnknown):
        open_store(path, lambda: 1)
    with pytest.raises(SchemaUnknown):
        open_views(path)


def test_views_do_not_make_a_database(path: Path) -> None:
    with pytest.raises(StoreUnwritable):
        open_views(path)
    assert not path.exists()


@pytest.mark.parametrize("version", ["3.51.2", "3.50.99", "2.99.99"])
def test_an_old_library_is_refused(version: str) -> None:
    with pytest.raises(LibraryTooOld):
        refuse_old_library(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "4.0.0"])
def test_a_library_that_keeps_its_log_is_taken(version: str) -> None:
    refuse_old_library(version)

    assert version


@pytest.mark.parametrize(
    ("pragma", "expected"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("recursive_triggers", 1),
        ("mmap_size", 0),
        ("wal_autocheckpoint", 4_000),
    ],
)
def test_a_connection_is_hardened(path: Path, pragma: str, expected: object) -> None:
    store = open_store(path, lambda: 1)

    assert store.connection.execute(f"PRAGMA {pragma}").fetchall() == [(expected,)]
    result_of(store.close())
