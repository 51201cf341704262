"""Hold mode: requests are taken and queued, and nothing is sent."""

from __future__ import annotations

from typing import Annotated

import typer

from contraflow.cli import parameters as p
from contraflow.cli.asking import ask, key_of
from contraflow.cli.place import Place, place_of
from contraflow.domain.commands import SwitchHold
from contraflow.requests import fields
from contraflow.requests.asked import fingerprinted

hold = typer.Typer(help="Stop sending, or go on; requests are taken all the time.")
Scope = Annotated[str, typer.Argument(help="all, channel:NAME or merchant:TENANT.")]


@hold.command("on")
def on(
    *,
    scope: Scope = "all",
    key: p.Key = None,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Send nothing more."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    command = SwitchHold(
        key=key_of(place, key), fingerprint=b"", scope=scope_of(place, scope), is_on=True
    )
    ask(place, fingerprinted("hold/on", command))


@hold.command("off")
def off(
    *,
    scope: Scope = "all",
    key: p.Key = None,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Send again what has waited."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    command = SwitchHold(
        key=key_of(place, key), fingerprint=b"", scope=scope_of(place, scope), is_on=False
    )
    ask(place, fingerprinted("hold/off", command))


def scope_of(place: Place, text: str) -> str:
    kind, _, named = text.partition(":")
    if text == "all":
        return text
    if kind == "channel" and named in place.settings.channels:
        return text
    if kind == "merchant":
        return f"merchant:{fields.tenant_name(named)}"
    raise fields.FieldInvalid("scope", "all, channel:NAME (of the settings) or merchant:TENANT")
