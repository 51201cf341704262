"""Wait until an instruction has come to rest; the mode of a request is only when we answer."""

from __future__ import annotations

from collections.abc import Iterable

from contraflow.domain.decision import Accepted, Answer, Told
from contraflow.domain.lifecycle import FINAL, State
from contraflow.engine.parts import Parts
from contraflow.outside import Ticket

AT_REST = FINAL | {State.ATTENTION}


def watch(parts: Parts, instruction_id: str) -> Ticket[Answer]:
    """A ticket that is filled when the instruction comes to rest. Watch before it can move."""
    ticket: Ticket[Answer] = parts.runtime.ticket()
    parts.watchers.setdefault(instruction_id, []).append(ticket)
    return ticket


def tell_watchers(parts: Parts, answers: Iterable[Answer]) -> None:
    if not parts.watchers:
        return
    for answer in answers:
        decision = answer.decision if isinstance(answer, Told) else answer
        if not isinstance(decision, Accepted):
            continue
        for instruction in decision.instructions:
            if instruction.state in AT_REST:
                for ticket in parts.watchers.pop(instruction.instruction_id, ()):
                    if not ticket.done():
                        ticket.set_result(answer)
