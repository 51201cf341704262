"""Undo a payment by whatever ways it takes; the plan is shown first."""

from __future__ import annotations

from typing import Annotated

import typer

from contraflow import wiring
from contraflow.cli import paper
from contraflow.cli import parameters as p
from contraflow.cli.asking import SOURCE, ask, key_of
from contraflow.cli.complaints import complain
from contraflow.cli.exits import Exit
from contraflow.cli.place import Place, look, place_of
from contraflow.domain.commands import RequestReversal
from contraflow.domain.decision import Refused
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import State
from contraflow.engine.session import foresee
from contraflow.engine.views import leg_view
from contraflow.requests import fields
from contraflow.requests.asked import fingerprinted, timing_of


def reverse(
    *,
    payment: p.PaymentName,
    minor: p.SomeMinor = None,
    currency: p.SomeCurrency = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
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
    """Undo a payment, or so much of it, by whatever ways it takes; the plan is shown first."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    command = RequestReversal(
        key=key_of(place, key),
        fingerprint=b"",
        payment_id=place.id("payment", payment),
        amount=fields.optional_money(minor, currency),
        timing=timing_of(wait),
        labels=fields.labels_of(
            SOURCE, metadata or (), reason=reason, actor=actor, payee=payee, reference=reference
        ),
    )
    command = fingerprinted("reverse", command)
    if plan or not as_json:
        show_plan(place, command, is_all=plan)
    ask(place, command, wait)


def show_plan(place: Place, command: RequestReversal, *, is_all: bool) -> None:
    """As it would be decided now; the request itself is decided again when it is made."""
    policy, now = wiring.read_policy(place.settings), wiring.now_ms()
    decision = look(place, lambda views: foresee(views, policy, command, now))
    if isinstance(decision, Refused):
        if is_all:
            complain(Exit.REFUSED, decision.code, decision.detail, as_json=place.as_json)
        return  # The request will be refused, and will say why.
    legs = [leg_view(leg_word(i), i.minor, i.currency) for i in decision.instructions]
    if place.as_json:
        paper.print_json({"plan": legs})
    else:
        paper.print_table("plan", ("by", "amount"), [(leg.kind, leg.amount) for leg in legs])
    if is_all:
        raise typer.Exit(Exit.DONE)


def leg_word(instruction: Instruction) -> str:
    """What was never sent needs no channel to be undone."""
    return "withdraw" if instruction.state is State.WITHDRAWN else instruction.kind
