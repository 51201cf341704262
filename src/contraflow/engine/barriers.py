"""Objects that are set aside, or whose channel is gone, so that they do not stop the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from contraflow.domain import commands as c
from contraflow.domain.decide.fact import keep, keep_on
from contraflow.domain.decision import Decision, Refused
from contraflow.domain.observation import Answered
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def barred(snapshot: Snapshot, unserved: Collection[str], command: c.Command) -> Decision | None:
    """Refuse what would touch such an object, and keep a fact about it; an operator may."""
    if isinstance(command, c.ResolveCase | c.Quarantine):
        return None
    for object_id in objects_of(command):
        for name in names_of(snapshot, object_id):
            is_aside = name in snapshot.quarantined
            if is_aside or name in unserved:
                code = ErrorCode.QUARANTINED if is_aside else ErrorCode.CHANNEL_UNABLE
                return _instead(snapshot, command, Refused(code, name))
    return None


def foreign(snapshot: Snapshot, command: c.Command) -> Refused | None:
    """What is not its own does not exist for a caller."""
    if not isinstance(command, c.Keyed) or command.owner is None:
        return None
    if isinstance(command, c.RecordPayment | c.CreatePayment):
        is_reached = command.channel in command.owner.channels
        return None if is_reached else Refused(ErrorCode.CHANNEL_UNABLE, command.channel)
    for object_id in objects_of(command):
        instruction = snapshot.instructions.get(object_id)
        payment = snapshot.payments.get(instruction.payment_id if instruction else object_id)
        if payment is not None and not command.owner.owns(payment):
            is_instruction = isinstance(command, c.WithdrawReversal)
            code = ErrorCode.REVERSAL_UNKNOWN if is_instruction else ErrorCode.PAYMENT_UNKNOWN
            return Refused(code, object_id)
    return None


def names_of(snapshot: Snapshot, object_id: str) -> tuple[str, ...]:
    """Itself and its payment; of the number that a channel speaks of, its instruction too."""
    instruction_id = snapshot.numbers.get(object_id, object_id)
    instruction = snapshot.instructions.get(instruction_id)
    if instruction is None:
        return (object_id,)
    return (object_id, instruction_id, instruction.payment_id)


def _instead(snapshot: Snapshot, command: c.Command, refused: Refused) -> Decision:
    """A fact is never refused: it waits until its object can be touched again."""
    if isinstance(command, c.RecordFact):
        return keep(snapshot, command)
    if isinstance(command, c.RetryParked):
        return keep_on(snapshot, command)
    return refused


def objects_of(command: c.Command) -> Iterator[str]:
    """The payments, instructions and numbers that a command names."""
    if isinstance(command, c.Fenced):
        yield command.fence.instruction_id
    elif isinstance(command, c.WithdrawReversal | c.ReleaseHold | c.RejectHold):
        yield command.instruction_id
    elif isinstance(command, c.ResolveCase | c.Quarantine):
        yield command.object_id
    elif isinstance(command, c.RecordFact | c.RetryParked):
        fact = command.observation.fact
        yield fact.number if isinstance(fact, Answered) else fact.payment_id
    elif not isinstance(command, c.SwitchHold):
        yield command.payment_id
