"""Pages of payments and instructions, the newest first, of what a caller may see.

One call looks at a bounded number of rows, so that a rare filter costs many short calls and never a
long one: a page may hold less than was asked for, even nothing, and say where to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from contraflow.domain.ids import qualified
from contraflow.domain.instruction import Instruction, Kind, Labels
from contraflow.domain.owner import Owner
from contraflow.domain.payment import Payment
from contraflow.engine.limits import LISTED_MAX, LOOKED_AT_MAX
from contraflow.engine.views import status_of
from contraflow.store import Place, Views

T = TypeVar("T")
LABELS = msgspec.json.Decoder(Labels)
BEGINNING = 0


class Wish(Struct, frozen=True, kw_only=True):
    """Filters; what is empty or None stands for all. Times in ms, amounts in minor units."""

    channel: str = ""
    currency: str = ""
    minor_min: int | None = None
    minor_max: int | None = None
    since: int | None = None
    until: int | None = None  # Not included.
    reference: str = ""  # Of the merchant.
    customer: str = ""


class PaymentWish(Wish, frozen=True, kw_only=True):
    state: str = ""
    method: str = ""


class InstructionWish(Wish, frozen=True, kw_only=True):
    status: str = ""  # The outer one.
    kinds: frozenset[Kind] = frozenset()
    payment_id: str = ""


class Slice(Struct, Generic[T], frozen=True):
    found: Sequence[T]
    after: Place | None  # Where to go on; None at the end.


async def list_payments(
    views: Views, owner: Owner, wish: PaymentWish, after: Place | None, count_max: int
) -> Slice[Payment]:
    start = _start(wish, after)
    if wish.reference:
        named = await views.named(qualified(owner.tenant, wish.reference), LISTED_MAX)
        rows = sorted((await views.payments(named)).values(), key=_payment_place, reverse=True)
        rows = [row for row in rows if start is None or _payment_place(row) < start]
        is_end = True
    else:
        since = wish.since or BEGINNING
        rows = await views.payments_before(owner.tenant, start, since, LOOKED_AT_MAX)
        is_end = len(rows) < LOOKED_AT_MAX
    wanted = {row.payment_id for row in rows if owner.owns(row) and _fits_payment(wish, row)}
    fits = [row.payment_id in wanted for row in rows]
    return _slice(rows, fits, _payment_place, count_max, is_end=is_end)


async def list_instructions(
    views: Views, owner: Owner, wish: InstructionWish, after: Place | None, count_max: int
) -> Slice[Instruction]:
    """An instruction belongs to whom its payment belongs."""
    start = _start(wish, after)
    if wish.payment_id or wish.reference:
        rows = await _named_instructions(views, owner, wish)
        rows = [row for row in rows if start is None or _instruction_place(row) < start]
        is_end = True
    else:
        since = wish.since or BEGINNING
        rows = await views.instructions_before(owner.tenant, start, since, LOOKED_AT_MAX)
        is_end = len(rows) < LOOKED_AT_MAX
    fitting = [row for row in rows if _fits_instruction(wish, row)]
    payments = await views.payments({row.payment_id for row in fitting})
    wanted = {
        row.instruction_id
        for row in fitting
        if row.payment_id in payments and owner.owns(payments[row.payment_id])
    }
    fits = [row.instruction_id in wanted for row in rows]
    return _slice(rows, fits, _instruction_place, count_max, is_end=is_end)


async def _named_instructions(
    views: Views, owner: Owner, wish: InstructionWish
) -> list[Instruction]:
    if wish.payment_id:
        rows = await views.instructions_of(wish.payment_id)
    else:
        named = await views.named(qualified(owner.tenant, wish.reference), LISTED_MAX)
        rows = list((await views.instructions(named)).values())
    if wish.payment_id and wish.reference:
        rows = [r for r in rows if LABELS.decode(r.labels).merchant_reference == wish.reference]
    return sorted(rows, key=_instruction_place, reverse=True)


def _start(wish: Wish, after: Place | None) -> Place | None:
    if wish.until is None:
        return after
    return min(after, (wish.until, "")) if after else (wish.until, "")


def _slice(
    rows: Sequence[T],
    fits: Sequence[bool],
    place_of: Callable[[T], Place],
    count_max: int,
    *,
    is_end: bool,
) -> Slice[T]:
    found: list[T] = []
    for row, is_wanted in zip(rows, fits, strict=True):
        if is_wanted and len(found) == count_max:
            return Slice(found, place_of(found[-1]))
        if is_wanted:
            found.append(row)
    return Slice(found, None if is_end else place_of(rows[-1]))


def _fits_payment(wish: PaymentWish, row: Payment) -> bool:
    return (
        (not wish.state or row.state == wish.state)
        and (not wish.method or row.method == wish.method)
        and _fits(wish, row.channel, row.currency, row.amount, row.created_at)
        and (not wish.customer or LABELS.decode(row.labels).customer == wish.customer)
    )


def _fits_instruction(wish: InstructionWish, row: Instruction) -> bool:
    return (
        (not wish.kinds or row.kind in wish.kinds)
        and (not wish.status or status_of(row) == wish.status)
        and _fits(wish, row.channel, row.currency, row.minor, row.requested_at)
        and (not wish.customer or LABELS.decode(row.labels).customer == wish.customer)
    )


def _fits(wish: Wish, channel: str, currency: str, minor: int, at: int) -> bool:
    return (
        (not wish.channel or channel == wish.channel)
        and (not wish.currency or currency == wish.currency)
        and (wish.minor_min is None or minor >= wish.minor_min)
        and (wish.minor_max is None or minor <= wish.minor_max)
        and (wish.since is None or at >= wish.since)
        and (wish.until is None or at < wish.until)
    )


def _payment_place(payment: Payment) -> Place:
    return (payment.created_at, payment.payment_id)


def _instruction_place(instruction: Instruction) -> Place:
    return (instruction.requested_at, instruction.instruction_id)
