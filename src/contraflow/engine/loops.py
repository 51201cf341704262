"""What runs until the process ends."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from contraflow.domain.commands import Command, Keyed, Quarantine
from contraflow.domain.decision import Accepted, Answer, Refused
from contraflow.engine.barriers import objects_of
from contraflow.engine.commit import commit_batch
from contraflow.engine.dispatch import dispatch_due
from contraflow.engine.intake import Waiting, take
from contraflow.engine.limits import (
    BATCH_COMMANDS_MAX,
    BREATH_MS,
    CAREFUL_COMMITS,
    DETAIL_MAX,
    SUSPECT_FAILURES_MAX,
)
from contraflow.engine.notify import notify_due
from contraflow.engine.parts import Parts
from contraflow.engine.timers import expire_due, retry_parked_due
from contraflow.engine.waiting import tell_watchers
from contraflow.errors import BatchRefused, ErrorCode, StoreUnwritable, ValueRefused

Outcome = Answer | StoreUnwritable


def start(parts: Parts) -> None:
    parts.is_working = True
    listen(parts)
    for loop in (commit_loop, dispatch_loop, notify_loop):
        parts.runtime.spawn(loop(parts))


def listen(parts: Parts) -> None:
    """To other processes, which may have made work for us."""
    bells = (parts.dispatch_bell, parts.notify_bell, parts.watch_bell)

    def wake() -> None:
        for bell in bells:
            bell.ring()

    parts.store.on_wake(wake)


async def commit_loop(parts: Parts) -> None:
    """After a start that follows a failed check, one by one, so that one object cannot stop all."""
    careful = CAREFUL_COMMITS if await suspects_set_aside(parts) else 0
    while True:
        batch = await take(parts.intake, 1 if careful else BATCH_COMMANDS_MAX)
        try:
            outcomes = await commit_or_bisect(parts, [w.command for w in batch])
        except AssertionError:
            # Our code is wrong. Note what was touched, and stop.
            touched = sorted({name for w in batch for name in objects_of(w.command)})
            await parts.store.suspect(touched, is_proven=len(batch) == 1)
            raise
        answers = [each for each in outcomes if not isinstance(each, StoreUnwritable)]
        if careful and answers:
            careful -= 1
            await drop_suspicion(parts, careful)
        tell_watchers(parts, answers)
        tell(batch, outcomes)
        parts.dispatch_bell.ring()
        parts.notify_bell.ring()
        if len(answers) < len(outcomes):
            await parts.runtime.sleep(BREATH_MS)


def tell(batch: Sequence[Waiting], outcomes: Sequence[Outcome]) -> None:
    for waiting, outcome in zip(batch, outcomes, strict=True):
        if waiting.ticket.done():
            continue  # Whoever asked has gone away.
        if isinstance(outcome, StoreUnwritable):
            waiting.ticket.set_exception(outcome)
        else:
            waiting.ticket.set_result(outcome)


async def commit_or_bisect(parts: Parts, commands: Sequence[Command]) -> list[Outcome]:
    """A value that the database refuses must not refuse what stands beside it.

    Nor is what was stored told of as if it were not, where the rest cannot be stored.
    """
    try:
        return await commit_or_divide(parts, commands)
    except StoreUnwritable as error:
        return [error] * len(commands)


async def commit_or_divide(parts: Parts, commands: Sequence[Command]) -> list[Outcome]:
    try:
        return [*await commit_batch(parts.store, parts.policy, parts.rules, commands)]
    except BatchRefused as error:
        if isinstance(error, ValueRefused) and len(commands) == 1:
            return [await refuse_value(parts, commands[0], error)]
    half = len(commands) // 2
    first = await commit_or_bisect(parts, commands[:half])
    return first + await commit_or_bisect(parts, commands[half:])


async def refuse_value(parts: Parts, command: Command, error: ValueRefused) -> Answer:
    """A request is refused by name; what we cannot refuse is set aside for a person."""
    parts.counts["values_refused"] += 1
    if not isinstance(command, Keyed):
        for object_id in objects_of(command):
            aside = Quarantine(object_id=object_id, detail=f"{error}: {command}"[:DETAIL_MAX])
            with suppress(ValueRefused):  # Nothing of ours can have such a name.
                await commit_batch(parts.store, parts.policy, parts.rules, [aside])
    return Refused(ErrorCode.VALUE_REFUSED, str(error))


async def suspects_set_aside(parts: Parts) -> bool:
    """As soon as the database can be written; until then nothing else can be done either."""
    while True:
        try:
            return await set_aside_suspects(parts)
        except StoreUnwritable:
            parts.counts["store_unwritable"] += 1
            await parts.runtime.sleep(BREATH_MS)


async def set_aside_suspects(parts: Parts) -> bool:
    """Whether anything is under suspicion; what has failed twice goes to the operator."""
    suspects = await parts.store.suspects()
    for object_id, failures in suspects.items():
        if failures >= SUSPECT_FAILURES_MAX:
            detail = f"in {failures} batches that failed our own checks"
            aside = Quarantine(object_id=object_id, detail=detail)
            answers = await commit_batch(parts.store, parts.policy, parts.rules, [aside])
            assert isinstance(answers[0], Accepted)
    return bool(suspects)


async def drop_suspicion(parts: Parts, careful: int) -> None:
    """What went well so often, one by one, is under no suspicion any more."""
    if careful == 0:
        with suppress(StoreUnwritable):  # Then the next start is careful, too.
            await parts.store.clear_suspects()


async def dispatch_loop(parts: Parts) -> None:
    while True:
        try:
            wait_ms = await patience_ms(parts)
            if wait_ms <= 0:
                await expire_due(parts)
                await retry_parked_due(parts)
                await dispatch_due(parts)
                # What is due and has no slot is looked at again after a breath.
                wait_ms = await patience_ms(parts)
        except StoreUnwritable:
            parts.counts["store_unwritable"] += 1
            wait_ms = 0
        await parts.dispatch_bell.wait(wait_ms if wait_ms > 0 else BREATH_MS)


async def patience_ms(parts: Parts) -> int:
    """Until the next thing is due; nothing or less if it is due already."""
    due_at = await parts.store.next_due(parts.channels)
    poll_ms = parts.store.poll_ms
    return poll_ms if due_at is None else min(due_at - parts.store.now(), poll_ms)


async def notify_loop(parts: Parts) -> None:
    while True:
        try:
            await notify_due(parts)
        except StoreUnwritable:
            parts.counts["store_unwritable"] += 1
        await parts.notify_bell.wait(parts.store.poll_ms)
