"""What does the channel's answer change?"""

from __future__ import annotations

from msgspec.structs import replace

from contraflow.domain import outcome as said
from contraflow.domain.booking import with_consequences
from contraflow.domain.commands import RecordOutcome
from contraflow.domain.decision import Accepted, Decision, Refused
from contraflow.domain.events import InstructionNoted, Note
from contraflow.domain.fencing import fenced
from contraflow.domain.hearing import hear
from contraflow.domain.instruction import Instruction, Withdrawal
from contraflow.domain.lifecycle import FINAL, State
from contraflow.domain.outcome import Retry
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def decide_outcome(snapshot: Snapshot, command: RecordOutcome) -> Decision:
    """Hear the answer of an attempt that is still ours; a stale one changes nothing."""
    instruction = fenced(snapshot, command.fence)
    if isinstance(instruction, Refused):
        return instruction
    is_open = instruction.state not in FINAL and instruction.attempt > 0
    if not is_open or instruction.state is State.ACCEPTED:
        return Refused(ErrorCode.STATE_FORBIDS, f"{instruction.state} has no open attempt")
    if command.of_withdrawal and not isinstance(
        command.outcome, said.Withdrawn | said.Succeeded | said.Bounced
    ):
        return _hear_of_withdrawal(instruction, command)
    payment = snapshot.payments[instruction.payment_id]
    heard = hear(
        snapshot,
        payment,
        instruction,
        command.outcome,
        asked_at=command.asked_at,
        again_at=command.again_at,
    )
    return with_consequences(snapshot, payment, heard)


def _hear_of_withdrawal(instruction: Instruction, command: RecordOutcome) -> Accepted:
    """The channel goes on, or we do not know: the instruction itself is as open as before."""
    lease, due_at = instruction.lease + 1, command.again_at
    is_busy = isinstance(command.outcome, said.Declined) and (
        command.outcome.retry is Retry.SAME_NUMBER_LATER
    )
    if is_busy or not isinstance(command.outcome, said.Accepted | said.Declined):
        return Accepted(instructions=(replace(instruction, lease=lease, due_at=due_at),))
    refused = replace(
        instruction,
        lease=lease,
        due_at=due_at,
        withdrawal=Withdrawal.REFUSED,
        sequence=instruction.sequence + 1,
    )
    noted = InstructionNoted(Note.WITHDRAWAL_REFUSED, refused, command.outcome.evidence)
    return Accepted(instructions=(refused,), events=(noted,))
