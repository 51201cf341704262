"""What does a channel's notice change? It has happened: it is booked, or kept until it can be."""

from __future__ import annotations

from msgspec.structs import replace

from contraflow.domain import payment as amounts
from contraflow.domain.booking import (
    book_capture,
    book_chargeback,
    book_refund_elsewhere,
    with_consequences,
)
from contraflow.domain.cases import (
    PARKED_RETRY_MS,
    PARKED_RETRY_MS_MAX,
    Case,
    CaseKind,
    Parked,
    open_case,
)
from contraflow.domain.commands import RecordFact, RetryParked
from contraflow.domain.decision import Accepted, Decision
from contraflow.domain.events import CaseClosed, CaseOpened, PaymentMoved
from contraflow.domain.facts import BookedFact, FactKind, FactState, notice_id_for
from contraflow.domain.hearing import contradicted, hear
from contraflow.domain.lifecycle import ENDED, UNSENT, PaymentState, PaymentStep
from contraflow.domain.observation import (
    Answered,
    Authorized,
    Captured,
    ChargedBack,
    Expired,
    Observation,
    RefundedElsewhere,
)
from contraflow.domain.outcome import Bounced, Proof, Succeeded
from contraflow.domain.payment import Payment
from contraflow.domain.snapshot import Snapshot


def decide_fact(snapshot: Snapshot, command: RecordFact) -> Decision:
    """Once for each event id of the channel. Never refused."""
    told = command.observation
    if notice_id_of(command) in snapshot.facts:
        return Accepted()
    applied = apply(snapshot, command.channel, told)
    if applied is None:
        return keep(snapshot, command)
    return replace(applied, facts=(*applied.facts, _notice(snapshot, command)))


def decide_parked(snapshot: Snapshot, command: RetryParked) -> Decision:
    """Applied if its object is known by now; else it waits on, and so does its case."""
    told = command.observation
    applied = apply(snapshot, command.channel, told)
    if applied is None:
        return keep_on(snapshot, command)
    case = _case(snapshot, command.channel, told)
    if case.closed_at is not None:
        # Tried twice, or a person had closed it before.
        return replace(applied, parked=Parked(notice_id_of(command), command.channel, told, None))
    closed = replace(case, closed_at=snapshot.now, closed_by="applied")
    return replace(
        applied,
        cases=(*applied.cases, closed),
        events=(*applied.events, CaseClosed(closed, "its object became known")),
        parked=Parked(notice_id_of(command), command.channel, told, None),
    )


def apply(snapshot: Snapshot, channel: str, told: Observation) -> Accepted | None:
    """None if we know no such object, or know it in another currency or at another channel."""
    fact = told.fact
    if isinstance(fact, Answered):
        return _hear(snapshot, channel, fact)
    payment = snapshot.payments.get(fact.payment_id)
    if payment is None or payment.channel != channel:
        return None
    if not isinstance(fact, Expired) and fact.amount.currency != payment.currency:
        return None
    match fact:
        case Authorized():
            return _authorize(snapshot, payment, fact, told)
        case Captured():
            name, minor, evidence = fact.capture_id, fact.amount.minor, told.evidence
            return book_capture(snapshot, payment, name=name, minor=minor, evidence=evidence)
        case Expired():
            return _expire(payment, told)
        case ChargedBack():
            return book_chargeback(snapshot, payment, fact, told.evidence)
        case RefundedElsewhere():
            return book_refund_elsewhere(snapshot, payment, fact, told.evidence)


def _hear(snapshot: Snapshot, channel: str, fact: Answered) -> Accepted | None:
    instruction_id = snapshot.numbers.get(fact.number)
    instruction = snapshot.instructions.get(instruction_id or "")
    if instruction is None or instruction.channel != channel:
        return None
    if instruction.number != fact.number or instruction.state in UNSENT:
        # An old number is proven dead, and this one is not on its way: neither can have acted.
        has_acted = isinstance(fact.outcome, Succeeded | Bounced)
        is_proven = fact.outcome.evidence.proof is not Proof.NONE
        contradicts = has_acted and is_proven
        return contradicted(snapshot, instruction, fact.outcome) if contradicts else Accepted()
    payment = snapshot.payments[instruction.payment_id]
    heard = hear(snapshot, payment, instruction, fact.outcome, asked_at=None, again_at=None)
    return with_consequences(snapshot, payment, heard)


def _authorize(
    snapshot: Snapshot, payment: Payment, fact: Authorized, told: Observation
) -> Accepted:
    now, minor = snapshot.now, fact.amount.minor
    if minor <= payment.authorized:
        # Old news: it may have been captured or voided since.
        return Accepted(payment=payment)
    paid = amounts.authorize(payment, minor, now)
    if not paid.can(PaymentStep.AUTHORIZE):
        return Accepted(payment=paid)
    paid = amounts.move(paid, PaymentStep.AUTHORIZE)
    moved = PaymentMoved(PaymentStep.AUTHORIZE, paid, minor, 0, told.evidence)
    cases: tuple[Case, ...] = ()
    if payment.state in ENDED:
        kind, cause = CaseKind.LATE_FACT, told.event_id
        cases = (open_case(kind, object_id=payment.payment_id, cause=cause, now=now),)
    return Accepted(payment=paid, events=(moved, *map(CaseOpened, cases)), cases=cases)


def _expire(payment: Payment, told: Observation) -> Accepted:
    if not payment.can(PaymentStep.EXPIRE) or payment.captured:
        return Accepted(payment=payment)
    lapsed = amounts.confirm_void(replace(payment, expires_at=None), payment.capturable)
    expired = amounts.move(lapsed, PaymentStep.EXPIRE)
    assert expired.state is PaymentState.EXPIRED
    moved = PaymentMoved(PaymentStep.EXPIRE, expired, 0, 0, told.evidence)
    return Accepted(payment=expired, events=(moved,))


def keep(snapshot: Snapshot, command: RecordFact) -> Accepted:
    """Park it, with a case: its object is unknown, or may not be touched now."""
    notice_id = notice_id_of(command)
    if notice_id in snapshot.facts:
        return Accepted()
    case = _case(snapshot, command.channel, command.observation)
    due_at = snapshot.now + PARKED_RETRY_MS
    parked = Parked(notice_id, command.channel, command.observation, due_at)
    facts = (_notice(snapshot, command),)
    return Accepted(facts=facts, cases=(case,), events=(CaseOpened(case),), parked=parked)


def keep_on(snapshot: Snapshot, command: RetryParked) -> Accepted:
    """It waits for the next time: the longer it waits, the rarer it is tried."""
    opened_at = _case(snapshot, command.channel, command.observation).opened_at
    wait_ms = min((snapshot.now - opened_at) // 4, PARKED_RETRY_MS_MAX)
    notice_id, again_at = notice_id_of(command), max(command.again_at, snapshot.now + wait_ms)
    return Accepted(parked=Parked(notice_id, command.channel, command.observation, again_at))


def notice_id_of(command: RecordFact | RetryParked) -> str:
    return notice_id_for(channel=command.channel, event_id=command.observation.event_id)


def _notice(snapshot: Snapshot, command: RecordFact) -> BookedFact:
    kind, state = FactKind.NOTICE, FactState.BOOKED
    return BookedFact(notice_id_of(command), kind, "", 0, "", state, snapshot.now)


def _case(snapshot: Snapshot, channel: str, told: Observation) -> Case:
    object_id = getattr(told.fact, "payment_id", "") or getattr(told.fact, "number", "")
    cause = notice_id_for(channel=channel, event_id=told.event_id)
    kind, detail = CaseKind.PARKED_FACT, type(told.fact).__name__
    fresh = open_case(kind, object_id=object_id, cause=cause, now=snapshot.now, detail=detail)
    return snapshot.cases.get(fresh.case_id, fresh)
