"""May this worker ask the channel about the instruction now?"""

from __future__ import annotations

from msgspec.structs import replace

from contraflow.domain.commands import ClaimInquiry
from contraflow.domain.decision import Accepted, Decision, Refused
from contraflow.domain.fencing import fenced
from contraflow.domain.lifecycle import FINAL, State, Step
from contraflow.domain.movement import walk
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def decide_inquiry(snapshot: Snapshot, command: ClaimInquiry) -> Decision:
    instruction = fenced(snapshot, command.fence)
    if isinstance(instruction, Refused):
        return instruction
    is_open = instruction.state not in FINAL and instruction.attempt > 0
    if not is_open or instruction.state is State.ACCEPTED:
        return Refused(ErrorCode.STATE_FORBIDS, f"{instruction.state} is not asked about")

    lease = instruction.lease + 1
    claimed = replace(instruction, lease=lease, due_at=command.lease_until)
    payment = snapshot.payments[instruction.payment_id]
    if instruction.state is not State.SENT:
        return Accepted(payment=payment, instructions=(claimed,))
    # Whoever sent it has died or is too late: what became of that attempt is in doubt.
    return walk(snapshot.now, payment, claimed, (Step.LOSE,))
