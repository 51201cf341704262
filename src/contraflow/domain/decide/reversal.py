"""May so much of this payment be undone, by whatever ways it takes?"""

from __future__ import annotations

from contraflow.domain.birth import Manner, bear
from contraflow.domain.commands import RequestReversal
from contraflow.domain.decide.cancel import unsent_payment_command, withdraw_payment_command
from contraflow.domain.decide.refund import refuse_by_channel
from contraflow.domain.decision import Decision, Refused, Verdict
from contraflow.domain.instruction import CANCELS, Kind
from contraflow.domain.lifecycle import ENDED
from contraflow.domain.payment import Payment
from contraflow.domain.plan import plan_reversal
from contraflow.domain.snapshot import Snapshot
from contraflow.domain.windows import is_over
from contraflow.errors import ErrorCode


def decide_reversal(snapshot: Snapshot, command: RequestReversal, verdict: Verdict) -> Decision:
    """Refuse for the first reason that applies, in the order of `ErrorCode`."""
    payment = snapshot.payments.get(command.payment_id)
    if payment is None:
        return Refused(ErrorCode.PAYMENT_UNKNOWN, command.payment_id)
    if payment.state in ENDED:
        return Refused(ErrorCode.NOTHING_TO_REVERSE, payment.state)
    if not plan_reversal(payment, None):
        return Refused(ErrorCode.NOTHING_TO_REVERSE)
    if command.amount is not None and command.amount.currency != payment.currency:
        return Refused(ErrorCode.CURRENCY_DIFFERS, payment.currency)
    minor = None if command.amount is None else command.amount.minor
    legs = plan_reversal(payment, minor)
    if minor is not None and sum(leg.minor for leg in legs) != minor:
        return Refused(ErrorCode.AMOUNT_EXCEEDS_REFUNDABLE, str(payment.refundable))
    unsent = unsent_payment_command(snapshot, payment)
    if unsent is not None:
        return withdraw_payment_command(snapshot.now, payment, unsent, command)
    refused = _refuse_by_channel(snapshot, payment, {leg.kind for leg in legs})
    if refused is not None:
        return refused
    if verdict.rejected_by is not None:
        return Refused(ErrorCode.RISK_REJECTED, verdict.rejected_by)

    # From here on the reversal must be accepted.
    manner = Manner(timing=command.timing, is_fallback=True)
    return bear(snapshot, command, payment, legs, manner)


def _refuse_by_channel(snapshot: Snapshot, payment: Payment, kinds: set[Kind]) -> Refused | None:
    """What the channel would refuse of one leg or another: the first of these reasons."""
    terms = snapshot.policy.terms[payment.channel]
    within = terms.window(payment.method).cancel_within_ms
    reasons = [refuse_by_channel(snapshot, payment)] if Kind.REFUND in kinds else []
    if kinds & CANCELS and is_over(payment.created_at, within, snapshot.now):
        reasons.append(Refused(ErrorCode.CANCEL_WINDOW_OVER))
    if kinds - terms.kinds:
        reasons.append(Refused(ErrorCode.CHANNEL_UNABLE, payment.channel))
    order = list(ErrorCode)
    found = [reason for reason in reasons if reason is not None]
    return min(found, key=lambda reason: order.index(reason.code), default=None)
