"""How an instruction comes into the world: accepted, or held until a window or a person says so."""

from __future__ import annotations

from msgspec import Struct

from contraflow.domain.commands import Keyed
from contraflow.domain.decision import Accepted
from contraflow.domain.events import Event, InstructionMoved
from contraflow.domain.ids import number_for, tenant_of
from contraflow.domain.instruction import Instruction, Kind, Timing, Waiting, mode_of
from contraflow.domain.lifecycle import BIRTHS, Step
from contraflow.domain.movement import payment_after
from contraflow.domain.payment import Payment
from contraflow.domain.plan import Leg
from contraflow.domain.policy import Policy
from contraflow.domain.snapshot import Snapshot


class Manner(Struct, frozen=True, gc=False, kw_only=True):
    """How a request wants its instructions to be."""

    timing: Timing = Timing.ASYNCHRONOUS
    capture_id: str = ""
    for_review: bool = False
    is_fallback: bool = False


PLAIN = Manner()


def bear(
    snapshot: Snapshot,
    command: Keyed,
    payment: Payment,
    legs: tuple[Leg, ...],
    manner: Manner = PLAIN,
) -> Accepted:
    """One instruction a leg; each reserves what it asks for."""
    now = snapshot.now
    instructions: list[Instruction] = []
    events: list[Event] = []
    for number, leg in enumerate(legs):
        waiting, wait_ms = _waiting_of(leg.kind, snapshot.policy, manner)
        step = Step.HOLD if waiting else Step.REQUEST
        name = number_for(payment_id=payment.payment_id, key=command.key, leg=number)
        instruction = Instruction(
            instruction_id=f"{tenant_of(payment.payment_id)}/{name}",
            payment_id=payment.payment_id,
            channel=payment.channel,
            kind=leg.kind,
            mode=mode_of(leg.kind, manner.timing),
            minor=leg.minor,
            currency=payment.currency,
            key=command.key,
            leg=number,
            is_fallback=manner.is_fallback,
            capture_id=manner.capture_id,
            requested_at=now,
            labels=command.labels,
            state=BIRTHS[step],
            number=name,
            waiting=waiting,
            due_at=now + wait_ms,
            deadline_at=now + wait_ms if waiting else None,
        )
        payment = payment_after(step, payment, instruction, now).payment
        instructions.append(instruction)
        events.append(InstructionMoved(step, instruction))
    return Accepted(payment=payment, instructions=tuple(instructions), events=tuple(events))


def _waiting_of(kind: Kind, policy: Policy, manner: Manner) -> tuple[Waiting, int]:
    if manner.for_review:
        return Waiting.REVIEW, policy.review_within_ms
    if kind is Kind.REFUND and policy.undo_window_ms:
        return Waiting.UNDO_WINDOW, policy.undo_window_ms
    return Waiting.NOTHING, 0
