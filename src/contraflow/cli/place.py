"""Where a command works: which settings, which database, whose payments, for whose eyes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from contraflow import wiring
from contraflow.requests import fields
from contraflow.settings import Settings, check, read_settings
from contraflow.store import Views

T = TypeVar("T")


class Place(Struct, frozen=True):
    settings: Settings
    as_json: bool

    @property
    def tenant(self) -> str:
        return self.settings.tenant

    def id(self, field: str, text: str) -> str:
        return fields.own_id(field, self.tenant, text)


def place_of(
    *, db: str | None, settings_file: Path | None, tenant: str | None, as_json: bool
) -> Place:
    """What the options say goes before what the settings say."""
    settings = read_settings(settings_file, os.environ)
    database = settings.database if db is None else db
    if not database or not database.isprintable():
        raise fields.FieldInvalid("db", "the name of a file is needed")
    whose = fields.tenant_name(settings.tenant if tenant is None else tenant)
    chosen = replace(settings, database=database, tenant=whose)
    check(chosen)
    return Place(chosen, as_json)


def look(place: Place, work: Callable[[Views], Awaitable[T]]) -> T:
    """What the work finds in the database, also while another process works on it."""

    async def looking() -> T:
        async with reading(place) as views:
            return await work(views)

    return asyncio.run(looking())


@asynccontextmanager
async def reading(place: Place) -> AsyncIterator[Views]:
    """For who has an event loop already."""
    views = await wiring.open_reading(place.settings)
    try:
        yield views
    finally:
        await views.close()
