"""What must be true at the moment at which an attempt is marked as sent."""

from __future__ import annotations

from collections.abc import Sequence

from contraflow.domain import commands as c
from contraflow.domain.decision import Accepted
from contraflow.domain.ids import tenant_of
from contraflow.domain.instruction import Instruction, Kind, Withdrawal
from contraflow.domain.lifecycle import State
from contraflow.errors import InvariantBroken
from contraflow.simulation.surroundings import Surroundings
from contraflow.store import Commit

WAIT_FOR_OTHERS = frozenset({Kind.CLOSE, Kind.VOID, Kind.CAPTURE})


def check_marks(world: Surroundings, commands: Sequence[c.Command], commit: Commit) -> None:
    """I7, I22, I26: `world` is still as it was before the commit."""
    for command, answer in zip(commands, commit.answers, strict=True):
        if isinstance(command, c.MarkSent) and isinstance(answer, Accepted):
            for instruction in answer.instructions:
                if instruction.state is State.SENT:
                    check_mark(world, commit, instruction)


def check_mark(world: Surroundings, commit: Commit, sent: Instruction) -> None:
    before = world.states[sent.instruction_id]
    if world.holds:
        merchant = f"merchant:{tenant_of(sent.instruction_id)}"
        if not world.holds.isdisjoint({"all", f"channel:{sent.channel}", merchant}):
            raise InvariantBroken("I26", f"sent while on hold: {sent}")
    if sent.withdrawal is Withdrawal.ASKED and before is not State.ATTENTION:
        raise InvariantBroken("I22", f"sent again, though its owner wants it back: {sent}")
    if before is State.ACCEPTED and (sent.kind in WAIT_FOR_OTHERS or sent.is_fallback):
        after = {i.instruction_id: i.state for i in commit.instructions}
        for name, payment_id in world.doubts.items():
            is_unknown = after.get(name, State.UNKNOWN) is State.UNKNOWN
            if payment_id == sent.payment_id and is_unknown:
                raise InvariantBroken("I7", f"sent while {name} is unknown: {sent}")
