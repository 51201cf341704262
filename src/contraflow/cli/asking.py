"""Hand a request to the engine, wait for its end if that is wished for, and show the answer."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import typer
from msgspec import Struct

from contraflow import wiring
from contraflow.cli import paper
from contraflow.cli.exits import Exit
from contraflow.cli.place import Place, look, reading
from contraflow.domain.commands import (
    ClientCommand,
    CreatePayment,
    RecordPayment,
    RejectHold,
    RequestCancel,
    RequestReversal,
    ResolveCase,
    SwitchHold,
    WithdrawReversal,
)
from contraflow.domain.decision import Answer, Refused, Told
from contraflow.domain.ids import name_of
from contraflow.domain.instruction import Instruction, Kind
from contraflow.domain.lifecycle import State
from contraflow.engine import loops
from contraflow.engine.intake import submit
from contraflow.engine.session import rest, start_intake, successor_key
from contraflow.engine.views import InstructionView, PaymentView, instruction_view, payment_view
from contraflow.requests import fields
from contraflow.requests.standing import Standing, ids_in, receipt_in, standing_of
from contraflow.store import Views

CREATING = (CreatePayment, RecordPayment, SwitchHold)  # They may make a new database.
FRESH = "auto-"  # Begins a key that nobody chose.
SOURCE = "cli"  # Of what is asked for here.


class Complaint(Struct, frozen=True):
    code: str
    detail: str


class Reply(Struct, frozen=True, kw_only=True):
    """The receipt is the same for ever, byte for byte; what follows it is as of now."""

    key: str
    is_replayed: bool
    receipt: msgspec.Raw | None
    error: Complaint | None
    payment: PaymentView | None
    instructions: tuple[InstructionView, ...]


def key_of(place: Place, key: str | None) -> str:
    return fields.own_key(place.tenant, f"{FRESH}{wiring.fresh_key()}" if key is None else key)


def ask(place: Place, command: ClientCommand, wait: int | None = None) -> None:
    """Ends with the exit code that fits."""
    answer = told_by_engine(place, command, wait)
    has_waited = wait is not None
    reply, code = look(place, lambda views: reply_to(views, command, answer, has_waited=has_waited))
    if place.as_json:
        paper.print_json(reply)
    else:
        print_reply(reply)
    raise typer.Exit(code)


def told_by_engine(place: Place, command: ClientCommand, wait: int | None) -> Answer:
    """Without a wait it is only decided and kept, and `contraflow work` does the rest."""

    async def work(embedded: wiring.Embedded) -> Answer:
        answer = await submit(embedded.parts.intake, command)
        if wait is not None:
            async with reading(place) as views:
                await rest(embedded.parts, views, ids_in(answer), wait * 1_000)
        return answer

    if not isinstance(command, CREATING):
        wiring.refuse_missing(place.settings)
    key = name_of(command.key)
    if key.startswith(FRESH):
        # Told before it is used: whoever is cut off can ask again, and is not paid twice.
        typer.echo(f"key {key}", err=True)
    if wait is None:
        return wiring.run(place.settings, work, start=start_intake)
    with paper.progress("waiting for its end", total=None, is_quiet=place.as_json):
        return wiring.run(place.settings, work, start=loops.start)


async def reply_to(
    views: Views, command: ClientCommand, answer: Answer, *, has_waited: bool
) -> tuple[Reply, Exit]:
    receipt = receipt_in(answer)
    error = None
    if isinstance(answer, Refused):
        error = Complaint(answer.code, answer.detail)
    elif receipt is not None and receipt.decision == "refused":
        error = Complaint(receipt.code, receipt.detail)
    standing = await standing_of(views, answer)
    reply = Reply(
        key=name_of(command.key),
        is_replayed=isinstance(answer, Told) and answer.is_replayed,
        receipt=msgspec.Raw(answer.receipt.body) if isinstance(answer, Told) else None,
        error=error,
        payment=None if standing.payment is None else payment_view(standing.payment),
        instructions=tuple(instruction_view(instruction) for instruction in standing.instructions),
    )
    if error is not None:
        return reply, Exit.REFUSED
    code = exit_of(command, standing)
    return reply, Exit.DONE if code is Exit.NOT_YET and not has_waited else code


def exit_of(command: ClientCommand, standing: Standing) -> Exit:
    """The worst of the ends; what was followed by something else is judged by that."""
    if isinstance(command, RejectHold | ResolveCase):
        return Exit.DONE
    keys = {instruction.key for instruction in standing.instructions}
    last = [i for i in standing.instructions if successor_key(i) not in keys]
    return max((_judge(command, i, standing.moving) for i in last), default=Exit.DONE)


def _judge(command: ClientCommand, instruction: Instruction, moving: Collection[str]) -> Exit:
    if instruction.instruction_id in moving or instruction.state is State.ATTENTION:
        return Exit.NOT_YET
    takes_back = isinstance(command, WithdrawReversal) or (
        isinstance(command, RequestCancel | RequestReversal) and instruction.kind is Kind.PAY
    )
    wished = State.WITHDRAWN if takes_back else State.SUCCEEDED
    return Exit.DONE if instruction.state is wished else Exit.FAILED


def print_reply(reply: Reply) -> None:
    again = " (replayed)" if reply.is_replayed else ""
    if reply.error is not None:
        detail = f": {reply.error.detail}" if reply.error.detail else ""
        paper.print_line(f"refused{again}: {reply.error.code}{detail}")
    else:
        paper.print_line(f"accepted{again}")
    paper.print_line(f"key {reply.key}")
    paper.print_instructions(reply.instructions)
    if reply.payment is not None:
        paper.print_payment(reply.payment)
