"""May this instruction be handed to its channel now?"""

from __future__ import annotations

from msgspec.structs import replace

from contraflow.domain.commands import MarkSent
from contraflow.domain.decide.switch import is_on_hold
from contraflow.domain.decision import Accepted, Decision, Refused
from contraflow.domain.fencing import fenced
from contraflow.domain.instruction import Instruction, Kind, Waiting, Withdrawal
from contraflow.domain.lifecycle import State, Step
from contraflow.domain.movement import walk
from contraflow.domain.payment import Payment
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode

# While another instruction of the payment is in doubt: the longer it waits, the rarer it looks.
LOOK_AGAIN_MS_MIN = 1_000
LOOK_AGAIN_MS_MAX = 600_000


def decide_sent(snapshot: Snapshot, command: MarkSent) -> Decision:
    """Committed before the first byte leaves. No instructions in the result: not now."""
    instruction = fenced(snapshot, command.fence)
    if isinstance(instruction, Refused):
        return instruction
    step = step_for(instruction)
    is_stopped = step is not Step.SEND and instruction.withdrawal is Withdrawal.ASKED
    if not instruction.can(step) or is_stopped:
        return Refused(ErrorCode.STATE_FORBIDS, f"{instruction.state} cannot {step}")
    terms = snapshot.policy.terms[instruction.channel]
    if step is Step.RESEND and instruction.in_doubt and not terms.same_number_again:
        return Refused(ErrorCode.CHANNEL_UNABLE, "it could act twice")
    if is_on_hold(snapshot, instruction):
        return Refused(ErrorCode.STATE_FORBIDS, "hold mode")
    if instruction.tries >= snapshot.policy.attempts_max and step is Step.RESEND:
        return Refused(ErrorCode.STATE_FORBIDS, "attempts are used up")

    payment = snapshot.payments[instruction.payment_id]
    if step is Step.SEND and waits_for_others(payment, instruction):
        return Accepted(instructions=(waiting_for_others(snapshot, instruction),))
    next_at = next_refund_at(snapshot, payment, instruction)
    if next_at > snapshot.now:
        later = replace(instruction, lease=instruction.lease + 1, due_at=next_at)
        return Accepted(instructions=(later,))
    marked = replace(
        instruction,
        lease=instruction.lease + 1,
        attempt=instruction.attempt + 1,
        sent_at=snapshot.now if instruction.sent_at is None else instruction.sent_at,
        leave_by=max(command.leave_by, instruction.leave_by or 0),  # It covers every attempt.
        due_at=command.lease_until,
    )
    if instruction.kind is Kind.REFUND and window_gap_ms(snapshot, payment):
        payment = replace(payment, refund_sent_at=snapshot.now)
    return walk(snapshot.now, payment, marked, (step,))


def step_for(instruction: Instruction) -> Step:
    if instruction.state is State.ATTENTION and instruction.waiting is Waiting.REDIRECT:
        return Step.REDIRECT
    return Step.RESEND if instruction.state is State.UNKNOWN else Step.SEND


def waits_for_others(payment: Payment, instruction: Instruction) -> bool:
    """What is unknown settles before a cancel, a capture, or the rest of a reverse."""
    is_cautious = instruction.kind in {Kind.CLOSE, Kind.VOID, Kind.CAPTURE}
    return payment.unknown > 0 and (is_cautious or instruction.is_fallback)


def waiting_for_others(snapshot: Snapshot, instruction: Instruction) -> Instruction:
    """It as it waits; with a deadline, because what it waits for may never settle."""
    now = snapshot.now
    waited_ms = now - instruction.requested_at
    again_ms = min(max(waited_ms // 4, LOOK_AGAIN_MS_MIN), LOOK_AGAIN_MS_MAX)
    bound_ms = snapshot.policy.terms[instruction.channel].attention_after_ms
    return replace(
        instruction,
        lease=instruction.lease + 1,
        due_at=now + again_ms,
        deadline_at=instruction.deadline_at or now + bound_ms,
    )


def next_refund_at(snapshot: Snapshot, payment: Payment, instruction: Instruction) -> int:
    """Refunds of one payment keep the gap of its channel and method."""
    if instruction.kind is not Kind.REFUND or payment.refund_sent_at is None:
        return snapshot.now
    return payment.refund_sent_at + window_gap_ms(snapshot, payment)


def window_gap_ms(snapshot: Snapshot, payment: Payment) -> int:
    return snapshot.policy.terms[payment.channel].window(payment.method).gap_ms
