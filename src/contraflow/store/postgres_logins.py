"""The database of a server of our own, and who may log in to it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

import asyncpg
from msgspec import Struct

from contraflow.errors import StoreUnwritable
from contraflow.store.postgres_link import CONNECT_S
from contraflow.store.postgres_schema import OWNER, READER, WRITER
from contraflow.store.postgres_trouble import ConnectionLost, TryAgain, in_our_words

ITERATIONS = (
    4_096  # As PostgreSQL does itself; the passwords are random, so more would add nothing.
)
# A migration wants its login to be a member of all three.
ROLES = {
    "owner": (OWNER, WRITER, READER),
    "writer": (WRITER, READER),
    "reader": (READER,),
}


class Login(Struct, frozen=True):
    name: str  # Of ROLES.
    password: str

    def __repr__(self) -> str:
        return f"Login({self.name}, ***)"


def new_password() -> str:
    return secrets.token_urlsafe(24)


async def admit(superuser_dsn: str, database: str, logins: Sequence[Login]) -> None:
    """Make the roles, the logins and an empty database, where they are missing; let in no other.

    A login that is there gets this password. Raises StoreUnwritable.
    """
    try:
        with in_our_words():
            connection = await asyncpg.connect(superuser_dsn, timeout=CONNECT_S)
            try:
                await _admit(connection, database, logins)
            finally:
                await connection.close(timeout=CONNECT_S)
    except (ConnectionLost, TryAgain) as error:
        raise StoreUnwritable(str(error)) from error


async def _admit(connection: asyncpg.Connection, database: str, logins: Sequence[Login]) -> None:
    for role in (OWNER, WRITER, READER, *(login.name for login in logins)):
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
            await connection.execute(f"CREATE ROLE {quoted(role)} NOLOGIN")
    for login in logins:
        name, secret = quoted(login.name), scram_secret(login.password, secrets.token_bytes(16))
        await connection.execute(f"ALTER ROLE {name} LOGIN PASSWORD '{secret}'")
        await connection.execute(f"GRANT {', '.join(ROLES[login.name])} TO {name}")
    name = quoted(database)
    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
        await connection.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
    await connection.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC")
    await connection.execute(f"GRANT CONNECT ON DATABASE {name} TO {OWNER}, {WRITER}, {READER}")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def scram_secret(password: str, salt: bytes) -> str:
    """What the server keeps of it (RFC 5803), so that the password itself never gets there."""
    assert password.isascii(), "others would have to be prepared first (RFC 4013)"
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    shown = [base64.b64encode(each).decode() for each in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${ITERATIONS}:{shown[0]}${shown[1]}:{shown[2]}"
