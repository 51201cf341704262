"""May this refund be made?"""

from __future__ import annotations

from contraflow.domain.birth import Manner, bear
from contraflow.domain.commands import RequestRefund
from contraflow.domain.decision import Decision, Refused, Verdict
from contraflow.domain.facts import FactKind, fact_id_for
from contraflow.domain.instruction import Kind
from contraflow.domain.payment import Payment
from contraflow.domain.plan import Leg
from contraflow.domain.snapshot import Snapshot
from contraflow.domain.windows import is_over
from contraflow.errors import ErrorCode


def decide_refund(snapshot: Snapshot, command: RequestRefund, verdict: Verdict) -> Decision:
    """Refuse for the first reason that applies, in the order of `ErrorCode`."""
    payment = snapshot.payments.get(command.payment_id)
    if payment is None:
        return Refused(ErrorCode.PAYMENT_UNKNOWN, command.payment_id)
    if command.capture_id and _capture_minor(snapshot, command) is None:
        return Refused(ErrorCode.CAPTURE_UNKNOWN, command.capture_id)
    if payment.captured == 0:
        return Refused(ErrorCode.PAYMENT_NOT_CAPTURED)
    if command.amount.currency != payment.currency:
        return Refused(ErrorCode.CURRENCY_DIFFERS, payment.currency)
    expected, refundable = command.expected_refundable, payment.refundable
    if expected is not None and expected != refundable:
        return Refused(ErrorCode.REFUNDABLE_CHANGED, str(refundable))
    if command.amount.minor > min(refundable, _capture_minor(snapshot, command) or refundable):
        return Refused(ErrorCode.AMOUNT_EXCEEDS_REFUNDABLE, str(refundable))
    refused = refuse_by_channel(snapshot, payment)
    if refused is not None:
        return refused
    if verdict.rejected_by is not None:
        return Refused(ErrorCode.RISK_REJECTED, verdict.rejected_by)

    # From here on the refund must be accepted.
    manner = Manner(
        timing=command.timing, capture_id=command.capture_id, for_review=command.for_review
    )
    return bear(snapshot, command, payment, (Leg(Kind.REFUND, command.amount.minor),), manner)


def refuse_by_channel(snapshot: Snapshot, payment: Payment) -> Refused | None:
    """What the channel itself would refuse, said before anything is sent."""
    terms = snapshot.policy.terms[payment.channel]
    window = terms.window(payment.method)
    if window.refunds_max is not None and payment.refunds >= window.refunds_max:
        return Refused(ErrorCode.REFUNDS_EXHAUSTED, str(window.refunds_max))
    if is_over(payment.captured_at, window.refund_within_ms, snapshot.now):
        return Refused(ErrorCode.REFUND_WINDOW_OVER)
    if Kind.REFUND not in terms.kinds:
        return Refused(ErrorCode.CHANNEL_UNABLE, payment.channel)
    return None


def _capture_minor(snapshot: Snapshot, command: RequestRefund) -> int | None:
    """What the named capture took; the cap itself is per payment."""
    if not command.capture_id:
        return None
    fact_id = fact_id_for(command.payment_id, FactKind.CAPTURE, command.capture_id)
    fact = snapshot.facts.get(fact_id)
    return None if fact is None else fact.minor
