"""The resources as the API shows them. Amounts are minor units; times are ISO 8601 in UTC."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from contraflow.domain.ids import name_of
from contraflow.domain.instruction import Instruction, Kind, Labels
from contraflow.domain.payment import Payment
from contraflow.engine.views import Status, failure_of, status_of, time_text

LABELS = msgspec.json.Decoder(Labels)
RECEIPT = {"$ref": "#/components/schemas/Receipt"}

Receipt = Annotated[Raw, Meta(description="For ever the same bytes.", extra_json_schema=RECEIPT)]


class Source(Struct, frozen=True, omit_defaults=True):
    """By which key, from which address, with which device it was asked for."""

    key: str = ""
    address: str = ""
    device: str = ""


class PaymentShape(Struct, frozen=True, kw_only=True):
    object: Literal["payment"] = "payment"
    id: str
    status: str
    mode: str
    channel: str
    method: str
    instrument: str
    capture_method: str
    currency: str
    amount: int
    amount_authorized: int
    amount_captured: int
    amount_capturable: int
    amount_voided: int
    amount_void_in_flight: int
    amount_reserved: int  # For refunds that are not final.
    amount_refunded: int
    amount_refundable: int
    amount_charged_back: int
    amount_excess: int  # What left beyond what was captured.
    created_at: str
    expires_at: str | None
    channel_reference: str
    merchant_reference: str
    merchant: str
    customer: str
    payee: str
    operator: str
    source: Source
    metadata: dict[str, str]
    reversals: list[ReversalShape] | UnsetType = UNSET  # With `expand=reversals`.
    receipt: Receipt | UnsetType = UNSET  # Of the request that this answers.


class ReversalShape(Struct, frozen=True, kw_only=True):
    """What undoes a payment: a close, a void or a refund. A refund is one of kind `refund`."""

    object: Literal["refund", "reversal", "command"]
    id: str
    kind: str
    payment: PaymentShape | str  # Its id, or with `expand=payment` all of it.
    status: Status
    state: str  # Says more than the status.
    mode: str
    channel: str
    amount: int
    currency: str
    capture: str | None
    pending_reason: str | None
    failure_reason: str | None
    withdrawal: str
    number: str  # What the channel knows it by.
    channel_reference: str
    attempts: int
    created_at: str
    sent_at: str | None
    known_at: str | None
    final_at: str | None
    deadline_at: str | None
    reason: str
    merchant_reference: str
    customer: str
    payee: str
    operator: str
    source: Source
    metadata: dict[str, str]
    receipt: Receipt | UnsetType = UNSET


PlanStatus = Literal["pending", "requires_action", "succeeded", "failed", "canceled"]


class ReversalPlan(Struct, frozen=True, kw_only=True):
    """What a request to undo a payment has led to, leg by leg; `status` is the worst of them."""

    object: Literal["reversal_plan"] = "reversal_plan"
    payment: PaymentShape | str
    status: PlanStatus
    legs: list[ReversalShape]
    receipt: Receipt | UnsetType = UNSET


class PlannedLeg(Struct, frozen=True, kw_only=True):
    object: Literal["planned_leg"] = "planned_leg"
    kind: str
    amount: int
    currency: str


class PlannedReversal(Struct, frozen=True, kw_only=True):
    """What the same request would lead to now; nothing is asked for."""

    object: Literal["planned_reversal"] = "planned_reversal"
    payment: str
    legs: list[PlannedLeg]


class Page(Struct, frozen=True, kw_only=True):
    """`next` is a cursor for the same filters, null at the end; a page may be short before it."""

    object: Literal["list"] = "list"


class PaymentPage(Page, frozen=True, kw_only=True):
    items: list[PaymentShape]
    next: str | None


class ReversalPage(Page, frozen=True, kw_only=True):
    items: list[ReversalShape]
    next: str | None


def payment_shape(payment: Payment, mode: str, **more: Any) -> PaymentShape:
    labels = LABELS.decode(payment.labels)
    return PaymentShape(
        id=name_of(payment.payment_id),
        status=payment.state,
        mode=mode,
        channel=payment.channel,
        method=payment.method,
        instrument=payment.instrument,
        capture_method=payment.capturing,
        currency=payment.currency,
        amount=payment.amount,
        amount_authorized=payment.authorized,
        amount_captured=payment.captured,
        amount_capturable=payment.capturable,
        amount_voided=payment.voided,
        amount_void_in_flight=payment.void_in_flight,
        amount_reserved=payment.reserved,
        amount_refunded=payment.refunded,
        amount_refundable=payment.refundable,
        amount_charged_back=payment.charged_back,
        amount_excess=payment.excess,
        created_at=time_text(payment.created_at),
        expires_at=_time_or_none(payment.expires_at),
        channel_reference=payment.reference,
        merchant_reference=labels.merchant_reference,
        merchant=labels.merchant,
        customer=labels.customer,
        payee=labels.payee,
        operator=labels.actor,
        source=source_of(labels),
        metadata=labels.metadata,
        **more,
    )


def reversal_shape(instruction: Instruction, **more: Any) -> ReversalShape:
    labels = LABELS.decode(instruction.labels)
    return ReversalShape(
        object=OBJECTS[instruction.kind],
        id=name_of(instruction.instruction_id),
        kind=instruction.kind,
        payment=more.pop("payment", None) or name_of(instruction.payment_id),
        status=status_of(instruction),
        state=instruction.state,
        mode=instruction.mode,
        channel=instruction.channel,
        amount=instruction.minor,
        currency=instruction.currency,
        capture=instruction.capture_id or None,
        pending_reason=instruction.waiting or None,
        failure_reason=failure_of(instruction),
        withdrawal=instruction.withdrawal,
        number=instruction.number,
        channel_reference=instruction.reference,
        attempts=instruction.attempt,
        created_at=time_text(instruction.requested_at),
        sent_at=_time_or_none(instruction.sent_at),
        known_at=_time_or_none(instruction.known_at),
        final_at=_time_or_none(instruction.final_at),
        deadline_at=_time_or_none(instruction.deadline_at),
        reason=labels.reason,
        merchant_reference=labels.merchant_reference,
        customer=labels.customer,
        payee=labels.payee,
        operator=labels.actor,
        source=source_of(labels),
        metadata=labels.metadata,
        **more,
    )


OBJECTS: dict[Kind, Literal["refund", "reversal", "command"]] = {
    Kind.REFUND: "refund",
    Kind.CLOSE: "reversal",
    Kind.VOID: "reversal",
    Kind.PAY: "command",
    Kind.CAPTURE: "command",
}
WORST_FIRST: tuple[tuple[Status, PlanStatus], ...] = (
    (Status.FAILED, "failed"),
    (Status.REQUIRES_ACTION, "requires_action"),
    (Status.PENDING, "pending"),
    (Status.CANCELED, "canceled"),
    (Status.SUCCEEDED, "succeeded"),
)


def plan_status(legs: list[Instruction]) -> PlanStatus:
    """The worst of its legs; without a leg the payment command itself was taken back."""
    found = {status_of(leg) for leg in legs}
    return next((word for status, word in WORST_FIRST if status in found), "canceled")


def source_of(labels: Labels) -> Source:
    return Source(labels.api_key, labels.address, labels.device)


def _time_or_none(ms: int | None) -> str | None:
    return None if ms is None else time_text(ms)
