"""Who may log in: the server learns no password, only how to check one, and lets in no other."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from servers import found, guard

from contraflow.outside.postgres_server import PostgresServer, private_folder
from contraflow.store.postgres_logins import (
    ITERATIONS,
    ROLES,
    Login,
    admit,
    new_password,
    scram_secret,
)

# The exchange of RFC 7677, section 3.
SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
MESSAGES = (
    "n=user,r=rOprNGfwEbeRWgbNEkqO,"
    f"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s={SALT},i=4096,"
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
)
PROOF = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_what_the_server_keeps_checks_the_exchange_of_the_standard() -> None:
    secret = scram_secret("pencil", base64.b64decode(SALT))
    head, salt, keys = secret.split("$")[0], secret.split("$")[1], secret.split("$")[2]
    stored_key, server_key = (base64.b64decode(key) for key in keys.split(":"))
    signed = hmac.digest(stored_key, MESSAGES.encode(), "sha256")
    client_key = bytes(a ^ b for a, b in zip(base64.b64decode(PROOF), signed, strict=True))

    assert (head, salt) == ("SCRAM-SHA-256", f"{ITERATIONS}:{SALT}")
    assert hashlib.sha256(client_key).digest() == stored_key
    assert base64.b64encode(hmac.digest(server_key, MESSAGES.encode(), "sha256")).decode() == (
        SIGNATURE
    )
    assert "pencil" not in secret


def test_a_password_is_long_and_its_login_does_not_print_it() -> None:
    password, other = new_password(), new_password()

    assert password != other
    assert len(password) >= 32
    assert password not in repr(Login("writer", password))


# On a server of its own, since roles are the whole server's.

HOUSE = 'a "house"'
PUBLIC_MAY = "SELECT has_database_privilege('stranger', $1, $2)"


@pytest.fixture(scope="module", params=found(), ids=lambda each: str(each.major))
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    server = PostgresServer(request.param, private_folder(), {"shared_buffers": "16MB"})
    guard(server.folder)
    server.create()
    server.start()
    yield server
    server.delete()


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.slow
async def test_nobody_else_enters_the_database(server: PostgresServer) -> None:
    """Also where it was made when everybody might, and once more."""
    logins = [Login(name, new_password()) for name in ROLES]
    async with connected(server.superuser_dsn()) as superuser:
        await superuser.execute("CREATE ROLE stranger LOGIN PASSWORD 'word'")
        await superuser.execute('CREATE DATABASE "a ""house"""')
        for _ in range(2):
            await admit(server.superuser_dsn(), HOUSE, logins)
            for privilege in ("CONNECT", "TEMPORARY", "CREATE"):
                assert not await superuser.fetchval(PUBLIC_MAY, HOUSE, privilege)

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
        await asyncpg.connect(server.dsn("stranger", "word", HOUSE))
    for login in logins:
        async with connected(server.dsn(login.name, login.password, HOUSE)) as own:
            assert await own.fetchval("SELECT current_user") == login.name


@pytest.mark.slow
async def test_who_writes_makes_no_table_of_their_own(server: PostgresServer) -> None:
    logins = [Login(name, new_password()) for name in ("writer", "reader")]
    await admit(server.superuser_dsn(), "home", logins)

    for login in logins:
        async with connected(server.dsn(login.name, login.password, "home")) as own:
            for kind in ("TEMPORARY TABLE own", "TABLE public.own", "SCHEMA own"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await own.execute(f"CREATE {kind}{' (x int)' * ('TABLE' in kind)}")
