"""Objects that fail our own checks are set aside, so that they do not stop the rest."""

from __future__ import annotations

from collections.abc import Iterator

from contraflow.domain import commands as c
from contraflow.domain.decision import Refused
from contraflow.domain.observation import Answered
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def refuse_quarantined(snapshot: Snapshot, command: c.Command) -> Refused | None:
    """Refuse what would touch an object that is set aside; an operator's decision may."""
    if isinstance(command, c.ResolveCase | c.Quarantine):
        return None
    for object_id in objects_of(command):
        instruction = snapshot.instructions.get(object_id)
        own = (object_id, instruction.payment_id) if instruction else (object_id,)
        for name in own:
            if name in snapshot.quarantined:
                return Refused(ErrorCode.QUARANTINED, name)
    return None


def objects_of(command: c.Command) -> Iterator[str]:
    """The payments and instructions that a command names."""
    if isinstance(command, c.Fenced):
        yield command.fence.instruction_id
    elif isinstance(command, c.WithdrawReversal | c.ReleaseHold | c.RejectHold):
        yield command.instruction_id
    elif isinstance(command, c.ResolveCase | c.Quarantine):
        yield command.object_id
    elif isinstance(command, c.RecordFact | c.RetryParked):
        fact = command.observation.fact
        if not isinstance(fact, Answered):
            yield fact.payment_id
    elif not isinstance(command, c.SwitchHold):
        yield command.payment_id
