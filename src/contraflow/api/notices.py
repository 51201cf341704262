"""What banks and platforms tell us by themselves; it is verified by their signature."""

from __future__ import annotations

from contraflow.api.admission import unwritable
from contraflow.api.desk import Desk
from contraflow.api.operation import Answer, Call, Operation
from contraflow.api.problem import Problem
from contraflow.domain.decision import Refused
from contraflow.engine.notices import receive_notice
from contraflow.errors import DoorCode, Overloaded, SignatureInvalid, StoreUnwritable
from contraflow.wire.exchange import Notice


async def take_notice(desk: Desk, call: Call) -> Answer:
    """204 once it is kept: only then may the bank forget it."""
    request = call.request
    notice = Notice(await request.body(), tuple(request.fields))
    channel = desk.channel_of(notice)
    if channel is None:
        raise Problem(400, DoorCode.SIGNATURE_INVALID, "it is from no channel of ours")
    try:
        answer = await receive_notice(desk.parts, channel, notice)
    except SignatureInvalid as error:
        raise Problem(400, DoorCode.SIGNATURE_INVALID) from error
    except (StoreUnwritable, Overloaded) as error:
        raise unwritable() from error
    if isinstance(answer, Refused):
        raise unwritable()
    return Answer(204, b"")


OPERATIONS = (
    Operation(
        name="take_notice",
        method="POST",
        path="/notices",
        act=take_notice,
        about="A notice of a channel, in its own form and with its own signature.",
        answers={204: None},
    ),
)
