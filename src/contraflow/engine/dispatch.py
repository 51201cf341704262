"""Hand due instructions to their channels; bring the answers back as commands."""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from contraflow.channels import Action, Attempt, Channel
from contraflow.domain import outcome as said
from contraflow.domain.commands import ClaimInquiry, FireTimer, MarkSent, RecordOutcome
from contraflow.domain.decision import Accepted
from contraflow.domain.instruction import Instruction, Waiting, Withdrawal
from contraflow.domain.lifecycle import UNSENT, State
from contraflow.domain.outcome import Evidence, Outcome, Retry
from contraflow.engine.attempts import ACTIONS, again_at, attempt_of, retry_at
from contraflow.engine.gate import Gate
from contraflow.engine.intake import submit
from contraflow.engine.limits import LEASE_MARGIN_MS
from contraflow.engine.parts import Parts
from contraflow.errors import NotSent, OperationalError, StoreUnwritable
from contraflow.wire.exchange import Request


async def dispatch_due(parts: Parts) -> None:
    """Give each free slot of each channel one instruction that is due.

    A worker that sleeps past its lease keeps its slot, but not its instruction.
    """
    for name, gate in parts.gates.items():
        free = gate.free(parts.store.now())
        if free == 0:
            continue
        for instruction in await parts.store.due(name, free, gate.busy):
            gate.enter(instruction.fence, parts.store.now())
            parts.runtime.spawn(work_on(parts, gate, instruction))


async def work_on(parts: Parts, gate: Gate, instruction: Instruction) -> None:
    channel = parts.channels[instruction.channel]
    try:
        if is_timed_out(instruction, parts.store.now()):
            await submit(parts.intake, FireTimer(fence=instruction.fence))
        elif instruction.state is State.ACCEPTED or is_redirected(instruction):
            await send_once(parts, channel, instruction)
        else:
            await inquire_once(parts, channel, instruction)
    except StoreUnwritable:
        parts.counts["store_unwritable"] += 1  # It stays due, and is taken up again.
    finally:
        gate.leave(instruction.fence)
        parts.dispatch_bell.ring()


def is_timed_out(instruction: Instruction, now: int) -> bool:
    deadline_at = instruction.deadline_at
    return instruction.state in UNSENT and deadline_at is not None and deadline_at <= now


def is_redirected(instruction: Instruction) -> bool:
    """An operator wants it sent again, and its owner does not want it back."""
    is_stopped = instruction.withdrawal is Withdrawal.ASKED
    return instruction.waiting is Waiting.REDIRECT and not is_stopped


async def send_once(parts: Parts, channel: Channel, instruction: Instruction) -> None:
    """SENT is committed before the first byte, and no byte leaves after its `leave_by`."""
    now = parts.store.now()
    leave_by = max(now + channel.abilities.leave_within_ms, instruction.leave_by or 0)
    lease_until = lease_from(parts, leave_by)
    mark = MarkSent(fence=instruction.fence, leave_by=leave_by, lease_until=lease_until)
    marked = await submit(parts.intake, mark)
    if not isinstance(marked, Accepted) or marked.payment is None:
        return  # Somebody else has it, it was withdrawn, or it is not its turn.
    [sent] = marked.instructions
    attempt = attempt_of(marked.payment, sent, ACTIONS[sent.kind])
    asked_at = not_after_now(parts)
    request = channel.submit(attempt)
    parts.in_flight[sent.instruction_id] = sent
    try:
        outcome = await ask(parts, channel, attempt, request, leave_by)
    except NotSent as error:
        outcome = said.NotSent(Evidence(code="not_sent", message=str(error)))
    finally:
        parts.in_flight.pop(sent.instruction_id, None)
    heard = await record(parts, channel, sent, outcome, asked_at)
    if heard is not None and may_send_again(channel, heard, outcome):
        await send_once(parts, channel, heard)


async def inquire_once(parts: Parts, channel: Channel, instruction: Instruction) -> None:
    """Ask what became of an attempt, or ask the channel to take it back if that is wished for.

    Send again only what the channel lacks, and may get twice or cannot have got.
    """
    leave_by = parts.store.now() + channel.abilities.leave_within_ms
    claim = ClaimInquiry(fence=instruction.fence, lease_until=lease_from(parts, leave_by))
    claimed = await submit(parts.intake, claim)
    if not isinstance(claimed, Accepted) or claimed.payment is None:
        return
    [asked] = claimed.instructions
    of_withdrawal = wants_back(channel, asked)
    action = Action.WITHDRAW if of_withdrawal else ACTIONS[asked.kind]
    attempt = attempt_of(claimed.payment, asked, action)
    request = channel.submit(attempt) if of_withdrawal else channel.inquire(attempt)
    asked_at = not_after_now(parts)
    try:
        outcome = await ask(parts, channel, attempt, request, leave_by)
    except NotSent as error:
        outcome = said.Unknown(Evidence(code="not_sent", message=str(error)))
    heard = await record(parts, channel, asked, outcome, asked_at, of_withdrawal=of_withdrawal)
    if heard is not None and may_send_again(channel, heard, outcome):
        await send_once(parts, channel, heard)


def lease_from(parts: Parts, leave_by: int) -> int:
    """A call that leaves in time ends before its lease does."""
    return leave_by + parts.reply_within_ms + LEASE_MARGIN_MS


def not_after_now(parts: Parts) -> int:
    """What proves an attempt dead was asked then at the earliest."""
    return parts.store.now() - parts.store.ahead_ms_max


async def hand_back(parts: Parts, sent: Instruction) -> None:
    """What nobody has answered yet is in doubt at once, so that another process may ask."""
    claim = ClaimInquiry(fence=sent.fence, lease_until=parts.store.now())
    await submit(parts.intake, claim)


def wants_back(channel: Channel, instruction: Instruction) -> bool:
    """Every other time, so that what the channel made of it is asked in between."""
    can_withdraw = Action.WITHDRAW in channel.abilities.actions
    return instruction.withdrawal is Withdrawal.ASKED and can_withdraw and instruction.lease % 4 < 2


def may_send_again(channel: Channel, instruction: Instruction, outcome: Outcome) -> bool:
    """Rule 8: whether a number may be sent again is the channel's ability, not our policy."""
    if instruction.state is not State.UNKNOWN or instruction.withdrawal is Withdrawal.ASKED:
        return False
    if isinstance(outcome, said.Declined):
        return outcome.retry is Retry.NEW_NUMBER and not instruction.in_doubt
    is_safe = channel.abilities.same_number_again or not instruction.in_doubt
    return isinstance(outcome, said.NotFound) and is_safe


async def ask(
    parts: Parts, channel: Channel, attempt: Attempt, request: Request, leave_by: int
) -> Outcome:
    """In doubt Unknown. Only the transport can say NotSent, and the caller what that means."""
    gate = parts.gates[channel.name]
    digest = hashlib.sha256(request.body).hexdigest()
    try:
        reply = await parts.transport.send(request, leave_by)
    except NotSent:
        gate.note_silence(parts.store.now())
        raise
    except OperationalError as error:
        gate.note_silence(parts.store.now())
        evidence = Evidence(code="reply_lost", message=str(error), request_sha256=digest)
        return said.Unknown(evidence)
    gate.note_answer()
    outcome = channel.interpret(attempt, reply)
    return replace(outcome, evidence=replace(outcome.evidence, request_sha256=digest))


async def record(
    parts: Parts,
    channel: Channel,
    instruction: Instruction,
    outcome: Outcome,
    asked_at: int,
    *,
    of_withdrawal: bool = False,
) -> Instruction | None:
    """Commit an outcome. None if another worker has taken over: then nothing was changed."""
    now = parts.store.now()
    is_refused_for_now = isinstance(outcome, said.Declined) and instruction.state is State.SENT
    is_back = is_refused_for_now or isinstance(outcome, said.NotSent)
    not_before = now + outcome.poll_after_ms if isinstance(outcome, said.Accepted) else now
    command = RecordOutcome(
        fence=instruction.fence,
        outcome=outcome,
        asked_at=asked_at,
        again_at=retry_at(instruction, now)
        if is_back
        else max(not_before, again_at(channel.abilities, instruction, now)),
        of_withdrawal=of_withdrawal,
    )
    recorded = await submit(parts.intake, command)
    if not isinstance(recorded, Accepted) or not recorded.instructions:
        return None
    return recorded.instructions[0]
