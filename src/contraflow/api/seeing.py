"""Look one thing up for a caller: what is not its own is not there."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from contraflow.api.desk import Desk
from contraflow.api.operation import Call
from contraflow.api.problem import Problem
from contraflow.api.shapes import PaymentShape, ReversalShape, payment_shape, reversal_shape
from contraflow.domain.ids import qualified
from contraflow.domain.instruction import REVERSALS, Instruction, Kind
from contraflow.domain.payment import Payment
from contraflow.errors import ErrorCode


async def payment_of(desk: Desk, call: Call, name: str) -> Payment:
    """Raises Problem."""
    payment = await desk.views.payment(qualified(call.tenant, name))
    if payment is None or not call.caller.owner.owns(payment):
        raise Problem(404, ErrorCode.PAYMENT_UNKNOWN)
    return payment


async def reversal_of(
    desk: Desk, call: Call, name: str, kinds: Collection[Kind]
) -> tuple[Instruction, Payment]:
    """Raises Problem."""
    instruction = await desk.views.instruction(qualified(call.tenant, name))
    if instruction is not None and instruction.kind in kinds:
        payment = await desk.views.payment(instruction.payment_id)
        if payment is not None and call.caller.owner.owns(payment):
            return instruction, payment
    raise Problem(404, ErrorCode.REVERSAL_UNKNOWN)


async def with_reversals(desk: Desk, shape: PaymentShape, payment: Payment) -> PaymentShape:
    own = await desk.views.instructions_of(payment.payment_id)
    return replace(shape, reversals=[reversal_shape(i) for i in own if i.kind in REVERSALS])


def with_payment(desk: Desk, shape: ReversalShape, payment: Payment) -> ReversalShape:
    return replace(shape, payment=payment_shape(payment, desk.modes[payment.channel]))
