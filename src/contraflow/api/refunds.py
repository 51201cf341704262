"""Refunds of captured money, and taking one back."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from contraflow.api.asking import Outcome, ask
from contraflow.api.desk import Desk
from contraflow.api.listing import reversals_page
from contraflow.api.operation import Answer, Call, Operation
from contraflow.api.queries import ExpandReversal, RefundQuery
from contraflow.api.seeing import reversal_of, with_payment
from contraflow.api.shapes import ReversalPage, ReversalShape, reversal_shape
from contraflow.api.wishes import Wish, asked, money, timing_of
from contraflow.domain.commands import RequestRefund, WithdrawReversal
from contraflow.domain.ids import name_of, qualified
from contraflow.domain.instruction import Kind
from contraflow.domain.money import AMOUNT_MINOR_MAX
from contraflow.requests.asked import fingerprinted
from contraflow.requests.scopes import Scope
from contraflow.requests.words import Amount, Currency, Name, OptionalName

REFUNDS = frozenset({Kind.REFUND})


class RefundWish(Wish, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """`expected_amount_refundable`: refuse if by now another amount can be refunded."""

    payment: Name
    amount: Amount
    currency: Currency
    capture: OptionalName = ""
    expected_amount_refundable: Annotated[int, Meta(ge=0, le=AMOUNT_MINOR_MAX)] | None = None
    for_review: bool = False  # Hold it until a person releases it.


class WithdrawalWish(Wish, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Taking a request back needs no words."""


async def create_refund(desk: Desk, call: Call) -> Answer:
    wish: RefundWish = call.body
    command = RequestRefund(
        **asked(call, wish),
        payment_id=qualified(call.tenant, wish.payment),
        amount=money(wish.amount, wish.currency),
        capture_id=wish.capture,
        expected_refundable=wish.expected_amount_refundable,
        timing=timing_of(call),
        for_review=wish.for_review,
    )
    return await ask(desk, call, fingerprinted("refund", command), shown)


async def cancel_refund(desk: Desk, call: Call) -> Answer:
    """At once before it is sent; after that the channel decides which was first."""
    wish: WithdrawalWish = call.body
    instruction_id = qualified(call.tenant, call.path["id"])
    command = WithdrawReversal(**asked(call, wish), instruction_id=instruction_id)
    return await ask(desk, call, fingerprinted("withdraw", command), shown)


def shown(found: Outcome) -> tuple[ReversalShape, str]:
    [instruction] = found.instructions[:1]
    shape = reversal_shape(instruction, receipt=found.raw_receipt)
    return shape, f"/v1/refunds/{name_of(instruction.instruction_id)}"


async def get_refund(desk: Desk, call: Call) -> Answer:
    instruction, payment = await reversal_of(desk, call, call.path["id"], REFUNDS)
    shape = reversal_shape(instruction)
    if call.query.expand == "payment":
        shape = with_payment(desk, shape, payment)
    return Answer(200, shape)


async def list_refunds(desk: Desk, call: Call) -> Answer:
    return await reversals_page(desk, call, REFUNDS)


OPERATIONS = (
    Operation(
        name="create_refund",
        method="POST",
        path="/v1/refunds",
        act=create_refund,
        about="Give captured money back, all of it or a part.",
        scope=Scope.REFUNDS_WRITE,
        body=RefundWish,
        answers={201: ReversalShape, 202: ReversalShape},
        is_money=True,
        may_wait=True,
        example={"payment": "coffee", "amount": 1050, "currency": "GBP", "reason": "cold"},
    ),
    Operation(
        name="list_refunds",
        method="GET",
        path="/v1/refunds",
        act=list_refunds,
        about="Refunds, the newest first.",
        scope=Scope.REFUNDS_READ,
        query=RefundQuery,
        answers={200: ReversalPage},
    ),
    Operation(
        name="get_refund",
        method="GET",
        path="/v1/refunds/{id}",
        act=get_refund,
        about="One refund as it is now.",
        scope=Scope.REFUNDS_READ,
        query=ExpandReversal,
        answers={200: ReversalShape},
    ),
    Operation(
        name="cancel_refund",
        method="POST",
        path="/v1/refunds/{id}/cancel",
        act=cancel_refund,
        about="Take a refund back: at once before it is sent, later where the channel allows it.",
        scope=Scope.REFUNDS_WRITE,
        body=WithdrawalWish,
        answers={201: ReversalShape, 202: ReversalShape},
        is_money=True,
        may_wait=True,
        example={"reason": "asked for by mistake"},
    ),
)
