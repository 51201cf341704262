"""Give captured money back."""

from __future__ import annotations

from typing import Annotated

import typer

from contraflow.cli import parameters as p
from contraflow.cli.asking import SOURCE, ask, key_of
from contraflow.cli.place import place_of
from contraflow.domain.commands import RequestRefund
from contraflow.requests import fields
from contraflow.requests.asked import fingerprinted, timing_of

ExpectedRefundable = Annotated[
    str | None, typer.Option(metavar="N", help="Refuse, unless so many minor units are left.")
]
CaptureName = Annotated[str, typer.Option(metavar="ID", help="Which capture.")]
ForReview = Annotated[bool, typer.Option("--review", help="Hold it until a person releases it.")]


def refund(
    *,
    payment: p.PaymentName,
    minor: p.Minor,
    currency: p.Currency,
    expected_refundable: ExpectedRefundable = None,
    capture_id: CaptureName = "",
    review: ForReview = False,
    reason: p.Reason = "",
    actor: p.Actor = "",
    payee: p.Payee = "",
    reference: p.Reference = "",
    metadata: p.Metadata = None,
    key: p.Key = None,
    wait: p.Wait = None,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Give captured money back."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    command = RequestRefund(
        key=key_of(place, key),
        fingerprint=b"",
        payment_id=place.id("payment", payment),
        amount=fields.money(minor, currency),
        capture_id=fields.optional_name("capture_id", capture_id),
        expected_refundable=fields.minor_or_none("expected_refundable", expected_refundable),
        timing=timing_of(wait),
        for_review=review,
        labels=fields.labels_of(
            SOURCE, metadata or (), reason=reason, actor=actor, payee=payee, reference=reference
        ),
    )
    ask(place, fingerprinted("refund", command), wait)
