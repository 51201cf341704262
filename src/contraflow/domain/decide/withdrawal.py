"""May its owner have this instruction back?"""

from __future__ import annotations

from msgspec.structs import replace

from contraflow.domain.commands import WithdrawReversal
from contraflow.domain.decision import Accepted, Decision, Refused
from contraflow.domain.events import InstructionNoted, Note
from contraflow.domain.instruction import Withdrawal
from contraflow.domain.lifecycle import State, Step
from contraflow.domain.movement import walk
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def decide_withdrawal(snapshot: Snapshot, command: WithdrawReversal) -> Decision:
    """At once while no byte can have left; after that the wish is kept, and the channel decides."""
    instruction = snapshot.instructions.get(command.instruction_id)
    if instruction is None:
        return Refused(ErrorCode.REVERSAL_UNKNOWN, command.instruction_id)
    if instruction.state in {State.WITHDRAWN, State.FAILED}:
        return Refused(ErrorCode.STATE_FORBIDS, instruction.state)
    if instruction.state in {State.SUCCEEDED, State.BOUNCED}:
        return Refused(ErrorCode.TOO_LATE, instruction.state)

    now, payment = snapshot.now, snapshot.payments[instruction.payment_id]
    if instruction.can(Step.WITHDRAW):
        taken = replace(instruction, lease=instruction.lease + 1)
        return walk(now, payment, taken, (Step.WITHDRAW,), asked=command.asked)
    if instruction.withdrawal is Withdrawal.ASKED:
        return Accepted(instructions=(instruction,))
    # The lease stays as it is: whoever waits for the channel's answer must still be heard.
    is_idle = instruction.state is not State.SENT
    asked = replace(
        instruction,
        withdrawal=Withdrawal.ASKED,
        sequence=instruction.sequence + 1,
        due_at=now if is_idle else instruction.due_at,
    )
    noted = InstructionNoted(Note.WITHDRAWAL_ASKED, asked, asked=command.asked)
    return Accepted(instructions=(asked,), events=(noted,))
