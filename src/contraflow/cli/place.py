"""Where a command works: which settings, which database, whose payments, for whose eyes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from contraflow import wiring
from contraflow.cli import fields
from contraflow.settings import Settings, read_settings
from contraflow.store import Views


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
    settings = read_settings(settings_file)
    database = settings.database if db is None else db
    if not database or not database.isprintable():
        raise fields.FieldInvalid("db", "the name of a file is needed")
    whose = fields.tenant_name(settings.tenant if tenant is None else tenant)
    return Place(replace(settings, database=database, tenant=whose), as_json)


@contextmanager
def reading(place: Place) -> Iterator[Views]:
    """Look into the database, also while another process works on it."""
    views = wiring.open_reading(place.settings)
    try:
        yield views
    finally:
        views.close()
