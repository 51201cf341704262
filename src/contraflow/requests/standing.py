"""What has become of a request: its receipt, and the things that it is about as of now."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from contraflow.domain.decision import Answer, Told
from contraflow.domain.instruction import Instruction
from contraflow.domain.payment import Payment
from contraflow.engine.papers import ReceiptBody
from contraflow.engine.session import is_settled, lineage
from contraflow.store import Views


class Standing(Struct, frozen=True):
    instructions: tuple[Instruction, ...]
    moving: frozenset[str]  # Ids of those whose end is open.
    payment: Payment | None


def receipt_in(answer: Answer) -> ReceiptBody | None:
    if not isinstance(answer, Told):
        return None
    return msgspec.json.decode(answer.receipt.body, type=ReceiptBody)


def ids_in(answer: Answer) -> list[str]:
    receipt = receipt_in(answer)
    return [leg.id for leg in receipt.legs] if receipt else []


async def standing_of(views: Views, answer: Answer) -> Standing:
    receipt = receipt_in(answer)
    found: list[Instruction] = []
    moving: set[str] = set()
    async for instruction in lineage(views, ids_in(answer)):
        found.append(instruction)
        if not await is_settled(views, instruction):
            moving.add(instruction.instruction_id)
    payment_id = (receipt.payment if receipt else "") or (found[0].payment_id if found else "")
    payment = await views.payment(payment_id) if payment_id else None
    return Standing(tuple(found), frozenset(moving), payment)
