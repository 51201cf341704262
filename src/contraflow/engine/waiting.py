"""Wait until an instruction has come to rest; the mode of a request is only when we answer."""

from __future__ import annotations

from collections.abc import Iterable

from contraflow.domain.decision import Accepted, Answer, Told
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import FINAL, State
from contraflow.engine.limits import WATCH_PAUSE_MS
from contraflow.engine.parts import Parts, Watcher
from contraflow.errors import StoreUnwritable
from contraflow.store import Views

AT_REST = FINAL | {State.ATTENTION}


def watch(parts: Parts, instruction_id: str, watcher: Watcher) -> None:
    """It is told once, when the instruction comes to rest.

    Watch, and then look whether it has. One that was decided in this process just now has not.
    """
    parts.watchers.setdefault(instruction_id, []).append(watcher)
    if parts.is_watching_others and not parts.is_working:
        parts.watch_bell.ring()


def unwatch(parts: Parts, instruction_id: str, watcher: Watcher) -> None:
    """Also after it was told."""
    watchers = parts.watchers.get(instruction_id, [])
    if watcher in watchers:
        watchers.remove(watcher)
        if not watchers:
            del parts.watchers[instruction_id]


def tell_watchers(parts: Parts, answers: Iterable[Answer]) -> None:
    """Of what was decided in this process."""
    if not parts.watchers:
        return
    for answer in answers:
        decision = answer.decision if isinstance(answer, Told) else answer
        if isinstance(decision, Accepted):
            tell_of(parts, (i for i in decision.instructions if i.state in AT_REST))


async def watch_others(parts: Parts, views: Views) -> None:
    """Of what other processes decide: one look for all that is watched, after each wake-up."""
    parts.is_watching_others = True
    while True:
        await parts.watch_bell.wait(parts.store.poll_ms)
        if not parts.watchers:
            continue
        try:
            ended = await views.at_rest(list(parts.watchers))
            tell_of(parts, (await views.instructions(ended)).values())
        except StoreUnwritable:
            parts.counts["store_unwritable"] += 1
        await parts.runtime.sleep(WATCH_PAUSE_MS)


def tell_of(parts: Parts, instructions: Iterable[Instruction]) -> None:
    for instruction in instructions:
        for watcher in parts.watchers.pop(instruction.instruction_id, ()):
            watcher(instruction)
