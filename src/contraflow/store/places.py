"""Which database a name means: a file (or a database in memory), or a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from asyncpg.exceptions import ClientConfigurationError

from contraflow.errors import SettingInvalid, StoreUnwritable, ValueRefused
from contraflow.store import Store, Views
from contraflow.store.postgres_address import SCHEMES, refuse_bad_address, refuse_bad_files
from contraflow.store.postgres_opening import open_store as open_server
from contraflow.store.postgres_opening import open_views as look_into_server
from contraflow.store.postgres_schema import migrate as migrate_server
from contraflow.store.postgres_shelf import open_shelf as open_server_shelf
from contraflow.store.postgres_trouble import ConnectionLost, TryAgain
from contraflow.store.shelf import Shelf
from contraflow.store.sqlite import migrate_file
from contraflow.store.sqlite import open_store as open_file
from contraflow.store.sqlite_shelf import open_shelf as open_file_shelf
from contraflow.store.sqlite_views import open_views as look_into_file


def is_server(database: str) -> bool:
    """Several processes may work on it, on several machines."""
    return database.startswith(SCHEMES)


async def open_store(
    database: str, clock: Callable[[], int], *, slot: int = 0, owner: str = ""
) -> Store:
    """Open it to work on it: a file with this clock, a server with its own.

    `slot` is this process's share of a server's accounts; `owner` how to log in to give an empty
    server its tables. Raises DatabaseInUse, SchemaUnknown, StoreUnwritable, LibraryTooOld,
    SettingInvalid or SettingUnsafe.
    """
    refuse_bad_address("database", database)
    if not is_server(database):
        return open_file(database, clock)
    refuse_bad_address("database_owner", owner)
    with _usable("database", database):
        return await open_server(database, slot=slot, owner=owner)


async def migrate(
    database: str, now: int, *, owner: str = "", with_post: bool = False
) -> list[str]:
    """What was applied. Of a file there is no older program that could still serve."""
    refuse_bad_address("database", database)
    if not is_server(database):
        return migrate_file(database, now)
    name, login = ("database_owner", owner) if owner else ("database", database)
    refuse_bad_address(name, login)
    with _usable(name, login):
        try:
            return await migrate_server(login, with_post=with_post)
        except (ConnectionLost, TryAgain) as error:
            raise StoreUnwritable(str(error)) from error


async def open_views(database: str) -> Views:
    """Look into it, also beside whoever works on it.

    Raises SettingInvalid, or StoreUnwritable if there is none.
    """
    refuse_bad_address("database", database)
    if not is_server(database):
        return look_into_file(database)
    with _usable("database", database):
        return await look_into_server(database)


async def open_shelf(database: str, clock: Callable[[], int]) -> Shelf:
    """The rows beside the business, also while others work on the database.

    Raises SettingInvalid, SchemaUnknown or StoreUnwritable.
    """
    refuse_bad_address("database", database)
    if not is_server(database):
        return open_file_shelf(database, clock)
    with _usable("database", database):
        return await open_server_shelf(database)


@contextmanager
def _usable(field: str, address: str) -> Iterator[None]:
    """What only the driver finds out, since it also reads the environment: PGPORT and the like."""
    refuse_bad_files(field, address)
    try:
        yield
    except (ValueError, LookupError, ValueRefused) as error:
        raise SettingInvalid(
            f"{field}: with what the environment says (PG...) it means no server"
        ) from error
    except StoreUnwritable as error:
        if fault := _fault_of_driver(error):
            raise SettingInvalid(f"{field}: {fault}") from error
        raise


def _fault_of_driver(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, ClientConfigurationError):
            return str(error).partition("\n")[0]
        error = error.__cause__
    return ""
