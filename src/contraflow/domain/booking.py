"""Facts about a payment, booked: a capture, a chargeback, a refund made elsewhere."""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from contraflow.domain import payment as amounts
from contraflow.domain.cases import Case, CaseKind, open_case
from contraflow.domain.commands import Command, RequestCancel, RequestRefund
from contraflow.domain.decision import Accepted, Refused
from contraflow.domain.events import CaseOpened, FactBooked, PaymentMoved
from contraflow.domain.facts import BookedFact, FactKind, FactState, fact_id_for
from contraflow.domain.ids import policy_key
from contraflow.domain.instruction import CANCELS, Instruction
from contraflow.domain.lifecycle import ENDED, PaymentStep, State
from contraflow.domain.money import Money
from contraflow.domain.observation import ChargedBack, Dispute, RefundedElsewhere
from contraflow.domain.outcome import NO_EVIDENCE, Evidence
from contraflow.domain.payment import Payment
from contraflow.domain.policy import LateCapture
from contraflow.domain.snapshot import Snapshot

POLICY_LABELS = '{"actor":"policy","reason":"%s"}'
TOO_LATE_TO_CANCEL = "already_captured"
AFTER_CAPTURE = "reverse_after_capture"


def book_capture(
    snapshot: Snapshot,
    payment: Payment,
    *,
    name: str,
    minor: int,
    evidence: Evidence = NO_EVIDENCE,
) -> Accepted:
    """Once for each name. Money that comes after the end is a fact, and the policy follows."""
    fact_id = fact_id_for(payment.payment_id, FactKind.CAPTURE, name)
    if fact_id in snapshot.facts:
        return Accepted(payment=payment)
    now = snapshot.now
    paid = amounts.move(amounts.capture(payment, minor, now), PaymentStep.CAPTURE)
    fact = _fact(fact_id, FactKind.CAPTURE, paid, minor, FactState.BOOKED, now)
    excess, is_late = paid.excess - payment.excess, payment.state in ENDED
    moved = PaymentMoved(PaymentStep.CAPTURE, paid, minor, excess, evidence, is_late)
    booked = Accepted(payment=paid, events=(moved,), facts=(fact,))
    return _with_capture(snapshot, payment, booked, name=name, minor=minor)


def with_consequences(snapshot: Snapshot, before: Payment, heard: Accepted) -> Accepted:
    """What follows from a channel's word, decided in the same commit.

    Where a `reverse` came too late to cancel and the capture is known, refund instead; where
    money was taken after the end, do as the policy says.
    """
    payment = heard.payment
    if payment is None or not heard.instructions:
        return heard
    [instruction] = heard.instructions
    taken = payment.captured - before.captured
    if taken > 0:
        return _with_capture(snapshot, before, heard, name=instruction.number, minor=taken)
    if not payment.refundable or not came_too_late(instruction):
        return heard
    return replace(heard, follow_ups=(fall_through(payment, instruction),))


def _with_capture(
    snapshot: Snapshot, before: Payment, booked: Accepted, *, name: str, minor: int
) -> Accepted:
    paid, policy = booked.payment, snapshot.policy.late_capture
    assert paid is not None
    is_late = before.state in ENDED
    if is_late and policy is LateCapture.ATTENTION:
        kind, now = CaseKind.LATE_FACT, snapshot.now
        case = open_case(kind, object_id=paid.payment_id, cause=name, now=now)
        cases, events = (*booked.cases, case), (*booked.events, CaseOpened(case))
        booked = replace(booked, cases=cases, events=events)
    follow_ups = fall_throughs(snapshot, paid, name=name)
    if is_late and policy is LateCapture.REFUND and paid.refundable and not follow_ups:
        amount = Money(min(minor, paid.refundable), paid.currency)
        cause = fact_id_for(paid.payment_id, FactKind.CAPTURE, name)
        follow_ups = (policy_refund(paid, amount, cause=cause, reason="late_capture"),)
    return replace(booked, follow_ups=follow_ups)


def fall_throughs(snapshot: Snapshot, payment: Payment, *, name: str) -> tuple[RequestRefund, ...]:
    """A `reverse` whose cancel came too late goes on as refunds, as captures become known."""
    own = [i for i in snapshot.instructions.values() if i.payment_id == payment.payment_id]
    left, refunds = payment.refundable, []
    for late in filter(came_too_late, own):
        key = policy_key(payment.payment_id, late.instruction_id)
        fallen = [i for i in own if i.key == key or i.key.startswith(f"{key}/")]
        minor = min(left, late.minor - sum(i.minor for i in fallen))
        if minor > 0:
            cause = f"{late.instruction_id}/{name}" if fallen else late.instruction_id
            amount = Money(minor, payment.currency)
            refunds.append(policy_refund(payment, amount, cause=cause, reason=AFTER_CAPTURE))
            left -= minor
    return tuple(refunds)


def came_too_late(instruction: Instruction) -> bool:
    return (
        instruction.is_fallback
        and instruction.kind in CANCELS
        and instruction.state is State.FAILED
        and instruction.failure == TOO_LATE_TO_CANCEL
    )


def fall_through(payment: Payment, instruction: Instruction) -> RequestRefund:
    minor = min(instruction.minor, payment.refundable)
    amount, cause = Money(minor, payment.currency), instruction.instruction_id
    return policy_refund(payment, amount, cause=cause, reason=AFTER_CAPTURE)


def policy_refund(payment: Payment, amount: Money, *, cause: str, reason: str) -> RequestRefund:
    """A refund that our own policy asks for, keyed by the fact that caused it."""
    key = policy_key(payment.payment_id, cause)
    return RequestRefund(
        key=key,
        fingerprint=hashlib.sha256(key.encode()).digest(),
        payment_id=payment.payment_id,
        amount=amount,
        labels=POLICY_LABELS % reason,
    )


def left_undone(snapshot: Snapshot, follow_up: Command, refused: Refused) -> Accepted:
    """What our own policy asked for was refused: somebody must know."""
    assert isinstance(follow_up, RequestRefund | RequestCancel)
    case = open_case(
        CaseKind.LATE_FACT,
        object_id=follow_up.payment_id,
        cause=follow_up.key,
        now=snapshot.now,
        detail=f"{type(follow_up).__name__}: {refused.code} {refused.detail}",
    )
    return Accepted(cases=(case,), events=(CaseOpened(case),))


def book_chargeback(
    snapshot: Snapshot, payment: Payment, told: ChargedBack, evidence: Evidence
) -> Accepted:
    """Opened takes the money, won gives it back, lost closes it; each once, in any order."""
    fact_id = fact_id_for(payment.payment_id, FactKind.CHARGEBACK, told.case_id)
    known = snapshot.facts.get(fact_id)
    state = FactState(told.dispute)
    if known is not None and (known.state is not FactState.OPENED or state is FactState.OPENED):
        return Accepted(payment=payment)
    minor = told.amount.minor if known is None else known.minor
    match told.dispute:
        case Dispute.OPENED:
            taken = minor
        case Dispute.LOST:
            taken = minor if known is None else 0
        case Dispute.WON:
            taken = 0 if known is None else -minor
    fact = _fact(fact_id, FactKind.CHARGEBACK, payment, minor, state, snapshot.now)
    return _booked(snapshot, payment, amounts.charge_back(payment, taken), fact, evidence)


def book_refund_elsewhere(
    snapshot: Snapshot, payment: Payment, told: RefundedElsewhere, evidence: Evidence
) -> Accepted:
    fact_id = fact_id_for(payment.payment_id, FactKind.REFUND_ELSEWHERE, told.refund_id)
    if fact_id in snapshot.facts:
        return Accepted(payment=payment)
    minor, kind = told.amount.minor, FactKind.REFUND_ELSEWHERE
    fact = _fact(fact_id, kind, payment, minor, FactState.BOOKED, snapshot.now)
    return _booked(snapshot, payment, amounts.refund_by_fact(payment, minor), fact, evidence)


def _booked(
    snapshot: Snapshot, before: Payment, after: Payment, fact: BookedFact, evidence: Evidence
) -> Accepted:
    after = replace(after, sequence=before.sequence + 1)
    excess = after.excess - before.excess
    cases: tuple[Case, ...] = ()
    if excess > 0:
        kind, cause = CaseKind.OVER_REVERSAL, f"{fact.fact_id}/{fact.state}"
        cases = (open_case(kind, object_id=before.payment_id, cause=cause, now=snapshot.now),)
    taken = after.charged_back - before.charged_back + after.refunded - before.refunded
    booked = FactBooked(fact, after, taken, excess, evidence)
    opened = map(CaseOpened, cases)
    return Accepted(payment=after, events=(booked, *opened), facts=(fact,), cases=cases)


def _fact(
    fact_id: str, kind: FactKind, payment: Payment, minor: int, state: FactState, now: int
) -> BookedFact:
    return BookedFact(fact_id, kind, payment.payment_id, minor, payment.currency, state, now)
