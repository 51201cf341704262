"""May what is held go on, or is it rejected?"""

from __future__ import annotations

from msgspec.structs import replace

from contraflow.domain.commands import RejectHold, ReleaseHold
from contraflow.domain.decision import Decision, Refused
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import Step
from contraflow.domain.movement import walk
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def decide_release(snapshot: Snapshot, command: ReleaseHold) -> Decision:
    return _decide(snapshot, command, Step.RELEASE)


def decide_rejection(snapshot: Snapshot, command: RejectHold) -> Decision:
    return _decide(snapshot, command, Step.REJECT)


def _decide(snapshot: Snapshot, command: ReleaseHold | RejectHold, step: Step) -> Decision:
    instruction = snapshot.instructions.get(command.instruction_id)
    if instruction is None:
        return Refused(ErrorCode.REVERSAL_UNKNOWN, command.instruction_id)
    if not instruction.can(step):
        return Refused(ErrorCode.STATE_FORBIDS, instruction.state)
    payment = snapshot.payments[instruction.payment_id]
    now = snapshot.now
    return walk(now, payment, freed(instruction, step, now), (step,), asked=command.asked)


def freed(instruction: Instruction, step: Step, now: int) -> Instruction:
    """It as it goes on: due now, and no longer under the deadline of the hold."""
    failure = {Step.REJECT: "rejected", Step.EXPIRE: "expired"}.get(step, instruction.failure)
    lease = instruction.lease + 1
    return replace(instruction, lease=lease, due_at=now, failure=failure)
