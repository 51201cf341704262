"""What must be true when an attempt is marked as sent, and when it is taken for unsent again."""

from __future__ import annotations

from collections.abc import Sequence

from contraflow.domain import commands as c
from contraflow.domain.decision import Accepted
from contraflow.domain.ids import tenant_of
from contraflow.domain.instruction import Instruction, Kind, Withdrawal, numbers_of
from contraflow.domain.lifecycle import State
from contraflow.errors import InvariantBroken
from contraflow.outside.bank_scripts import Result
from contraflow.simulation.surroundings import Surroundings
from contraflow.store import Commit

WAIT_FOR_OTHERS = frozenset({Kind.CLOSE, Kind.VOID, Kind.CAPTURE})


def check_marks(world: Surroundings, commands: Sequence[c.Command], commit: Commit) -> None:
    """I5, I7, I22, I26: `world` is still as it was before the commit."""
    for command, answer in zip(commands, commit.answers, strict=True):
        if isinstance(command, c.MarkSent) and isinstance(answer, Accepted):
            for instruction in answer.instructions:
                if instruction.state is State.SENT:
                    check_mark(world, commit, instruction)
    if not world.is_liar:
        for instruction in commit.instructions:
            if instruction.state is State.ACCEPTED and instruction.attempt:
                check_unsent(world, instruction)


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


def check_unsent(world: Surroundings, instruction: Instruction) -> None:
    """I5: nothing has happened and nothing is under way, for its owner may now have it back."""
    orders = world.bank.orders()
    for number in numbers_of(instruction):
        order = orders.get(number)
        if order is not None and (order.times or order.result is Result.PENDING):
            raise InvariantBroken("I5", f"the bank has {order}, yet {instruction}")
        if any(number.encode() in late.request.body for late in world.travelling):
            raise InvariantBroken("I5", f"{number} is still travelling, yet {instruction}")
