"""Payments: made here through a channel, or recorded because they were made elsewhere."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from contraflow.api.asking import Outcome, ask
from contraflow.api.desk import Desk
from contraflow.api.listing import payments_page
from contraflow.api.operation import Answer, Call, NoQuery, Operation
from contraflow.api.problem import Problem
from contraflow.api.queries import ExpandPayment, PaymentQuery
from contraflow.api.seeing import payment_of, with_reversals
from contraflow.api.shapes import PaymentPage, PaymentShape, payment_shape
from contraflow.api.wishes import Wish, asked, money, money_or_none
from contraflow.domain.commands import CreatePayment, RecordPayment, RequestCapture
from contraflow.domain.ids import name_of, number_for, qualified
from contraflow.domain.options import options_for
from contraflow.domain.payment import Capturing
from contraflow.engine.metrics import usual_ms_of
from contraflow.engine.views import OptionsView, options_view
from contraflow.errors import ErrorCode
from contraflow.requests.asked import fingerprinted, fingerprinted_payment
from contraflow.requests.scopes import Scope
from contraflow.requests.words import Amount, Currency, Name, OptionalName

YEAR_S = 366 * 24 * 3_600


class PaymentWish(Wish, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """`recorded` says that it was made elsewhere; without it the payer is charged here."""

    id: Name | None = None  # Yours; without one it follows from the idempotency key.
    amount: Amount
    currency: Currency
    channel: Name
    method: OptionalName = ""
    instrument: OptionalName = ""
    capture_method: Literal["automatic", "manual"] = "automatic"
    recorded: Literal["authorized", "captured"] | None = None
    valid_s: Annotated[int, Meta(ge=1, le=YEAR_S)] | None = None  # How long the payer may pay.


class CaptureWish(Wish, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Without an amount all that is authorised and free."""

    amount: Amount | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET


async def create_payment(desk: Desk, call: Call) -> Answer:
    wish: PaymentWish = call.body
    name = wish.id or number_for(payment_id=f"{call.tenant}/", key=f"{call.tenant}/{call.key}")
    told: dict[str, Any] = asked(call, wish) | {
        "payment_id": qualified(call.tenant, name),
        "channel": wish.channel,
        "method": wish.method,
        "instrument": wish.instrument,
        "amount": money(wish.amount, wish.currency),
    }
    command: RecordPayment | CreatePayment
    if wish.recorded is not None:
        if wish.valid_s is not None:
            raise Problem(400, ErrorCode.FIELD_INVALID, "it was paid already", field="valid_s")
        is_captured = wish.recorded == "captured"
        command = fingerprinted("pay", RecordPayment(**told, is_captured=is_captured))
    else:
        valid_ms = None if wish.valid_s is None else wish.valid_s * 1_000
        expires_at = None if valid_ms is None else desk.parts.store.now() + valid_ms
        capturing = Capturing(wish.capture_method)
        command = fingerprinted_payment(
            CreatePayment(**told, capturing=capturing, expires_at=expires_at), valid_ms
        )
    return await ask(desk, call, command, lambda found: _shown(desk, found), needs_payment=True)


async def capture_payment(desk: Desk, call: Call) -> Answer:
    wish: CaptureWish = call.body
    payment_id = qualified(call.tenant, call.path["id"])
    amount = money_or_none(wish.amount, wish.currency)
    command = RequestCapture(**asked(call, wish), payment_id=payment_id, amount=amount)
    command = fingerprinted("capture", command)
    return await ask(desk, call, command, lambda found: _shown(desk, found), needs_payment=True)


def _shown(desk: Desk, found: Outcome) -> tuple[PaymentShape, str]:
    assert found.payment is not None, "its receipt names it"
    mode = desk.modes[found.payment.channel]
    shape = payment_shape(found.payment, mode, receipt=found.raw_receipt)
    return shape, f"/v1/payments/{name_of(found.payment.payment_id)}"


async def get_payment(desk: Desk, call: Call) -> Answer:
    payment = await payment_of(desk, call, call.path["id"])
    shape = payment_shape(payment, desk.modes[payment.channel])
    if call.query.expand == "reversals":
        shape = await with_reversals(desk, shape, payment)
    return Answer(200, shape)


async def list_payments(desk: Desk, call: Call) -> Answer:
    return await payments_page(desk, call)


class Option(Struct, frozen=True, kw_only=True):
    """One way of undoing it, before anybody tries."""

    action: str
    is_allowed: bool
    why_not: str | None
    amount_max: int
    until: str | None
    refunds_left: int | None
    mode: str


class ReversalOptions(Struct, frozen=True, kw_only=True):
    object: Literal["reversal_options"] = "reversal_options"
    payment: str
    currency: str
    options: list[Option]
    recommended: str | None


async def reversal_options(desk: Desk, call: Call) -> Answer:
    payment = await payment_of(desk, call, call.path["id"])
    now = desk.parts.store.now()
    usual_ms = await usual_ms_of(desk.views, payment, now)
    found = options_for(payment, desk.parts.policy, now=now, usual_ms=usual_ms)
    view: OptionsView = options_view(found)
    options = [
        Option(
            action=each.action,
            is_allowed=each.is_allowed,
            why_not=each.why_not,
            amount_max=each.amount_max.minor if each.amount_max else 0,
            until=each.until,
            refunds_left=each.refunds_left,
            mode=each.mode,
        )
        for each in view.options
    ]
    shape = ReversalOptions(
        payment=view.payment,
        currency=payment.currency,
        options=options,
        recommended=view.recommended,
    )
    return Answer(200, shape)


OPERATIONS = (
    Operation(
        name="create_payment",
        method="POST",
        path="/v1/payments",
        act=create_payment,
        about="Take a payment through a channel, or record one that was made elsewhere.",
        scope=Scope.PAYMENTS_WRITE,
        body=PaymentWish,
        answers={201: PaymentShape, 202: PaymentShape},
        is_money=True,
        may_wait=True,
        example={"id": "coffee", "amount": 1050, "currency": "GBP", "channel": "sandbox"},
    ),
    Operation(
        name="list_payments",
        method="GET",
        path="/v1/payments",
        act=list_payments,
        about="Payments, the newest first.",
        scope=Scope.PAYMENTS_READ,
        query=PaymentQuery,
        answers={200: PaymentPage},
    ),
    Operation(
        name="get_payment",
        method="GET",
        path="/v1/payments/{id}",
        act=get_payment,
        about="One payment as it is now.",
        scope=Scope.PAYMENTS_READ,
        query=ExpandPayment,
        answers={200: PaymentShape},
    ),
    Operation(
        name="capture_payment",
        method="POST",
        path="/v1/payments/{id}/capture",
        act=capture_payment,
        about="Take what was authorised, or a part of it.",
        scope=Scope.PAYMENTS_WRITE,
        body=CaptureWish,
        answers={201: PaymentShape, 202: PaymentShape},
        is_money=True,
        may_wait=True,
        example={"amount": 1050, "currency": "GBP"},
    ),
    Operation(
        name="get_reversal_options",
        method="GET",
        path="/v1/payments/{id}/reversal-options",
        act=reversal_options,
        about="Which ways of undoing it are open: until when, how much, why not; which is best.",
        scope=Scope.PAYMENTS_READ,
        query=NoQuery,
        answers={200: ReversalOptions},
    ),
)
