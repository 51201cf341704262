"""Whether the process is alive and of use, and what the codes of its answers mean."""

from __future__ import annotations

import asyncio
from typing import Literal

from msgspec import Struct

from contraflow.api.desk import Desk
from contraflow.api.meanings import meanings
from contraflow.api.operation import Answer, Call, Operation
from contraflow.api.problem import Problem, title_of
from contraflow.errors import DoorCode, OperationalError

READY_WITHIN_S = 2
STUCK_S = 5  # A request that waits for its commit for so long: nobody commits.


class Health(Struct, frozen=True):
    status: Literal["alive", "ready"]


class ErrorPage(Struct, frozen=True):
    object: Literal["error"]
    code: str
    title: str
    meaning: str


async def be_alive(_: Desk, __: Call) -> Answer:
    return Answer(200, Health("alive"))


async def be_ready(desk: Desk, _: Call) -> Answer:
    obstacle = await obstacle_of(desk)
    if obstacle:
        raise Problem(503, DoorCode.OVERLOADED, obstacle, headers={"retry-after": "1"})
    return Answer(200, Health("ready"))


async def obstacle_of(desk: Desk) -> str:
    """Why no request should come here now, or nothing."""
    if desk.is_ending.is_set():
        return "the process is ending"
    now = asyncio.get_running_loop().time()
    if any(now - asked_at > STUCK_S for asked_at in desk.deciding.values()):
        return "nothing is committed"
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await desk.views.holds()
    except (OperationalError, OSError) as error:  # A time-out is one, too.
        return f"the database does not answer: {type(error).__name__}"
    return ""


async def get_error(_: Desk, call: Call) -> Answer:
    code = call.path["code"]
    if code not in meanings():
        raise Problem(404, DoorCode.NOT_FOUND)
    return Answer(200, ErrorPage("error", code, title_of(code), meanings()[code]))


OPERATIONS = (
    Operation(
        name="get_health",
        method="GET",
        path="/healthz",
        act=be_alive,
        about="The process is alive.",
        answers={200: Health},
    ),
    Operation(
        name="get_readiness",
        method="GET",
        path="/readyz",
        act=be_ready,
        about="The process can take requests: it commits, and its database answers.",
        answers={200: Health},
    ),
    Operation(
        name="get_error",
        method="GET",
        path="/v1/errors/{code}",
        act=get_error,
        about="What an error code means; `type` of a problem leads here.",
        answers={200: ErrorPage},
    ),
)
