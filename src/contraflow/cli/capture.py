"""Take what is authorised, or record that it was taken elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from contraflow.cli import parameters as p
from contraflow.cli.asking import ask, key_of
from contraflow.cli.place import place_of
from contraflow.domain.commands import RecordCapture, RequestCapture
from contraflow.requests import fields
from contraflow.requests.asked import fingerprinted


def capture(
    *,
    payment: p.PaymentName,
    minor: p.SomeMinor = None,
    currency: p.SomeCurrency = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Captured elsewhere: record it.")
    ] = False,
    key: p.Key = None,
    wait: p.Wait = None,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Take what is authorised, or record that it was taken elsewhere."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    amount = fields.optional_money(minor, currency)
    own_key, payment_id = key_of(place, key), place.id("payment", payment)
    if not recorded:
        command = RequestCapture(key=own_key, fingerprint=b"", payment_id=payment_id, amount=amount)
        ask(place, fingerprinted("capture", command), wait)
    if amount is None:
        raise fields.FieldInvalid("minor", "of what was captured elsewhere the amount is needed")
    fact = RecordCapture(key=own_key, fingerprint=b"", payment_id=payment_id, amount=amount)
    ask(place, fingerprinted("capture/recorded", fact), wait)
