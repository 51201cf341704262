"""Which database a name means: a file (or a database in memory), or a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable

from contraflow.errors import StoreUnwritable
from contraflow.store import Store, Views
from contraflow.store.postgres_opening import open_store as open_server
from contraflow.store.postgres_opening import open_views as look_into_server
from contraflow.store.postgres_schema import migrate as migrate_server
from contraflow.store.postgres_trouble import ConnectionLost, TryAgain
from contraflow.store.sqlite import migrate_file
from contraflow.store.sqlite import open_store as open_file
from contraflow.store.sqlite_views import open_views as look_into_file

SCHEMES = ("postgresql://", "postgres://")


def is_server(database: str) -> bool:
    """Several processes may work on it, on several machines."""
    return database.startswith(SCHEMES)


async def open_store(
    database: str, clock: Callable[[], int], *, slot: int = 0, owner: str = ""
) -> Store:
    """Open it to work on it: a file with this clock, a server with its own.

    `slot` is this process's share of a server's accounts; `owner` how to log in to give an empty
    server its tables. Raises DatabaseInUse, SchemaUnknown, StoreUnwritable, LibraryTooOld or
    SettingUnsafe.
    """
    if is_server(database):
        return await open_server(database, slot=slot, owner=owner)
    return open_file(database, clock)


async def migrate(
    database: str, now: int, *, owner: str = "", with_post: bool = False
) -> list[str]:
    """What was applied. Of a file there is no older program that could still serve."""
    if not is_server(database):
        return migrate_file(database, now)
    try:
        return await migrate_server(owner or database, with_post=with_post)
    except (ConnectionLost, TryAgain) as error:
        raise StoreUnwritable(str(error)) from error


async def open_views(database: str) -> Views:
    """Look into it, also beside whoever works on it. Raises StoreUnwritable if there is none."""
    if is_server(database):
        return await look_into_server(database)
    return look_into_file(database)
