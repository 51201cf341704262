"""What a door does with a running engine: take requests, wait for their end, let go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

from contraflow.domain.booking import came_too_late
from contraflow.domain.commands import RequestReversal
from contraflow.domain.decide.reversal import decide_reversal
from contraflow.domain.decision import NO_OBJECTION, Decision
from contraflow.domain.ids import instruction_id_for, policy_key
from contraflow.domain.instruction import Instruction, Waiting
from contraflow.domain.policy import Policy
from contraflow.domain.snapshot import Snapshot
from contraflow.engine.bell import Bell
from contraflow.engine.dispatch import hand_back
from contraflow.engine.limits import BREATH_MS, DRAIN_MS_MAX, HAND_BACK_MS_MAX
from contraflow.engine.loops import commit_loop, listen
from contraflow.engine.parts import Parts
from contraflow.engine.waiting import AT_REST, unwatch, watch
from contraflow.errors import StoreUnwritable
from contraflow.store import Views

NEVER = 1 << 62


def start_intake(parts: Parts) -> None:
    """Requests are decided and kept, and nothing is sent: another process does the rest."""
    listen(parts)
    parts.runtime.spawn(commit_loop(parts))


async def rest(parts: Parts, views: Views, ids: Iterable[str], within_ms: int) -> None:
    """Wait until these instructions and what follows from them are settled, or time is over."""
    ids = tuple(ids)
    until = parts.runtime.now() + within_ms
    bell, watched = Bell(parts.runtime), dict[str, None]()

    def ring(_: Instruction) -> None:
        bell.ring()

    try:
        while parts.runtime.now() < until:
            moving = [i async for i in lineage(views, ids) if not await is_settled(views, i)]
            if not moving:
                return
            patience_ms = min(until - parts.runtime.now(), parts.store.poll_ms)
            for instruction in moving:
                name = instruction.instruction_id
                if instruction.state in AT_REST:
                    patience_ms = min(patience_ms, BREATH_MS)  # Nobody rings for its successor.
                elif name not in watched:
                    watched[name] = None
                    watch(parts, name, ring)
                    bell.ring()  # It may have ended since the look: look again, now it is watched.
            await bell.wait(max(1, patience_ms))
    finally:
        for name in watched:
            unwatch(parts, name, ring)


async def is_settled(views: Views, instruction: Instruction) -> bool:
    """At rest, and if it came too late to cancel, our policy has decided what follows."""
    if instruction.state not in AT_REST or instruction.waiting is Waiting.REDIRECT:
        return False
    if not came_too_late(instruction):
        return True
    return await views.receipt(successor_key(instruction)) is not None


async def lineage(views: Views, ids: Iterable[str]) -> AsyncIterator[Instruction]:
    """The instructions, each followed by the one that our policy asked for because of it.

    That one is looked for only when the next is asked for. So ask of each whether it is settled
    before you go on: whatever settled it has made its successor, which is then not missed.
    """
    for instruction_id in ids:
        found = await views.instruction(instruction_id)
        while found is not None:
            yield found
            key = successor_key(found)
            successor_id = instruction_id_for(payment_id=found.payment_id, key=key)
            found = await views.instruction(successor_id)


def successor_key(instruction: Instruction) -> str:
    """Of the refund that follows a `reverse` whose cancel came too late."""
    return policy_key(instruction.payment_id, instruction.instruction_id)


async def foresee(views: Views, policy: Policy, command: RequestReversal, now: int) -> Decision:
    """What the rules would say now, risk rules apart; nothing is asked for."""
    payment = await views.payment(command.payment_id)
    own = await views.instructions_of(command.payment_id)
    snapshot = Snapshot(
        now=now,
        policy=policy,
        payments={} if payment is None else {payment.payment_id: payment},
        instructions={instruction.instruction_id: instruction for instruction in own},
        numbers={},
        facts={},
        cases={},
        holds=(),
        quarantined=(),
    )
    return decide_reversal(snapshot, command, NO_OBJECTION)


async def drain(parts: Parts) -> None:
    """Begin no further call, and let those in flight end; what stays open is handed back."""
    for gate in parts.gates.values():
        gate.shut_until = NEVER
    until = parts.runtime.now() + DRAIN_MS_MAX
    while any(gate.busy for gate in parts.gates.values()) and parts.runtime.now() < until:
        await parts.runtime.sleep(BREATH_MS)
    left, bell = list(parts.in_flight.values()), Bell(parts.runtime)
    for sent in tuple(left):
        parts.runtime.spawn(give_back(parts, sent, left, bell))
    until = parts.runtime.now() + HAND_BACK_MS_MAX
    while left and parts.runtime.now() < until:
        await bell.wait(until - parts.runtime.now())


async def give_back(parts: Parts, sent: Instruction, left: list[Instruction], bell: Bell) -> None:
    with suppress(StoreUnwritable):  # Then its lease must end first.
        await hand_back(parts, sent)
    left.remove(sent)
    bell.ring()
