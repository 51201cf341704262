"""Hand a request to the engine, wait for its end as the client prefers, and say what became of it.

The receipt is stored and told again byte for byte; today's state is shown around it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from contraflow.api.desk import Desk
from contraflow.api.operation import Answer, Call
from contraflow.api.problem import Problem, status_of
from contraflow.domain.commands import ClientCommand
from contraflow.domain.decision import Accepted, Refused, Told
from contraflow.domain.instruction import Instruction
from contraflow.domain.payment import Payment
from contraflow.engine.intake import submit
from contraflow.engine.papers import ReceiptBody
from contraflow.engine.session import rest
from contraflow.engine.waiting import AT_REST, unwatch, watch
from contraflow.errors import DoorCode, ErrorCode, OperationalError
from contraflow.requests.standing import standing_of

RECEIPT = msgspec.json.Decoder(ReceiptBody)


class Outcome(Struct, frozen=True):
    """What a request has led to, as of now."""

    receipt: bytes
    instructions: tuple[Instruction, ...]
    payment: Payment | None
    is_moving: bool  # Something of it has not come to its end.

    @property
    def raw_receipt(self) -> Raw:
        return Raw(self.receipt)


Show = Callable[[Outcome], tuple[Any, str]]  # The resource, and where it is to be found.


async def ask(
    desk: Desk, call: Call, command: ClientCommand, show: Show, *, needs_payment: bool = False
) -> Answer:
    """201 once it is at its end, whichever that is; 202 while it is not. Raises Problem."""
    told = await decide(desk, command)
    headers = {"vary": "Prefer"}
    if call.preference.applied:
        headers["preference-applied"] = call.preference.applied
    if told.is_replayed:
        headers["idempotent-replayed"] = "true"
    receipt = RECEIPT.decode(told.receipt.body)
    if receipt.decision == "refused":
        code = ErrorCode(receipt.code)
        raise Problem(
            status_of(code), code, receipt.detail, headers=headers, receipt=told.receipt.body
        )
    outcome = await outcome_of(desk, call, told)
    if needs_payment and outcome.payment is None:
        outcome = replace(outcome, payment=await payment_of(desk, told, receipt.payment))
    shape, location = show(outcome)
    headers["location"] = location
    return Answer(202 if outcome.is_moving else 201, shape, headers)


async def decide(desk: Desk, command: ClientCommand) -> Told:
    """By the rules, in one commit with its receipt. Raises Problem, and then nothing was stored."""
    key = command.key
    if key in desk.deciding:
        raise Problem(409, DoorCode.KEY_IN_USE, headers={"retry-after": "1"})
    if desk.is_ending.is_set():
        raise Problem(503, DoorCode.ENDING, headers={"retry-after": "1"})
    desk.deciding[key] = asyncio.get_running_loop().time()
    try:
        answer = await submit(desk.parts.intake, command)
    finally:
        del desk.deciding[key]
    if isinstance(answer, Refused):
        raise Problem(status_of(answer.code), answer.code, answer.detail)
    assert isinstance(answer, Told), "whoever has a key gets a receipt"
    return answer


async def outcome_of(desk: Desk, call: Call, told: Told) -> Outcome:
    """As of now, or as of its end, where that is wished for and comes in time."""
    fresh, wait_s = told.decision, call.preference.wait_s
    if isinstance(fresh, Accepted) and not (wait_s and fresh.instructions):
        return _outcome(told, fresh.instructions, fresh.payment)
    if isinstance(fresh, Accepted) and not any(i.is_fallback for i in fresh.instructions):
        ended = await until_rest(desk, call, fresh.instructions)
        return _outcome(told, ended, None)
    try:
        if wait_s:
            ids = [leg.id for leg in RECEIPT.decode(told.receipt.body).legs]
            await rest_or_end(desk, call, ids)
        standing = await standing_of(desk.views, told)
    except OperationalError as error:
        desk.parts.counts["views_lost"] += 1
        if isinstance(fresh, Accepted):
            return _outcome(told, fresh.instructions, fresh.payment)
        raise unreadable() from error
    is_moving = bool(standing.moving)
    return Outcome(told.receipt.body, standing.instructions, standing.payment, is_moving)


async def payment_of(desk: Desk, told: Told, payment_id: str) -> Payment | None:
    """As of now; where that cannot be read, as it was decided."""
    try:
        return await desk.views.payment(payment_id)
    except OperationalError as error:
        desk.parts.counts["views_lost"] += 1
        if isinstance(told.decision, Accepted):
            return told.decision.payment
        raise unreadable() from error


def unreadable() -> Problem:
    """It is decided and kept: only the look at it has failed."""
    return Problem(503, DoorCode.STATE_UNREADABLE, headers={"retry-after": "1"})


def _outcome(told: Told, instructions: tuple[Instruction, ...], payment: Payment | None) -> Outcome:
    is_moving = any(instruction.state not in AT_REST for instruction in instructions)
    return Outcome(told.receipt.body, instructions, payment, is_moving)


async def until_rest(
    desk: Desk, call: Call, instructions: tuple[Instruction, ...]
) -> tuple[Instruction, ...]:
    """As they are at their end, or as they were given where that does not come in time.

    They were decided in this process just now, so nothing of them can have been missed.
    """
    loop = asyncio.get_running_loop()
    ended: dict[str, Instruction] = {}
    moving = [i.instruction_id for i in instructions if i.state not in AT_REST]
    if not moving:
        return instructions
    enough = loop.create_future()

    def hear(instruction: Instruction) -> None:
        ended[instruction.instruction_id] = instruction
        if len(ended) == len(moving):
            stop()

    def stop(*_: object) -> None:
        if not enough.done():
            enough.set_result(None)

    for name in moving:
        watch(desk.parts, name, hear)
    patience = loop.call_later(call.preference.wait_s, stop)
    gone = loop.create_task(call.request.is_gone())
    gone.add_done_callback(stop)
    desk.waiting.add(enough)
    try:
        await enough
    finally:
        desk.waiting.discard(enough)
        patience.cancel()
        gone.cancel()
        for name in moving:
            unwatch(desk.parts, name, hear)
    return tuple(ended.get(i.instruction_id, i) for i in instructions)


async def rest_or_end(desk: Desk, call: Call, ids: Sequence[str]) -> None:
    """Until they are at rest, or the time is over, the client gone, or the process to end."""
    wait_ms = call.preference.wait_s * 1_000
    waits = [
        asyncio.ensure_future(rest(desk.parts, desk.views, ids, wait_ms)),
        asyncio.ensure_future(call.request.is_gone()),
        asyncio.ensure_future(desk.is_ending.wait()),
    ]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    with suppress(asyncio.CancelledError):
        await waits[0]
