"""The bytes that are kept: a client's receipt, and an event as it is stored once."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from contraflow.domain.commands import Keyed
from contraflow.domain.decision import Accepted, Decision, Receipt, Refused
from contraflow.domain.events import (
    CaseClosed,
    CaseOpened,
    Event,
    FactBooked,
    HoldSwitched,
    InstructionMoved,
    InstructionNoted,
    PaymentMoved,
)
from contraflow.domain.instruction import Waiting, Withdrawal
from contraflow.domain.lifecycle import BIRTHS, PaymentStep
from contraflow.domain.outcome import NO_EVIDENCE, Evidence
from contraflow.domain.payment import Payment
from contraflow.ledger.journal import entries_for
from contraflow.store import Record
from contraflow.wire import canonical

VERSION = 1
NO_LABELS = msgspec.Raw(b"null")


class Leg(Struct, frozen=True, gc=False):
    id: str
    kind: str
    minor: int
    number: str


class ReceiptBody(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What a client was told: for ever the same bytes. Today's state is shown beside it."""

    v: int = 0
    at: int
    decision: str
    code: str = ""
    detail: str = ""
    payment: str = ""
    currency: str = ""
    legs: tuple[Leg, ...] = ()


def receipt_for(command: Keyed, decision: Decision, now: int) -> Receipt:
    if isinstance(decision, Refused):
        code, detail = decision.code, decision.detail
        body = ReceiptBody(v=VERSION, at=now, decision="refused", code=code, detail=detail)
    else:
        body = _accepted(decision, now)
    return Receipt(command.key, command.fingerprint, canonical.encode(body))


def _accepted(decision: Accepted, now: int) -> ReceiptBody:
    payment = decision.payment
    legs = tuple(Leg(i.instruction_id, i.kind, i.minor, i.number) for i in decision.instructions)
    return ReceiptBody(
        v=VERSION,
        at=now,
        decision="accepted",
        payment=payment.payment_id if payment else "",
        currency=payment.currency if payment else "",
        legs=legs,
    )


class EventBody(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """An event as stored. Fields that say nothing are left out; `minor` is always of `currency`."""

    v: int = 0
    type: str
    at: int
    id: str
    sequence: int
    step: str = ""
    state: str = ""
    payment: str = ""
    channel: str = ""
    kind: str = ""
    mode: str = ""
    number: str = ""
    generation: int = 0
    minor: int | None = None
    amount: int | None = None  # What the payer was asked for.
    currency: str = ""
    excess: int = 0  # By how much the loss rose; negative where it was taken back.
    attempt: int = 0
    leave_by: int = 0
    withdrawal: str = Withdrawal.NONE
    waiting: str = Waiting.NOTHING
    failure: str = ""
    reference: str = ""
    key: str = ""
    capture: str = ""
    method: str = ""
    instrument: str = ""
    detail: str = ""
    labels: msgspec.Raw = NO_LABELS
    evidence: Evidence = NO_EVIDENCE


def record_of(event: Event, now: int) -> Record:
    body = _body(event, now)
    return Record(body.id, body.sequence, canonical.encode(body), entries_for(event))


def _body(event: Event, now: int) -> EventBody:
    match event:
        case InstructionMoved():
            return _moved(event, now)
        case InstructionNoted():
            return _noted(event, now)
        case PaymentMoved():
            return _payment(event, now)
        case FactBooked():
            return _fact(event, now)
        case CaseOpened(case=case):
            return EventBody(
                v=VERSION,
                type=f"case.{case.kind}.opened",
                at=now,
                id=case.case_id,
                sequence=1,
                detail=case.detail,
            )
        case CaseClosed(case=case):
            return EventBody(
                v=VERSION,
                type=f"case.{case.kind}.closed",
                at=now,
                id=case.case_id,
                sequence=2,
                key=case.closed_by,
                labels=_labels(event.asked.labels),
                detail=event.evidence,
            )
        case HoldSwitched():
            word = "on" if event.is_on else "off"
            return EventBody(
                v=VERSION,
                type=f"hold.{word}",
                at=now,
                id=event.key,
                sequence=1,
                detail=event.scope,
            )


def _moved(event: InstructionMoved, now: int) -> EventBody:
    """At birth with everything that is known; after that with what has changed."""
    instruction, step = event.instruction, event.step
    is_birth = step in BIRTHS
    return EventBody(
        v=VERSION,
        type=f"{instruction.kind}.{instruction.state}",
        at=now,
        id=instruction.instruction_id,
        sequence=instruction.sequence,
        step=step,
        state=instruction.state,
        payment=instruction.payment_id,
        channel=instruction.channel,
        kind=instruction.kind,
        mode=instruction.mode if is_birth else "",
        number=instruction.number,
        generation=instruction.generation,
        minor=instruction.minor,
        currency=instruction.currency,
        excess=event.excess,
        attempt=instruction.attempt,
        leave_by=instruction.leave_by or 0,
        withdrawal=instruction.withdrawal,
        waiting=instruction.waiting,
        failure=instruction.failure,
        reference=instruction.reference,
        key=instruction.key if is_birth else event.asked.key,
        capture=instruction.capture_id if is_birth else "",
        labels=_labels(instruction.labels if is_birth else event.asked.labels),
        evidence=event.evidence,
    )


def _noted(event: InstructionNoted, now: int) -> EventBody:
    instruction = event.instruction
    return EventBody(
        v=VERSION,
        type=f"{instruction.kind}.{event.note}",
        at=now,
        id=instruction.instruction_id,
        sequence=instruction.sequence,
        state=instruction.state,
        payment=instruction.payment_id,
        attempt=instruction.attempt,
        withdrawal=instruction.withdrawal,
        key=event.asked.key,
        labels=_labels(event.asked.labels),
        evidence=event.evidence,
    )


def _labels(labels: str) -> msgspec.Raw:
    return msgspec.Raw(labels.encode()) if labels else NO_LABELS


def _payment(event: PaymentMoved, now: int) -> EventBody:
    payment: Payment = event.payment
    is_birth = event.step is PaymentStep.RECORD
    return EventBody(
        v=VERSION,
        type=f"payment.{payment.state}",
        at=now,
        id=payment.payment_id,
        sequence=payment.sequence,
        step=event.step,
        state=payment.state,
        payment=payment.payment_id,
        channel=payment.channel,
        minor=event.minor,
        amount=payment.amount if is_birth else None,
        currency=payment.currency,
        excess=event.excess,
        detail="late" if event.is_late else "",
        number=payment.pay_number if is_birth else "",
        method=payment.method if is_birth else "",
        instrument=payment.instrument if is_birth else "",
        labels=_labels(payment.labels if is_birth else ""),
        evidence=event.evidence,
    )


def _fact(event: FactBooked, now: int) -> EventBody:
    fact, payment = event.fact, event.payment
    return EventBody(
        v=VERSION,
        type=f"{fact.kind}.{fact.state}",
        at=now,
        id=payment.payment_id,
        sequence=payment.sequence,
        payment=payment.payment_id,
        channel=payment.channel,
        minor=event.taken,
        currency=payment.currency,
        excess=event.excess,
        detail=fact.fact_id,
        evidence=event.evidence,
    )
