"""What a walk along the table does to an instruction and to its payment."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from contraflow.domain import payment as amounts
from contraflow.domain.cases import Case, CaseKind, open_case
from contraflow.domain.decision import Accepted
from contraflow.domain.events import (
    NOBODY,
    Asked,
    CaseOpened,
    Event,
    InstructionMoved,
    PaymentMoved,
)
from contraflow.domain.facts import BookedFact, FactKind, FactState, fact_id_for
from contraflow.domain.instruction import Instruction, Kind
from contraflow.domain.lifecycle import ENDED, UNPAID, PaymentState, PaymentStep, State, Step
from contraflow.domain.outcome import NO_EVIDENCE, Evidence
from contraflow.domain.payment import Capturing, Payment


class Turn(enum.Enum):
    """What a step means for the money: the same for every kind of instruction."""

    RESERVES = enum.auto()
    SENDS = enum.auto()
    CONFIRMS = enum.auto()
    RELEASES = enum.auto()
    BOUNCES = enum.auto()
    HAPPENS = enum.auto()  # After it had been released.
    NOTHING = enum.auto()


TURNS: Mapping[Step, Turn] = MappingProxyType(
    {
        Step.HOLD: Turn.RESERVES,
        Step.REQUEST: Turn.RESERVES,
        Step.SEND: Turn.SENDS,
        Step.SUCCEED: Turn.CONFIRMS,
        Step.RESOLVE_SUCCEEDED: Turn.CONFIRMS,
        Step.FAIL: Turn.RELEASES,
        Step.RESOLVE_FAILED: Turn.RELEASES,
        Step.REJECT: Turn.RELEASES,
        Step.EXPIRE: Turn.RELEASES,
        Step.WITHDRAW: Turn.RELEASES,
        Step.WITHDRAW_CONFIRMED: Turn.RELEASES,
        Step.BOUNCE: Turn.BOUNCES,
        Step.EFFECT: Turn.HAPPENS,
        Step.RELEASE: Turn.NOTHING,
        Step.RESEND: Turn.NOTHING,
        Step.REDIRECT: Turn.NOTHING,
        Step.NOT_SENT: Turn.NOTHING,
        Step.RETRY_LATER: Turn.NOTHING,
        Step.ACCEPT: Turn.NOTHING,
        Step.LOSE: Turn.NOTHING,
        Step.OVERDUE: Turn.NOTHING,
        Step.CONTRADICT: Turn.NOTHING,
    }
)
assert set(TURNS) == set(Step)


class Change(Struct, frozen=True, gc=False):
    """A payment after a step of one of its instructions, and the step of its own that this was."""

    payment: Payment
    step: PaymentStep | None = None
    minor: int = 0


def walk(
    now: int,
    payment: Payment,
    instruction: Instruction,
    steps: tuple[Step, ...],
    *,
    evidence: Evidence = NO_EVIDENCE,
    asked: Asked = NOBODY,
) -> Accepted:
    """Take the steps in order; each makes one event, and one more where the payment moves too."""
    events: list[Event] = []
    facts: list[BookedFact] = []
    cases: list[Case] = []
    for step in steps:
        moved = instruction.move(step, now)
        change = payment_after(step, payment, moved, now)
        paid = _count_unknown(change.payment, instruction.state, moved.state)
        excess = paid.excess - payment.excess
        own = excess if change.step is None else 0
        events.append(InstructionMoved(step, moved, own, evidence, asked))
        if change.step is not None:
            paid = amounts.move(paid, change.step)
            late = is_late(payment, change.step)
            events.append(PaymentMoved(change.step, paid, change.minor, excess, evidence, late))
            facts.extend(captures_of(change, moved, now))
        cases.extend(cases_of(change, payment, moved, now))
        payment, instruction = paid, moved
    events.extend(CaseOpened(case) for case in cases)
    return Accepted(
        payment=payment,
        instructions=(instruction,),
        events=tuple(events),
        facts=tuple(facts),
        cases=tuple(cases),
    )


def payment_after(step: Step, payment: Payment, moved: Instruction, now: int) -> Change:
    turn = TURNS[step]
    if turn is Turn.NOTHING:
        return Change(payment)
    match moved.kind:
        case Kind.REFUND:
            return Change(_refund(turn, payment, moved.minor))
        case Kind.VOID:
            return _void(turn, payment, moved.minor)
        case Kind.CLOSE:
            return _close(turn, payment)
        case Kind.PAY:
            known = replace(payment, reference=moved.reference or payment.reference)
            return _pay(turn, step, known, moved.minor, now)
        case Kind.CAPTURE:
            return _capture(turn, payment, moved.minor, now)


def _refund(turn: Turn, payment: Payment, minor: int) -> Payment:
    match turn:
        case Turn.RESERVES:
            return amounts.reserve(payment, minor)
        case Turn.CONFIRMS:
            return amounts.confirm_refund(payment, minor)
        case Turn.RELEASES:
            return amounts.release_refund(payment, minor)
        case Turn.BOUNCES:
            return amounts.bounce_refund(payment, minor)
        case Turn.HAPPENS:
            return amounts.refund_by_fact(payment, minor)
        case Turn.SENDS | Turn.NOTHING:
            return payment


def _void(turn: Turn, payment: Payment, minor: int) -> Change:
    match turn:
        case Turn.RESERVES:
            return Change(amounts.begin_void(payment, minor))
        case Turn.CONFIRMS | Turn.HAPPENS:
            voided = amounts.confirm_void(payment, minor)
            is_all = voided.voided == voided.authorized  # Nothing is on its way, either.
            if is_all and voided.can(PaymentStep.CANCEL):
                return Change(voided, PaymentStep.CANCEL, minor)
            return Change(voided)
        case Turn.RELEASES:
            return Change(amounts.drop_void(payment, minor))
        case Turn.BOUNCES | Turn.SENDS | Turn.NOTHING:
            return Change(payment)


def _close(turn: Turn, payment: Payment) -> Change:
    match turn:
        case Turn.RESERVES:
            return Change(replace(payment, closing=payment.closing + 1))
        case Turn.CONFIRMS | Turn.HAPPENS:
            closing = payment.closing - (turn is Turn.CONFIRMS)
            closed = amounts.confirm_void(replace(payment, closing=closing), payment.capturable)
            if closed.can(PaymentStep.CANCEL):
                return Change(replace(closed, expires_at=None), PaymentStep.CANCEL)
            return Change(closed)
        case Turn.RELEASES:
            return Change(replace(payment, closing=payment.closing - 1))
        case Turn.BOUNCES | Turn.SENDS | Turn.NOTHING:
            return Change(payment)


def _pay(turn: Turn, step: Step, payment: Payment, minor: int, now: int) -> Change:
    match turn:
        case Turn.SENDS if payment.can(PaymentStep.START):
            return Change(payment, PaymentStep.START)
        case Turn.CONFIRMS | Turn.HAPPENS if payment.capturing is Capturing.MANUAL:
            paid = amounts.authorize(payment, minor, now)
            is_news = paid.authorized > payment.authorized
            has_moved = is_news and paid.can(PaymentStep.AUTHORIZE)
            return Change(paid, PaymentStep.AUTHORIZE if has_moved else None, minor)
        case Turn.CONFIRMS | Turn.HAPPENS:
            return Change(amounts.capture(payment, minor, now), PaymentStep.CAPTURE, minor)
        case Turn.RELEASES if payment.state in UNPAID:
            return Change(replace(payment, expires_at=None), _end_by(step))
        case _:
            return Change(payment)


def _end_by(step: Step) -> PaymentStep:
    if step in {Step.WITHDRAW, Step.WITHDRAW_CONFIRMED}:
        return PaymentStep.CANCEL
    return PaymentStep.EXPIRE if step is Step.EXPIRE else PaymentStep.FAIL


def _capture(turn: Turn, payment: Payment, minor: int, now: int) -> Change:
    match turn:
        case Turn.RESERVES:
            return Change(amounts.begin_capture(payment, minor))
        case Turn.CONFIRMS:
            freed = amounts.drop_capture(payment, minor)
            return Change(amounts.capture(freed, minor, now), PaymentStep.CAPTURE, minor)
        case Turn.HAPPENS:
            return Change(amounts.capture(payment, minor, now), PaymentStep.CAPTURE, minor)
        case Turn.RELEASES:
            return Change(amounts.drop_capture(payment, minor))
        case Turn.BOUNCES | Turn.SENDS | Turn.NOTHING:
            return Change(payment)


def _count_unknown(payment: Payment, before: State, after: State) -> Payment:
    change = (after is State.UNKNOWN) - (before is State.UNKNOWN)
    return replace(payment, unknown=payment.unknown + change) if change else payment


def is_late(before: Payment, step: PaymentStep) -> bool:
    return before.state in ENDED and step in {PaymentStep.AUTHORIZE, PaymentStep.CAPTURE}


def captures_of(change: Change, moved: Instruction, now: int) -> tuple[BookedFact, ...]:
    """Captures are rows, and a refund may name one; ours has the name of its instruction."""
    if change.step is not PaymentStep.CAPTURE:
        return ()
    payment_id = change.payment.payment_id
    fact_id = fact_id_for(payment_id, FactKind.CAPTURE, moved.number)
    minor, currency = change.minor, moved.currency
    kind, state = FactKind.CAPTURE, FactState.BOOKED
    return (BookedFact(fact_id, kind, payment_id, minor, currency, state, now),)


def cases_of(change: Change, before: Payment, moved: Instruction, now: int) -> list[Case]:
    """Facts that we had excluded are booked, and somebody is told; of captures see booking.py."""
    cause, payment_id = f"{moved.number}/{moved.sequence}", before.payment_id
    cases = []
    if change.payment.excess > before.excess:
        kind = CaseKind.OVER_REVERSAL
        cases.append(open_case(kind, object_id=payment_id, cause=cause, now=now))
    if change.step is PaymentStep.AUTHORIZE and before.state in ENDED:
        kind = CaseKind.LATE_FACT
        cases.append(open_case(kind, object_id=payment_id, cause=cause, now=now))
    is_cancel = moved.kind in {Kind.CLOSE, Kind.VOID} and moved.state is State.SUCCEEDED
    is_impossible = change.payment.authorized > before.authorized > 0
    if is_cancel and (
        is_impossible or (moved.kind is Kind.CLOSE and before.state is PaymentState.CAPTURED)
    ):
        kind = CaseKind.CONTRADICTION
        cases.append(open_case(kind, object_id=payment_id, cause=cause, now=now))
    return cases
