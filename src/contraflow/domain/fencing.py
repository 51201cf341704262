"""An internal command counts only if nobody has touched its instruction since it looked."""

from __future__ import annotations

from contraflow.domain.decision import Refused
from contraflow.domain.instruction import Fence, Instruction
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def fenced(snapshot: Snapshot, fence: Fence) -> Instruction | Refused:
    instruction = snapshot.instructions.get(fence.instruction_id)
    if instruction is None:
        return Refused(ErrorCode.REVERSAL_UNKNOWN, fence.instruction_id)
    if instruction.fence != fence:
        return Refused(ErrorCode.LEASE_STALE, f"{fence} but {instruction.fence}")
    return instruction
