"""A folder gets all that contraflow needs, once; what a person has changed stays."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from servers import found, guard

from contraflow import household
from contraflow.errors import DatabaseInUse, SettingInvalid, StoreUnwritable
from contraflow.household import (
    Household,
    binaries_for,
    make_folder,
    open_household,
    own_environment,
    place_for_bank,
    write_once,
)
from contraflow.outside.postgres_server import PostgresServer, private_folder
from contraflow.settings import read_settings

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as somebody else")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Made at the first opening."""
    outer = private_folder()
    folder = outer / "made" / "here"
    guard(folder / "postgres")
    yield folder
    if folder.exists():
        PostgresServer(found()[0], folder / "postgres").delete()
    shutil.rmtree(outer)


@pytest.fixture
def door() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def opened(folder: Path, door: str) -> Iterator[Household]:
    opened = open_household(folder, door, 1, 1)
    yield opened
    opened.close()

    assert not opened.server.is_running()


def ask(address: str, *statements: str) -> Any:
    """What the last one says."""

    async def asked() -> Any:
        connection = await asyncpg.connect(address)
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    return asyncio.run(asked())


def texts(folder: Path) -> list[str]:
    return [(folder / name).read_text() for name in ("settings.toml", "reader.toml")]


@pytest.mark.slow
def test_each_login_may_do_what_it_is_for(opened: Household, folder: Path) -> None:
    writer, owner = opened.settings.database, opened.settings.database_owner
    reader = read_settings(folder / "reader.toml").database
    count, forget = "SELECT count(*) FROM contraflow.event", "DELETE FROM contraflow.event"

    assert ask(writer, count) == ask(reader, count) == 0
    assert ask(writer, "INSERT INTO contraflow.hold VALUES ('all') RETURNING scope") == "all"
    assert ask(writer, "DELETE FROM contraflow.hold RETURNING scope") == "all"
    for address in (writer, reader):
        for statement in (forget, "CREATE TABLE contraflow.own (id int)", "CREATE ROLE somebody"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                ask(address, statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        ask(reader, "DELETE FROM contraflow.hold")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        ask(owner, "CREATE ROLE somebody")
    assert ask(owner, "CREATE TABLE contraflow.own (id int)", "DROP TABLE contraflow.own") is None


@pytest.mark.slow
def test_nobody_else_may_read_a_secret(opened: Household, folder: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    keys = set(re.findall(r'key = "(\w+)"', (folder / "settings.toml").read_text()))
    passwords = (
        "SELECT bool_and(rolpassword LIKE 'SCRAM-SHA-256$%') FROM pg_authid WHERE rolcanlogin"
    )

    assert modes.pop("postgres") & 0o007 == 0
    assert modes.pop(".gitignore") == 0o644
    assert set(modes.values()) == {0o600}
    assert len(keys) == 1
    assert {len(key) for key in keys} == {64}
    assert ask(opened.server.superuser_dsn(), passwords) is True


@pytest.mark.slow
def test_what_is_there_stays(opened: Household, folder: Path) -> None:
    ask(opened.settings.database_owner, "CREATE TABLE IF NOT EXISTS kept (id int)")
    before = texts(folder)
    opened.close()
    again = open_household(folder, "127.0.0.1:1", 1, 1)

    assert texts(folder) == before
    assert ask(again.settings.database, "SELECT to_regclass('public.kept') IS NOT NULL") is True
    again.close()


@pytest.mark.slow
def test_what_a_person_has_written_stays(opened: Household, folder: Path) -> None:
    file = folder / "settings.toml"
    before = file.read_text()
    written = before.replace('door = "', 'undo_window_s = 7\ndoor = "') + (
        '\n[sinks.all]\nplugin = "file"\noptions = { path = "events" }\n'
    )
    file.write_text(written)
    opened.close()
    again = open_household(folder, None, 1, 1)
    again.close()

    assert file.read_text() == written
    assert again.settings.undo_window_s == 7
    assert list(again.settings.sinks) == ["all"]
    file.write_text(before)


@pytest.mark.slow
def test_settings_that_are_gone_are_made_anew_and_the_bank_keeps_its_key(
    opened: Household, folder: Path
) -> None:
    file, before = folder / "settings.toml", opened.settings
    opened.close()
    file.unlink()
    again = open_household(folder, None, 1, 1)

    assert again.settings.channels == before.channels
    assert again.settings.database != before.database
    assert ask(again.settings.database, "SELECT current_user") == "writer"
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(before.database, "SELECT 1")
    again.close()


@pytest.mark.slow
def test_settings_for_another_server_are_not_for_us(
    opened: Household, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, before = folder / "settings.toml", (folder / "settings.toml").read_text()
    opened.close()
    monkeypatch.setenv("CONTRAFLOW_DATABASE", "postgresql://elsewhere/contraflow")
    open_household(folder, None, 1, 1).close()
    file.write_text(before.replace("/contraflow?", "/other?"))

    with pytest.raises(SettingInvalid, match="no longer means the server in its folder"):
        open_household(folder, None, 1, 1)
    assert not opened.server.is_running()
    file.write_text(before)


@pytest.mark.slow
def test_an_address_that_is_none_is_named(opened: Household, folder: Path) -> None:
    file, before = folder / "settings.toml", (folder / "settings.toml").read_text()
    opened.close()
    file.write_text(before.replace("postgresql://writer:", "postgresql://["))

    with pytest.raises(SettingInvalid, match=r"^database: "):
        open_household(folder, None, 1, 1)
    assert not opened.server.is_running()
    file.write_text(before)


@pytest.mark.slow
def test_one_at_a_time(opened: Household, folder: Path) -> None:
    with pytest.raises(DatabaseInUse, match=f"process {os.getpid()} works on it"):
        open_household(folder, None, 1, 1)
    assert opened.server.is_running()


def test_without_postgresql_it_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(household, "find_servers", list)

    with pytest.raises(StoreUnwritable, match=r"pip install 'contraflow\[up\]' or apt install"):
        open_household(tmp_path / "new", None, 1, 1)
    assert not (tmp_path / "new").exists()


def test_data_are_read_by_the_version_that_made_them(tmp_path: Path) -> None:
    newest, *others = found()

    assert binaries_for(tmp_path) == newest
    for each in others:
        (tmp_path / "PG_VERSION").write_text(f"{each.major}\n")
        assert binaries_for(tmp_path) == each
    (tmp_path / "PG_VERSION").write_text("14\n")
    with pytest.raises(StoreUnwritable, match=f"made by PostgreSQL 14, .* only {newest.version}"):
        binaries_for(tmp_path)


@as_root
def test_root_is_told_where_a_folder_may_be(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(StoreUnwritable, match="name a folder where everybody may pass, like --f"):
        make_folder(closed / "new")
    assert list(closed.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named() -> None:
    outer = private_folder()
    (outer / "file").touch()

    with pytest.raises(StoreUnwritable, match="file/new: "):
        make_folder(outer / "file" / "new")
    shutil.rmtree(outer)


def test_a_file_is_written_whole_and_for_our_eyes_only(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    (tmp_path / "secret.new").write_text("half of an earl")
    write_once(file, "all of it")

    assert file.read_text() == "all of it"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(StoreUnwritable, match="nowhere"):
        write_once(tmp_path / "nowhere" / "secret", "")


def test_the_bank_is_beside_the_door() -> None:
    near, high = place_for_bank("0.0.0.0:20000"), place_for_bank("0.0.0.0:65000")

    assert 21_010 <= int(near.removeprefix("127.0.0.1:")) < 21_110
    assert 1_010 <= int(high.removeprefix("127.0.0.1:")) < 1_110


def test_the_environment_does_not_lead_elsewhere() -> None:
    environment = {"CONTRAFLOW_DATABASE": "x", "CONTRAFLOW_UNDO_WINDOW_S": "7", "PATH": "/bin"}

    assert own_environment(environment) == {"CONTRAFLOW_UNDO_WINDOW_S": "7", "PATH": "/bin"}
