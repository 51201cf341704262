"""Wait until an instruction has come to rest; the mode of a request is only when we answer."""

from __future__ import annotations

from collections.abc import Iterable

from contraflow.domain.decision import Accepted, Answer, Told
from contraflow.domain.lifecycle import FINAL, State
from contraflow.engine.bell import Bell
from contraflow.engine.limits import WATCH_PAUSE_MS
from contraflow.engine.parts import Parts
from contraflow.errors import StoreUnwritable
from contraflow.store import Views

AT_REST = FINAL | {State.ATTENTION}


def watch(parts: Parts, instruction_id: str, bell: Bell) -> None:
    """It is rung when the instruction comes to rest. Watch, and then look whether it has."""
    parts.watchers.setdefault(instruction_id, []).append(bell)


def unwatch(parts: Parts, instruction_id: str, bell: Bell) -> None:
    """Also after it was rung."""
    bells = parts.watchers.get(instruction_id, [])
    if bell in bells:
        bells.remove(bell)
        if not bells:
            del parts.watchers[instruction_id]


def tell_watchers(parts: Parts, answers: Iterable[Answer]) -> None:
    """Of what was decided in this process."""
    if not parts.watchers:
        return
    for answer in answers:
        decision = answer.decision if isinstance(answer, Told) else answer
        if isinstance(decision, Accepted):
            at_rest = (i for i in decision.instructions if i.state in AT_REST)
            ring_for(parts, (instruction.instruction_id for instruction in at_rest))


async def watch_others(parts: Parts, views: Views) -> None:
    """Of what other processes decide: one look for all that is watched, after each wake-up."""
    while True:
        await parts.watch_bell.wait(parts.store.poll_ms)
        if not parts.watchers:
            continue
        try:
            ring_for(parts, await views.at_rest(list(parts.watchers)))
        except StoreUnwritable:
            parts.counts["store_unwritable"] += 1
        await parts.runtime.sleep(WATCH_PAUSE_MS)


def ring_for(parts: Parts, instruction_ids: Iterable[str]) -> None:
    for instruction_id in instruction_ids:
        for bell in parts.watchers.pop(instruction_id, ()):
            bell.ring()
