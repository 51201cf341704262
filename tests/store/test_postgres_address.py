"""A bad address is refused by the name of its setting, and nothing of it is repeated."""

from __future__ import annotations

import asyncio
import random
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest

from contraflow.errors import SettingInvalid, StoreUnwritable
from contraflow.store.places import migrate, open_store, open_views
from contraflow.store.postgres_address import refuse_bad_address, refuse_bad_files

SECRET = "c0ffee"  # noqa: S105 of nobody
MUTANTS = 200
SIGNS = "%@:/?#[]&=,;. \0\t\n\x1b0é\ud800\udcff中9-_+'\"\\"
WORDS = ("host=", "port=", "sslmode=", "options=-c", "%00", "%ff", "%zz", "://", "@@", "[::1", "&&")
SEEDS = (
    f"postgresql://writer:{SECRET}@db.invalid:5432/contraflow",
    f"postgres://writer:{SECRET}@/contraflow?host=/nowhere&port=5432",
    f"postgresql://writer:{SECRET}@a.invalid:1,b.invalid:2/x?target_session_attrs=read-write",
    f"postgresql:///x?host=a.invalid&user=writer&password={SECRET}&sslmode=require",
)


@pytest.fixture(autouse=True)
def _no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)


@pytest.mark.parametrize(
    "address",
    [
        *("contraflow.db", "", ":memory:", "/a/postgres/file", "folder/a@b:c.db"),
        *("postgresql://", "postgresql:///", "postgres://db", "postgresql://db/x"),
        f"postgresql://a%40b:{SECRET}:%2F%20%25@db.test:5432/a%2Fb",
        f"postgresql://w:{SECRET}@/x?host=/tmp/a%20b&port=6543",
        f"postgresql://w:{SECRET}@%2Ftmp/x",
        f"postgresql://w:{SECRET}@[::1]:5432,10.0.0.1,ü.test:1/x",
        "postgresql:///x?host=a,b&port=1,2&sslmode=verify-full&sslnegotiation=direct",
        "postgresql://db1:5432,db2:5432/shop?target_session_attrs=read-write",
        "postgresql://db/x?ssl_min_protocol_version=TLSv1.3&gsslib=gssapi&krbsrvname=postgres",
    ],
)
def test_what_is_good_passes(address: str) -> None:
    refuse_bad_address("database", address)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("postgresql://[", "not like"),
        ("postgresql://w:{0}@[::1/x", "not like"),
        ("postgresql://w:{0}@[z::1]/x", "not like"),
        ("postgresql://w:{0}@db:54x2/x", "a port that is no number"),
        ("postgresql://w:{0}@db:1:2/x", "a port that is no number"),
        ("postgresql://w:{0}@db:0/x", "a port is a number from 1 to 65535"),
        ("postgresql://w:{0}@db:65536/x", "a port is a number from 1 to 65535"),
        ("postgresql:///x?port=-1", "a port is a number from 1 to 65535"),
        ("postgresql:///x?port=²", "a port is a number from 1 to 65535"),
        ("postgresql:///x?host=a,b&port=,2", "a port is a number from 1 to 65535"),
        ("postgresql:///x?host=a,b,c&port=1,2", "as many as there are hosts"),
        ("postgresql:///x?port=1,2", "as many as there are hosts"),
        ("postgresql://w:{0}@a,,b/x", "something odd"),
        ("postgresql://w:{0}@:5432/x", "something odd"),
        ("postgresql://w:{0}@a..b/x", "not like"),
        ("postgresql://w:{0}@a%20b/x", "not like"),
        ("postgresql:///x?colour={0}", "a parameter that is none of host, port"),
        ("postgresql:///x?options=-cfsync%3Doff", "a parameter that is none of"),
        ("postgresql:///x?{0}", "not like"),
        ("postgresql:///x?sslmode=nonsense", "sslmode: "),
        ("postgresql:///x?sslmode=parse", "sslmode: "),
        ("postgresql:///x?sslnegotiation=later", "sslnegotiation: "),
        ("postgresql:///x?target_session_attrs=leader", "target_session_attrs: "),
        ("postgresql:///x?ssl_min_protocol_version=SSLv3", "ssl_min_protocol_version: "),
        ("postgresql:///x?gsslib=kerberos", "gsslib: "),
        ("postgresql://w:{0}%@db/x", "%25"),
        ("postgresql://w:{0}%zz@db/x", "%25"),
        ("postgresql://w:{0}%ff@db/x", "not like"),
        ("postgresql://w:{0}%00@db/x", "control character"),
        ("postgresql://w:{0}\n@db/x", "control character"),
        ("postgresql://w:{0}\ud800@db/x", "control character"),
        ("postgresql://w:{0} @db/x", "%20"),
        ("postgresql://w:{0}#@db/x", "%23"),
        ("postgresql://w:1#{0}@db/x", "%23"),
        ("postgresql://w:{0}@{0}@db/x", "%40"),
        ("postgresql://w:1/{0}@db/x", "%40"),
        ("postgresql://db/x?port=6543", "not in both places"),
        ("postgresql://db/x?host=other", "not in both places"),
        ("postgresql://db/?dbname=x", "not in both places"),
        ("PostgreSQL://w:{0}@db/x", "starts with postgresql://"),
        ("postgresql:/w:{0}@db/x", "starts with postgresql://"),
        ("postgresql+asyncpg://w:{0}@db/x", "starts with postgresql://"),
        ("mysql://w:{0}@db/x", "starts with postgresql://"),
    ],
)
def test_what_is_bad_is_named_and_not_repeated(address: str, why: str) -> None:
    with pytest.raises(SettingInvalid) as refused:
        refuse_bad_address("database_owner", address.format(SECRET))

    assert str(refused.value).startswith("database_owner: ")
    assert why in str(refused.value)
    assert SECRET not in str(refused.value)


def mutated(seed: int) -> str:
    """Behind its scheme something is put in, taken out or put elsewhere, once or a few times."""
    chance = random.Random(seed)
    scheme, _, text = chance.choice(SEEDS).partition("://")
    for _ in range(chance.randint(1, 3)):
        at, to = sorted(chance.choices(range(len(text) + 1), k=2))
        new = chance.choice([*SIGNS, *WORDS, "", text[at:to]])
        text = text[:at] + new + text[chance.choice([at, at + 1, to]) :]
    return f"{scheme}://{text}"


def outcome(address: str) -> str:
    """Of every way in; nothing but our own errors comes out."""
    said = []
    for opening in (open_views(address), open_store(address, int), migrate(address, 0)):
        with pytest.raises((SettingInvalid, StoreUnwritable)) as refused:
            asyncio.run(within(opening))
        said.append(str(refused.value))
    return "\n".join(said)


async def within(opening: Any) -> None:
    async with asyncio.timeout(10):
        await opening


def test_whatever_an_address_looks_like_it_ends_in_our_own_words() -> None:
    addresses = [mutated(seed) for seed in range(MUTANTS)]
    refused = 0
    for address in addresses:
        said = outcome(address)
        refused += "database: " in said
        assert SECRET not in said, address
        assert address not in said

    assert MUTANTS / 4 < refused < MUTANTS


@pytest.mark.parametrize("name", ["passfile", "sslrootcert", "sslcrl", "sslcert"])
def test_a_file_that_it_names_must_be_readable(tmp_path: Path, name: str) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"\xff")
    for path in (tmp_path / "nowhere", tmp_path, bad):
        address = f"postgresql://w:{SECRET}@/x?host=/nowhere&sslmode=require&{name}={path}"
        with pytest.raises(SettingInvalid, match=f"^database: {name}: ") as refused:
            asyncio.run(open_views(address))
        assert SECRET not in str(refused.value)
        with pytest.raises(SettingInvalid, match=f"^database_owner: {name}: "):
            refuse_bad_files("database_owner", address)


@pytest.mark.parametrize(
    ("name", "word"),
    [("PGPORT", "a"), ("PGHOST", "[a"), ("PGSSLMODE", "a"), ("PGTARGETSESSIONATTRS", "a")],
)
def test_a_bad_word_of_the_environment_is_a_bad_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, word: str
) -> None:
    monkeypatch.setenv(name, word)

    for said in outcome(f"postgresql://w:{SECRET}@/x").splitlines():
        assert said.startswith("database: ")
        assert SECRET not in said


def test_who_wants_a_certificate_checked_must_have_one_to_trust(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(SettingInvalid, match=r"^database: root certificate file .+ accessed$"):
        asyncio.run(open_views("postgresql://db.invalid/x?sslmode=verify-full"))
