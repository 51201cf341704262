"""What the doors show: payments, instructions and cases as plain values, in few words."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from contraflow.domain.cases import CASE_DEADLINE_MS, Case, CaseKind
from contraflow.domain.ids import name_of, tenant_of
from contraflow.domain.instruction import Instruction, Labels, Waiting
from contraflow.domain.lifecycle import State
from contraflow.domain.money import Money, decimal_text
from contraflow.domain.options import Options
from contraflow.domain.payment import Payment
from contraflow.store import Views

TIMES = ("sent_at", "known_at", "final_at", "deadline_at")
AMOUNTS = (
    *("amount", "authorized", "captured", "voided", "void_in_flight", "reserved", "refunded"),
    *("charged_back", "excess", "capturable", "refundable"),
)
LABELS = msgspec.json.Decoder(Labels)


class Status(enum.StrEnum):
    """An instruction as the field knows it; its `state` says more."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"  # A person must release or reject it.
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # Or it bounced.
    CANCELED = "canceled"  # Taken back before the channel acted.


def status_of(instruction: Instruction) -> Status:
    return outer_status(instruction.state, instruction.waiting)


def outer_status(state: State, waiting: str) -> Status:
    match state:
        case State.HELD if waiting == Waiting.REVIEW:
            return Status.REQUIRES_ACTION
        case State.SUCCEEDED:
            return Status.SUCCEEDED
        case State.FAILED | State.BOUNCED:
            return Status.FAILED
        case State.WITHDRAWN:
            return Status.CANCELED
        case State.HELD | State.ACCEPTED:
            return Status.PENDING
        case State.SENT | State.PENDING | State.UNKNOWN | State.ATTENTION:
            return Status.PENDING


class MoneyView(Struct, frozen=True):
    minor: int
    currency: str
    text: str  # With the decimals of its currency.


class PaymentView(Struct, frozen=True, kw_only=True):
    id: str
    state: str
    channel: str
    method: str
    instrument: str
    capturing: str
    amount: MoneyView
    authorized: MoneyView
    captured: MoneyView
    voided: MoneyView
    void_in_flight: MoneyView
    reserved: MoneyView
    refunded: MoneyView
    charged_back: MoneyView
    excess: MoneyView
    capturable: MoneyView
    refundable: MoneyView
    created_at: str
    expires_at: str | None
    reference: str
    labels: Labels


class InstructionView(Struct, frozen=True, kw_only=True):
    id: str
    payment: str
    channel: str
    kind: str
    mode: str
    amount: MoneyView
    status: Status
    state: str
    pending_reason: str | None
    failure_reason: str | None
    withdrawal: str
    capture: str | None
    number: str
    attempts: int
    reference: str
    requested_at: str
    sent_at: str | None
    known_at: str | None
    final_at: str | None
    deadline_at: str | None
    labels: Labels


class CaseView(Struct, frozen=True, kw_only=True):
    id: str  # What `attention resolve` takes.
    kind: str
    about: str
    opened_at: str | None = None
    deadline_at: str | None
    detail: str


class OptionView(Struct, frozen=True, kw_only=True):
    action: str
    is_allowed: bool
    why_not: str | None
    amount_max: MoneyView | None
    until: str | None
    refunds_left: int | None
    mode: str


class LegView(Struct, frozen=True, kw_only=True):
    kind: str
    amount: MoneyView


class OptionsView(Struct, frozen=True, kw_only=True):
    payment: str
    options: tuple[OptionView, ...]
    plan: tuple[LegView, ...]
    recommended: str | None


def money_view(minor: int, currency: str) -> MoneyView:
    return MoneyView(minor, currency, decimal_text(Money(minor, currency)))


def time_text(ms: int) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(ms // 1_000, UTC) + timedelta(milliseconds=ms % 1_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def payment_view(payment: Payment) -> PaymentView:
    return PaymentView(
        id=name_of(payment.payment_id),
        state=payment.state,
        channel=payment.channel,
        method=payment.method,
        instrument=payment.instrument,
        capturing=payment.capturing,
        created_at=time_text(payment.created_at),
        expires_at=_time_or_none(payment.expires_at),
        reference=payment.reference,
        labels=LABELS.decode(payment.labels),
        **{name: money_view(getattr(payment, name), payment.currency) for name in AMOUNTS},
    )


def failure_of(instruction: Instruction) -> str | None:
    """Why it failed, bounced or needs a person."""
    has_failed = status_of(instruction) is Status.FAILED or instruction.state is State.ATTENTION
    return (instruction.failure or instruction.state) if has_failed else None


def instruction_view(instruction: Instruction) -> InstructionView:
    return InstructionView(
        id=name_of(instruction.instruction_id),
        payment=name_of(instruction.payment_id),
        channel=instruction.channel,
        kind=instruction.kind,
        mode=instruction.mode,
        amount=money_view(instruction.minor, instruction.currency),
        status=status_of(instruction),
        state=instruction.state,
        pending_reason=instruction.waiting or None,
        failure_reason=failure_of(instruction),
        withdrawal=instruction.withdrawal,
        capture=instruction.capture_id or None,
        number=instruction.number,
        attempts=instruction.attempt,
        reference=instruction.reference,
        requested_at=time_text(instruction.requested_at),
        labels=LABELS.decode(instruction.labels),
        **{name: _time_or_none(getattr(instruction, name)) for name in TIMES},
    )


def options_view(options: Options) -> OptionsView:
    return OptionsView(
        payment=name_of(options.payment_id),
        options=tuple(
            OptionView(
                action=option.action,
                is_allowed=option.is_allowed,
                why_not=option.why_not,
                amount_max=money_view(option.minor_max, options.currency),
                until=_time_or_none(option.until),
                refunds_left=option.refunds_left,
                mode=option.mode,
            )
            for option in options.options
        ),
        plan=tuple(leg_view(leg.kind, leg.minor, options.currency) for leg in options.plan),
        recommended=options.recommended,
    )


def leg_view(kind: str, minor: int, currency: str) -> LegView:
    return LegView(kind=kind, amount=money_view(minor, currency))


async def case_views(views: Views, tenant: str) -> list[CaseView]:
    """The operator's queue of a tenant, and the facts that name no payment and so no tenant."""
    own = [_attention_view(instruction) for instruction in await views.in_attention(tenant)]
    own += [_review_view(instruction) for instruction in await views.in_review(tenant)]
    cases = [
        _case_view(case, tenant)
        for case in await views.open_cases()
        if tenant_of(case.object_id) == tenant or is_of_nobody(case)
    ]
    return sorted(own + cases, key=lambda case: (case.deadline_at or "", case.id))


def is_of_nobody(case: Case) -> bool:
    return case.kind is CaseKind.PARKED_FACT and "/" not in case.object_id


def _attention_view(instruction: Instruction) -> CaseView:
    until = instruction.deadline_at
    return CaseView(
        id=name_of(instruction.instruction_id),
        kind=CaseKind.ATTENTION,
        about=f"{instruction.kind} of {name_of(instruction.payment_id)}",
        opened_at=None if until is None else time_text(until - CASE_DEADLINE_MS),
        deadline_at=_time_or_none(until),
        detail=instruction.failure,
    )


def _review_view(instruction: Instruction) -> CaseView:
    return CaseView(
        id=name_of(instruction.instruction_id),
        kind="review",
        about=f"{instruction.kind} of {name_of(instruction.payment_id)}",
        opened_at=time_text(instruction.requested_at),
        deadline_at=_time_or_none(instruction.deadline_at),
        detail="release or reject it; at its deadline it expires",
    )


def _case_view(case: Case, tenant: str) -> CaseView:
    return CaseView(
        id=case.case_id.removeprefix(f"{tenant}/"),
        kind=case.kind,
        about=case.object_id.removeprefix(f"{tenant}/"),
        opened_at=time_text(case.opened_at),
        deadline_at=time_text(case.deadline_at),
        detail=case.detail,
    )


def _time_or_none(ms: int | None) -> str | None:
    return None if ms is None else time_text(ms)
