"""The numbered migrations of a PostgreSQL database, and the roles that may do what.

A `pre_` migration only adds, and runs while the old version still serves; a `post_` one removes
what only the old version needed, and runs once that is gone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import asyncpg
from msgspec import Struct

from contraflow.errors import SchemaUnknown
from contraflow.store import postgres_statements as sql
from contraflow.store.postgres_link import CONNECT_S, refuse_unsafe
from contraflow.store.postgres_trouble import in_our_words

OWNER = "contraflow_owner"
WRITER = "contraflow_writer"
READER = "contraflow_reader"
# Roles are the whole server's: another of its databases may be migrated at the same moment.
ALREADY = (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError)
NAME = re.compile(r"(pre|post)_([0-9]{4})_[a-z_]+")


class Migration(Struct, frozen=True, gc=False):
    name: str  # Of the file, without its ending.
    text: str

    @property
    def is_pre(self) -> bool:
        return self.name.startswith("pre_")

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations_in(folder: Path) -> tuple[Migration, ...]:
    """In the order of their numbers, which have no gap."""
    found = [
        Migration(path.stem, path.read_text(encoding="utf-8")) for path in folder.glob("*.sql")
    ]
    found.sort(key=lambda migration: migration.name.partition("_")[2])
    numbers = [NAME.fullmatch(migration.name) for migration in found]
    assert [int(n[2]) for n in numbers if n] == list(range(1, len(found) + 1)), "a name or a gap"
    return tuple(found)


MIGRATIONS = migrations_in(Path(__file__).with_name("postgres_migrations"))


async def migrate(
    dsn: str, *, with_post: bool = False, migrations: Sequence[Migration] = MIGRATIONS
) -> list[str]:
    """Make the roles and apply what is missing, each in its own transaction; their names.

    The login must be allowed to create roles, or the roles must exist and the login be a member of
    the owner. Without `with_post` it stops before the first `post_` one. Raises SchemaUnknown.
    """
    with in_our_words():
        connection = await asyncpg.connect(dsn, timeout=CONNECT_S)
        try:
            await refuse_unsafe(connection)
            await connection.execute("SELECT pg_advisory_lock($1)", sql.MIGRATION)
            await _prepare(connection)
            return await _apply_all(connection, migrations, with_post=with_post)
        finally:
            await connection.close(timeout=CONNECT_S)


async def assert_current(connection: asyncpg.Connection) -> None:
    """Every `pre_` migration of ours was applied, and none that we do not know, but for later ones.

    Raises SchemaUnknown.
    """
    applied = await applied_to(connection)
    for migration in MIGRATIONS:
        known = applied.get(migration.name)
        if known is None and migration.is_pre:
            raise SchemaUnknown(f"{migration.name} is missing; run contraflow migrate")
        if known is not None and known != migration.sha256:
            raise SchemaUnknown(f"{migration.name} is another one in this database")
    ours = {migration.name for migration in MIGRATIONS}
    removed = sorted(name for name in applied.keys() - ours if name.startswith("post_"))
    if removed:
        raise SchemaUnknown(f"{removed[-1]} is newer than this contraflow")


async def applied_to(connection: asyncpg.Connection) -> Mapping[str, str]:
    if not await connection.fetchval("SELECT to_regclass('contraflow.migration') IS NOT NULL"):
        return {}
    return dict(await connection.fetch("SELECT name, sha256 FROM contraflow.migration"))


async def _apply_all(
    connection: asyncpg.Connection, migrations: Sequence[Migration], *, with_post: bool
) -> list[str]:
    await connection.execute(f"SET ROLE {OWNER}")
    await connection.execute("SET search_path = contraflow; SET lock_timeout = '5s'")
    applied = await applied_to(connection)
    done = []
    for migration in migrations:
        known = applied.get(migration.name)
        if known is not None and known != migration.sha256:
            raise SchemaUnknown(f"{migration.name} is another one in this database")
        if known is not None:
            continue
        if not migration.is_pre and not with_post:
            break
        async with connection.transaction():
            await connection.execute(migration.text)
            row = (migration.name, migration.sha256)
            await connection.execute("INSERT INTO migration (name, sha256) VALUES ($1, $2)", *row)
        done.append(migration.name)
    return done


async def _prepare(connection: asyncpg.Connection) -> None:
    """The roles, the schema, and the table of migrations."""
    ours = [OWNER]  # Roles that this login must be a member of.
    for role in (OWNER, WRITER, READER):
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
            with suppress(*ALREADY):
                await connection.execute(f"CREATE ROLE {role} NOLOGIN")
            ours.append(role)
    is_superuser, login, database = await connection.fetchrow(
        "SELECT rolsuper, session_user, current_database() FROM pg_roles WHERE rolname=session_user"
    )
    if not is_superuser:
        for role in ours:
            if not await connection.fetchval("SELECT pg_has_role(session_user, $1, 'USAGE')", role):
                with suppress(*ALREADY):
                    await connection.execute(f'GRANT {role} TO "{login}"')
    if await connection.fetchval("SELECT to_regnamespace('contraflow') IS NULL"):
        await connection.execute(f'GRANT CREATE ON DATABASE "{database}" TO {OWNER}')
        await connection.execute(f"SET ROLE {OWNER}")
        await connection.execute(FIRST)
        await connection.execute("RESET ROLE")


FIRST = """
CREATE SCHEMA contraflow;
CREATE TABLE contraflow.migration (
    name text PRIMARY KEY,
    sha256 text NOT NULL CHECK (length(sha256) = 64),
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""
