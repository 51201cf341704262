"""Undo a payment in one call, by whatever ways it takes; or cancel one that was not captured."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from contraflow.api.asking import Outcome, ask
from contraflow.api.desk import Desk
from contraflow.api.listing import reversals_page
from contraflow.api.operation import Answer, Call, Operation
from contraflow.api.problem import Problem, status_of
from contraflow.api.queries import ExpandReversal, ReversalQuery
from contraflow.api.seeing import payment_of, reversal_of, with_payment
from contraflow.api.shapes import (
    PlannedLeg,
    PlannedReversal,
    ReversalPage,
    ReversalPlan,
    ReversalShape,
    payment_shape,
    plan_status,
    reversal_shape,
)
from contraflow.api.wishes import Wish, asked, money_or_none, timing_of
from contraflow.domain.commands import RequestCancel, RequestReversal
from contraflow.domain.decision import Refused
from contraflow.domain.ids import name_of, qualified
from contraflow.domain.instruction import REVERSALS
from contraflow.engine.session import foresee
from contraflow.requests.asked import fingerprinted
from contraflow.requests.scopes import Scope
from contraflow.requests.words import Amount, Currency, Name


class ReversalWish(Wish, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Without an amount all that is left of it."""

    payment: Name
    amount: Amount | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET


class CancelWish(Wish, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A cancel is of the whole payment."""


class PlanQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    plan: Literal["true", "false"] = "false"  # Only show the legs; nothing is asked for.


async def create_reversal(desk: Desk, call: Call) -> Answer:
    wish: ReversalWish = call.body
    command = RequestReversal(
        **asked(call, wish),
        payment_id=qualified(call.tenant, wish.payment),
        amount=money_or_none(wish.amount, wish.currency),
        timing=timing_of(call),
    )
    command = fingerprinted("reverse", command)
    if call.query.plan == "true":
        return await plan(desk, call, wish, command)
    return await ask(desk, call, command, lambda found: shown(desk, found), needs_payment=True)


async def plan(desk: Desk, call: Call, wish: ReversalWish, command: RequestReversal) -> Answer:
    """As it would be decided now; the request itself is decided again when it is made."""
    payment = await payment_of(desk, call, wish.payment)
    decision = await foresee(desk.views, desk.parts.policy, command, desk.parts.store.now())
    if isinstance(decision, Refused):
        raise Problem(status_of(decision.code), decision.code, decision.detail)
    legs = [
        PlannedLeg(kind=leg.kind, amount=leg.minor, currency=leg.currency)
        for leg in decision.instructions
    ]
    told = PlannedReversal(payment=name_of(payment.payment_id), legs=legs)
    return Answer(200, told)


async def cancel_payment(desk: Desk, call: Call) -> Answer:
    wish: CancelWish = call.body
    command = RequestCancel(
        **asked(call, wish),
        payment_id=qualified(call.tenant, call.path["id"]),
        timing=timing_of(call),
    )
    command = fingerprinted("cancel", command)
    return await ask(desk, call, command, lambda found: shown(desk, found), needs_payment=True)


def shown(desk: Desk, found: Outcome) -> tuple[ReversalPlan, str]:
    payment = found.payment
    assert payment is not None, "its receipt names it"
    legs = [each for each in found.instructions if each.kind in REVERSALS]
    told = ReversalPlan(
        payment=payment_shape(payment, desk.modes[payment.channel]),
        status=plan_status(legs),
        legs=[reversal_shape(leg) for leg in legs],
        receipt=found.raw_receipt,
    )
    if len(legs) == 1:
        return told, f"/v1/reversals/{name_of(legs[0].instruction_id)}"
    return told, f"/v1/payments/{name_of(payment.payment_id)}?expand=reversals"


async def get_reversal(desk: Desk, call: Call) -> Answer:
    instruction, payment = await reversal_of(desk, call, call.path["id"], REVERSALS)
    shape = reversal_shape(instruction)
    if call.query.expand == "payment":
        shape = with_payment(desk, shape, payment)
    return Answer(200, shape)


async def list_reversals(desk: Desk, call: Call) -> Answer:
    return await reversals_page(desk, call, REVERSALS)


OPERATIONS = (
    Operation(
        name="create_reversal",
        method="POST",
        path="/v1/reversals",
        act=create_reversal,
        about="Undo a payment, or so much of it, by whatever ways it takes.",
        scope=Scope.REFUNDS_WRITE,
        body=ReversalWish,
        query=PlanQuery,
        answers={200: PlannedReversal, 201: ReversalPlan, 202: ReversalPlan},
        is_money=True,
        may_wait=True,
        example={"payment": "coffee", "reason": "never mind"},
    ),
    Operation(
        name="list_reversals",
        method="GET",
        path="/v1/reversals",
        act=list_reversals,
        about="Closes, voids and refunds, the newest first.",
        scope=Scope.REFUNDS_READ,
        query=ReversalQuery,
        answers={200: ReversalPage},
    ),
    Operation(
        name="get_reversal",
        method="GET",
        path="/v1/reversals/{id}",
        act=get_reversal,
        about="One reversal as it is now.",
        scope=Scope.REFUNDS_READ,
        query=ExpandReversal,
        answers={200: ReversalShape},
    ),
    Operation(
        name="cancel_payment",
        method="POST",
        path="/v1/payments/{id}/cancel",
        act=cancel_payment,
        about="Close a payment that was never paid, or void one that was not captured.",
        scope=Scope.REFUNDS_WRITE,
        body=CancelWish,
        answers={201: ReversalPlan, 202: ReversalPlan},
        is_money=True,
        may_wait=True,
        example={"reason": "out of stock"},
    ),
)
