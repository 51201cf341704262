"""May this payment be recorded, or taken through its channel?"""

from __future__ import annotations

from contraflow.domain.birth import bear
from contraflow.domain.commands import CreatePayment, RecordPayment
from contraflow.domain.decision import Accepted, Decision, Refused
from contraflow.domain.events import PaymentMoved
from contraflow.domain.facts import BookedFact, FactKind, FactState, fact_id_for
from contraflow.domain.ids import number_for
from contraflow.domain.instruction import Kind
from contraflow.domain.lifecycle import PAYMENT_BIRTHS, PaymentStep
from contraflow.domain.payment import Capturing, Payment
from contraflow.domain.plan import Leg
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def decide_record(snapshot: Snapshot, command: RecordPayment) -> Decision:
    """As it is elsewhere: authorised, or captured whole."""
    if command.payment_id in snapshot.payments:
        return Refused(ErrorCode.PAYMENT_EXISTS, command.payment_id)
    if command.channel not in snapshot.policy.terms:
        return Refused(ErrorCode.CHANNEL_UNABLE, command.channel)

    now, minor = snapshot.now, command.amount.minor
    captured = minor if command.is_captured else 0
    birth = "record_captured" if command.is_captured else "record_authorized"
    payment = Payment(
        payment_id=command.payment_id,
        channel=command.channel,
        method=command.method,
        instrument=command.instrument,
        currency=command.amount.currency,
        amount=minor,
        capturing=Capturing.MANUAL,
        pay_number="",
        created_at=now,
        labels=command.labels,
        state=PAYMENT_BIRTHS[birth],
        authorized=minor,
        captured=captured,
        paid_at=now,
        captured_at=now if command.is_captured else None,
    )
    facts = (capture_row(payment, "recorded", captured, now),) if captured else ()
    recorded = PaymentMoved(PaymentStep.RECORD, payment, captured)
    return Accepted(payment=payment, events=(recorded,), facts=facts)


def decide_creation(snapshot: Snapshot, command: CreatePayment) -> Decision:
    if command.payment_id in snapshot.payments:
        return Refused(ErrorCode.PAYMENT_EXISTS, command.payment_id)
    terms = snapshot.policy.terms.get(command.channel)
    if terms is None or Kind.PAY not in terms.kinds:
        return Refused(ErrorCode.CHANNEL_UNABLE, command.channel)

    payment = Payment(
        payment_id=command.payment_id,
        channel=command.channel,
        method=command.method,
        instrument=command.instrument,
        currency=command.amount.currency,
        amount=command.amount.minor,
        capturing=command.capturing,
        pay_number=number_for(payment_id=command.payment_id, key=command.key),
        created_at=snapshot.now,
        labels=command.labels,
        state=PAYMENT_BIRTHS["create"],
        expires_at=command.expires_at,
    )
    legs = (Leg(Kind.PAY, command.amount.minor),)
    born = bear(snapshot, command, payment, legs)
    recorded = PaymentMoved(PaymentStep.RECORD, payment, 0)
    return Accepted(
        payment=payment, instructions=born.instructions, events=(recorded, *born.events)
    )


def capture_row(payment: Payment, name: str, minor: int, now: int) -> BookedFact:
    fact_id = fact_id_for(payment.payment_id, FactKind.CAPTURE, name)
    kind, state = FactKind.CAPTURE, FactState.BOOKED
    return BookedFact(fact_id, kind, payment.payment_id, minor, payment.currency, state, now)
