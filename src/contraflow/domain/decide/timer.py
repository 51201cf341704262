"""What does a deadline that has passed change?"""

from __future__ import annotations

from contraflow.domain.commands import FireTimer
from contraflow.domain.decide.hold import freed
from contraflow.domain.decision import Decision, Refused
from contraflow.domain.fencing import fenced
from contraflow.domain.instruction import Waiting
from contraflow.domain.lifecycle import State, Step
from contraflow.domain.movement import walk
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def decide_timer(snapshot: Snapshot, command: FireTimer) -> Decision:
    """The undo window lets go; any other wait that nobody has ended expires."""
    instruction = fenced(snapshot, command.fence)
    if isinstance(instruction, Refused):
        return instruction
    deadline_at = instruction.deadline_at
    is_unsent = instruction.state in {State.HELD, State.ACCEPTED}
    if not is_unsent or deadline_at is None or snapshot.now < deadline_at:
        return Refused(ErrorCode.STATE_FORBIDS, f"{instruction.state} until {deadline_at}")

    step = Step.RELEASE if instruction.waiting is Waiting.UNDO_WINDOW else Step.EXPIRE
    payment = snapshot.payments[instruction.payment_id]
    return walk(snapshot.now, payment, freed(instruction, step, snapshot.now), (step,))
