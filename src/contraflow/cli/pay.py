"""Take a payment through its channel, or record one that was made elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer
from msgspec import Struct

from contraflow import wiring
from contraflow.cli import parameters as p
from contraflow.cli.asking import SOURCE, ask, key_of
from contraflow.cli.place import Place, place_of
from contraflow.domain.commands import CreatePayment, RecordPayment
from contraflow.domain.money import Money
from contraflow.domain.payment import Capturing
from contraflow.requests import fields
from contraflow.requests.asked import fingerprinted, fingerprinted_payment

Channel = Annotated[str, typer.Option(help="As the settings name it.")]
Method = Annotated[str, typer.Option(help="As the channel names it.")]
Instrument = Annotated[str, typer.Option(help="What is paid with.")]
ScriptName = Annotated[
    str, typer.Option(help="What the sandbox does to reversals; pay_NAME: to the payment.")
]
IsCaptured = Annotated[bool, typer.Option("--captured", help="Captured elsewhere: record it.")]
IsAuthorized = Annotated[
    bool, typer.Option("--authorized", help="Authorised elsewhere: record it.")
]
IsManual = Annotated[bool, typer.Option("--manual", help="Authorise only; capture it later.")]
ExpiresIn = Annotated[str | None, typer.Option(metavar="15m", help="How long the payer may pay.")]


class Particulars(Struct, frozen=True, kw_only=True):
    """What a payment is told to be, whichever way it came."""

    key: str
    payment_id: str
    channel: str
    method: str
    instrument: str
    amount: Money
    labels: str


def pay(
    *,
    payment: p.PaymentName,
    minor: p.Minor,
    currency: p.Currency,
    channel: Channel = "sandbox",
    method: Method = "",
    instrument: Instrument = "",
    script: ScriptName = "",
    captured: IsCaptured = False,
    authorized: IsAuthorized = False,
    manual: IsManual = False,
    expires_in: ExpiresIn = None,
    customer: p.Customer = "",
    reference: p.Reference = "",
    metadata: p.Metadata = None,
    key: p.Key = None,
    wait: p.Wait = None,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Take a payment through its channel, or record one that was made elsewhere."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    if captured and authorized:
        raise fields.FieldInvalid("authorized", "it is either --authorized or --captured")
    if (captured or authorized) and (manual or expires_in):
        field = "manual" if manual else "expires_in"
        raise fields.FieldInvalid(field, "not of a payment that was made elsewhere")
    particulars = Particulars(
        key=key_of(place, key),
        payment_id=place.id("payment", payment),
        channel=fields.name("channel", channel),
        method=fields.optional_name("method", method),
        instrument=instrument_of(instrument, script),
        amount=fields.money(minor, currency),
        labels=fields.labels_of(SOURCE, metadata or (), customer=customer, reference=reference),
    )
    if captured or authorized:
        record(place, particulars, wait, is_captured=captured)
    capturing = Capturing.MANUAL if manual else Capturing.AUTOMATIC
    create(place, particulars, wait, capturing, expires_in)


def record(place: Place, told: Particulars, wait: int | None, *, is_captured: bool) -> None:
    command = RecordPayment(
        key=told.key,
        fingerprint=b"",
        payment_id=told.payment_id,
        channel=told.channel,
        method=told.method,
        instrument=told.instrument,
        amount=told.amount,
        labels=told.labels,
        is_captured=is_captured,
    )
    ask(place, fingerprinted("pay", command), wait)


def create(
    place: Place,
    told: Particulars,
    wait: int | None,
    capturing: Capturing,
    expires_in: str | None,
) -> None:
    valid_ms = None if expires_in is None else fields.duration_ms("expires_in", expires_in)
    command = CreatePayment(
        key=told.key,
        fingerprint=b"",
        payment_id=told.payment_id,
        channel=told.channel,
        method=told.method,
        instrument=told.instrument,
        amount=told.amount,
        labels=told.labels,
        capturing=capturing,
        expires_at=None if valid_ms is None else wiring.now_ms() + valid_ms,
    )
    ask(place, fingerprinted_payment(command, valid_ms), wait)


def instrument_of(instrument: str, script: str) -> str:
    if not script:
        return fields.optional_name("instrument", instrument)
    if instrument:
        raise fields.FieldInvalid("script", "it is either --script or --instrument")
    if script.removeprefix("pay_") not in wiring.SCRIPTS:
        known = ", ".join(sorted(wiring.SCRIPTS))
        raise fields.FieldInvalid("script", f"[pay_]NAME of {known}")
    return f"tok_{script}"
