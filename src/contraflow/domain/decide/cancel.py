"""May this payment be cancelled, and which way: not sent at all, closed, or voided?"""

from __future__ import annotations

from msgspec.structs import replace

from contraflow.domain.birth import Manner, bear
from contraflow.domain.commands import Keyed, RequestCancel
from contraflow.domain.decision import Accepted, Decision, Refused
from contraflow.domain.ids import tenant_of
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import PaymentState, Step
from contraflow.domain.movement import walk
from contraflow.domain.payment import Payment
from contraflow.domain.plan import plan_reversal
from contraflow.domain.snapshot import Snapshot
from contraflow.domain.windows import is_over
from contraflow.errors import ErrorCode


def decide_cancel(snapshot: Snapshot, command: RequestCancel) -> Decision:
    """Refuse for the first reason that applies, in the order of `ErrorCode`."""
    payment = snapshot.payments.get(command.payment_id)
    if payment is None:
        return Refused(ErrorCode.PAYMENT_UNKNOWN, command.payment_id)
    if payment.state is PaymentState.CAPTURED:
        return Refused(ErrorCode.PAYMENT_CAPTURED)
    if payment.state is PaymentState.CANCELED:
        return Refused(ErrorCode.PAYMENT_CANCELED)
    if payment.state in {PaymentState.FAILED, PaymentState.EXPIRED}:
        return Refused(ErrorCode.PAYMENT_ENDED, payment.state)
    unsent = unsent_payment_command(snapshot, payment)
    if unsent is not None:
        # The channel never heard of it, so there is nothing to ask the channel.
        return withdraw_payment_command(snapshot.now, payment, unsent, command)
    legs = plan_reversal(payment, None)
    if not legs:
        return Refused(ErrorCode.CANCEL_IN_PROGRESS)
    terms = snapshot.policy.terms[payment.channel]
    window = terms.window(payment.method)
    if is_over(payment.created_at, window.cancel_within_ms, snapshot.now):
        return Refused(ErrorCode.CANCEL_WINDOW_OVER)
    if not all(leg.kind in terms.kinds for leg in legs):
        return Refused(ErrorCode.CHANNEL_UNABLE, payment.channel)

    # From here on the cancel must be accepted.
    return bear(snapshot, command, payment, legs, Manner(timing=command.timing))


def unsent_payment_command(snapshot: Snapshot, payment: Payment) -> Instruction | None:
    name = f"{tenant_of(payment.payment_id)}/{payment.pay_number}"
    instruction = snapshot.instructions.get(name)
    if instruction is None or not instruction.can(Step.WITHDRAW):
        return None
    return instruction


def withdraw_payment_command(
    now: int, payment: Payment, unsent: Instruction, command: Keyed
) -> Accepted:
    taken = replace(unsent, lease=unsent.lease + 1)
    return walk(now, payment, taken, (Step.WITHDRAW,), asked=command.asked)
