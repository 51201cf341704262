"""Close a payment that was never paid, or void one that was not captured."""

from __future__ import annotations

from contraflow.cli import parameters as p
from contraflow.cli.asking import SOURCE, ask, key_of
from contraflow.cli.place import place_of
from contraflow.domain.commands import RequestCancel
from contraflow.requests import fields
from contraflow.requests.asked import fingerprinted, timing_of


def cancel(
    *,
    payment: p.PaymentName,
    reason: p.Reason = "",
    actor: p.Actor = "",
    reference: p.Reference = "",
    metadata: p.Metadata = None,
    key: p.Key = None,
    wait: p.Wait = None,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Close a payment that was never paid, or void one that was not captured."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    command = RequestCancel(
        key=key_of(place, key),
        fingerprint=b"",
        payment_id=place.id("payment", payment),
        timing=timing_of(wait),
        labels=fields.labels_of(
            SOURCE, metadata or (), reason=reason, actor=actor, reference=reference
        ),
    )
    ask(place, fingerprinted("cancel", command), wait)
