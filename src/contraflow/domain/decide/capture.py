"""May what is authorised be captured, and what does a capture elsewhere change?"""

from __future__ import annotations

from contraflow.domain.birth import bear
from contraflow.domain.booking import book_capture
from contraflow.domain.commands import RecordCapture, RequestCapture
from contraflow.domain.decision import Decision, Refused
from contraflow.domain.ids import name_of
from contraflow.domain.instruction import Kind
from contraflow.domain.lifecycle import PaymentState
from contraflow.domain.plan import Leg
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def decide_capture(snapshot: Snapshot, command: RequestCapture) -> Decision:
    """Refuse for the first reason that applies, in the order of `ErrorCode`."""
    payment = snapshot.payments.get(command.payment_id)
    if payment is None:
        return Refused(ErrorCode.PAYMENT_UNKNOWN, command.payment_id)
    if payment.state is PaymentState.CAPTURED and payment.capturable == 0:
        return Refused(ErrorCode.PAYMENT_CAPTURED)
    if payment.state is PaymentState.CANCELED:
        return Refused(ErrorCode.PAYMENT_CANCELED)
    if payment.state in {PaymentState.FAILED, PaymentState.EXPIRED}:
        return Refused(ErrorCode.PAYMENT_ENDED, payment.state)
    if payment.authorized == 0:
        return Refused(ErrorCode.PAYMENT_NOT_AUTHORIZED)
    if command.amount is not None and command.amount.currency != payment.currency:
        return Refused(ErrorCode.CURRENCY_DIFFERS, payment.currency)
    minor = payment.capturable if command.amount is None else command.amount.minor
    if minor > payment.capturable or minor == 0:
        return Refused(ErrorCode.AMOUNT_EXCEEDS_CAPTURABLE, str(payment.capturable))
    if Kind.CAPTURE not in snapshot.policy.terms[payment.channel].kinds:
        return Refused(ErrorCode.CHANNEL_UNABLE, payment.channel)

    # From here on the capture must be accepted.
    return bear(snapshot, command, payment, (Leg(Kind.CAPTURE, minor),))


def decide_recorded_capture(snapshot: Snapshot, command: RecordCapture) -> Decision:
    """A fact told by a client: booked once for its key, refused only if it cannot be booked."""
    payment = snapshot.payments.get(command.payment_id)
    if payment is None:
        return Refused(ErrorCode.PAYMENT_UNKNOWN, command.payment_id)
    if command.amount.currency != payment.currency:
        return Refused(ErrorCode.CURRENCY_DIFFERS, payment.currency)
    return book_capture(snapshot, payment, name=name_of(command.key), minor=command.amount.minor)
