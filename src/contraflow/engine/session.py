"""What a door does with a running engine: take requests, wait for their end, let go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from contraflow.domain.booking import came_too_late
from contraflow.domain.commands import RequestReversal
from contraflow.domain.decide.reversal import decide_reversal
from contraflow.domain.decision import NO_OBJECTION, Answer, Decision
from contraflow.domain.ids import instruction_id_for, policy_key
from contraflow.domain.instruction import Instruction, Waiting
from contraflow.domain.policy import Policy
from contraflow.domain.snapshot import Snapshot
from contraflow.engine.bell import Bell
from contraflow.engine.limits import BREATH_MS, DRAIN_MS_MAX
from contraflow.engine.loops import commit_loop
from contraflow.engine.parts import Parts
from contraflow.engine.waiting import AT_REST, watch
from contraflow.outside import Ticket
from contraflow.store import Views

NEVER = 1 << 62


def start_intake(parts: Parts) -> None:
    """Requests are decided and kept, and nothing is sent: another process does the rest."""
    parts.runtime.spawn(commit_loop(parts))


async def rest(parts: Parts, views: Views, ids: Iterable[str], within_ms: int) -> None:
    """Wait until these instructions and what follows from them are settled, or time is over."""
    ids = tuple(ids)
    until = parts.runtime.now() + within_ms
    bell, watched = Bell(parts.runtime), set[str]()
    while parts.runtime.now() < until:
        moving = [i for i in lineage(views, ids) if not is_settled(views, i)]
        if not moving:
            return
        patience_ms = until - parts.runtime.now()
        for instruction in moving:  # Nothing was awaited since the look, so none can be missed.
            name = instruction.instruction_id
            if instruction.state in AT_REST:
                patience_ms = min(patience_ms, BREATH_MS)  # Nobody rings for its successor.
            elif name not in watched:
                watched.add(name)
                parts.runtime.spawn(_ring_after(watch(parts, name), bell))
        await bell.wait(max(1, patience_ms))


def is_settled(views: Views, instruction: Instruction) -> bool:
    """At rest, and if it came too late to cancel, our policy has decided what follows."""
    if instruction.state not in AT_REST or instruction.waiting is Waiting.REDIRECT:
        return False
    return not came_too_late(instruction) or views.receipt(successor_key(instruction)) is not None


def lineage(views: Views, ids: Iterable[str]) -> Iterator[Instruction]:
    """The instructions, each followed by the one that our policy asked for because of it."""
    for instruction_id in ids:
        found = views.instruction(instruction_id)
        while found is not None:
            yield found
            key = successor_key(found)
            found = views.instruction(instruction_id_for(payment_id=found.payment_id, key=key))


def successor_key(instruction: Instruction) -> str:
    """Of the refund that follows a `reverse` whose cancel came too late."""
    return policy_key(instruction.payment_id, instruction.instruction_id)


def foresee(views: Views, policy: Policy, command: RequestReversal, now: int) -> Decision:
    """What the rules would say now, risk rules apart; nothing is asked for."""
    payment = views.payment(command.payment_id)
    own = views.instructions_of(command.payment_id)
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
    """Begin no further call, and let those in flight end; what stays open is inquired about."""
    for gate in parts.gates.values():
        gate.shut_until = NEVER
    until = parts.runtime.now() + DRAIN_MS_MAX
    while any(gate.busy for gate in parts.gates.values()) and parts.runtime.now() < until:
        await parts.runtime.sleep(BREATH_MS)


async def _ring_after(ticket: Ticket[Answer], bell: Bell) -> None:
    await ticket
    bell.ring()
