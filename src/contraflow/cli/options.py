"""What can be done about a payment before anybody tries."""

from __future__ import annotations

import typer

from contraflow import wiring
from contraflow.cli import paper
from contraflow.cli import parameters as p
from contraflow.cli.complaints import complain
from contraflow.cli.exits import Exit
from contraflow.cli.place import look, place_of
from contraflow.domain.options import options_for
from contraflow.engine.metrics import usual_ms_of
from contraflow.engine.views import OptionsView, options_view
from contraflow.errors import ErrorCode


def options(
    *,
    payment: p.PaymentName,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Which ways of undoing a payment are open: until when, how much, why not; which is best."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    payment_id, now = place.id("payment", payment), wiring.now_ms()
    found = look(place, lambda views: views.payment(payment_id))
    if found is None:
        complain(Exit.REFUSED, ErrorCode.PAYMENT_UNKNOWN, payment, as_json=as_json)
    usual_ms = look(place, lambda views: usual_ms_of(views, found, now))
    policy = wiring.read_policy(place.settings)
    if found.channel not in policy.terms:
        complain(Exit.REFUSED, ErrorCode.CHANNEL_UNABLE, found.channel, as_json=as_json)
    view = options_view(options_for(found, policy, now=now, usual_ms=usual_ms))
    if as_json:
        paper.print_json(view)
    else:
        print_options(view)
    raise typer.Exit(Exit.DONE)


def print_options(view: OptionsView) -> None:
    heads = ("action", "allowed", "why not", "at most", "until", "refunds left", "mode")
    rows = [
        (*(o.action, o.is_allowed, o.why_not, o.amount_max), *(o.until, o.refunds_left, o.mode))
        for o in view.options
    ]
    paper.print_table(f"options of {view.payment}", heads, rows)
    paper.print_table(
        "reverse would", ("by", "amount"), [(leg.kind, leg.amount) for leg in view.plan]
    )
    if view.recommended:
        paper.print_line(f"recommended: {view.recommended}")
