"""The door for programs: requests and notices come in over HTTP, and are answered once kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from contraflow.api.guard import HANDLED_MAX, Denied, body_of, refuse_strangers
from contraflow.api.wishes import command_of, read_wish
from contraflow.domain.decision import Refused, Told
from contraflow.domain.ids import name_of
from contraflow.domain.money import AmountInvalid
from contraflow.engine.intake import submit
from contraflow.engine.notices import receive_notice
from contraflow.engine.parts import Parts
from contraflow.engine.session import rest
from contraflow.engine.views import InstructionView, PaymentView, instruction_view, payment_view
from contraflow.errors import (
    ErrorCode,
    OperationalError,
    Overloaded,
    SettingInvalid,
    SignatureInvalid,
    StoreUnwritable,
)
from contraflow.requests.fields import FieldInvalid
from contraflow.requests.standing import ids_in, standing_of
from contraflow.store import Views
from contraflow.wire.exchange import Notice

BODY_BYTES_MAX = 64 * 1024
READY_WITHIN_S = 2
STUCK_S = 5  # A request that waits for its commit for so long: nobody commits.
SHUT_WITHIN_S = 2


class Complaint(msgspec.Struct, frozen=True):
    code: str
    detail: str


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt is the same for ever, byte for byte; what follows it is as of now.

    It is null where the database was lost after the commit.
    """

    key: str
    replayed: bool
    receipt: msgspec.Raw
    instructions: tuple[InstructionView, ...] | None
    payment: PaymentView | None


@dataclass(slots=True)
class Door:
    parts: Parts
    views: Views
    tenant: str
    channel_of: Callable[[Notice], str | None]  # Which channel a notice is for.
    is_ending: asyncio.Event = field(default_factory=asyncio.Event)
    asked_at: dict[object, float] = field(default_factory=dict)  # What waits for its commit.
    handled: int = 0  # At this moment.


@asynccontextmanager
async def open_door(door: Door, place: str) -> AsyncIterator[str]:
    """The address it listens at while it is open. Raises SettingInvalid if it cannot listen.

    When it is closed nobody is let in any more, and who waits for the end of a request is
    answered with what is known.
    """
    host, _, port = place.rpartition(":")
    runner = web.AppRunner(
        application(door, host),
        access_log=None,
        handler_cancellation=True,  # Who has gone away waits no longer.
        shutdown_timeout=SHUT_WITHIN_S,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, int(port)).start()
        except OSError as error:
            raise SettingInvalid(f"door: {error.strerror or error}") from error
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        door.is_ending.set()
        await runner.cleanup()


def application(door: Door, host: str) -> web.Application:
    async def be_alive(_: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def be_ready(_: web.Request) -> web.Response:
        obstacle = await obstacle_of(door)
        return web.Response(text=f"{obstacle or 'ready'}\n", status=503 if obstacle else 200)

    async def take_request(asked: web.Request) -> web.Response:
        refuse_strangers(asked, host)
        return await answer(door, await body_of(asked))

    async def take_notice(asked: web.Request) -> web.Response:
        headers = tuple((name.lower(), value) for name, value in asked.headers.items())
        return web.Response(status=await status_of(door, Notice(await body_of(asked), headers)))

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        """A broken promise of ours is no answer: it ends the process."""
        if door.handled >= HANDLED_MAX:
            return _complaint(503, "overloaded", "too many requests at once")
        door.handled += 1
        try:
            return await handler(request)
        except Denied as denied:
            return _complaint(denied.status, denied.code, str(denied))
        except AssertionError as error:
            door.parts.runtime.spawn(_fail(error))
            if request.transport is not None:
                request.transport.abort()
            raise
        finally:
            door.handled -= 1

    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[watch])
    app.router.add_get("/healthz", be_alive)
    app.router.add_get("/readyz", be_ready)
    app.router.add_post("/requests", take_request)
    app.router.add_post("/notices", take_notice)
    return app


async def obstacle_of(door: Door) -> str:
    """Why no request should come here now, or nothing."""
    if door.is_ending.is_set():
        return "the process is ending"
    now = asyncio.get_running_loop().time()
    if any(now - asked_at > STUCK_S for asked_at in door.asked_at.values()):
        return "nothing is committed"
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await door.views.holds()
    except (OperationalError, OSError) as error:  # A time-out is one, too.
        return f"the database does not answer: {type(error).__name__}"
    return ""


async def answer(door: Door, body: bytes) -> web.Response:
    """Of 400, 422 and 503 nothing was stored; a refusal that was stored is a 200."""
    try:
        wish = read_wish(body)
        command = command_of(wish, door.tenant)
    except FieldInvalid as error:
        return _complaint(400, ErrorCode.FIELD_INVALID, str(error))
    except AmountInvalid as error:
        return _complaint(400, error.code, str(error))
    if door.is_ending.is_set():
        return _complaint(503, "overloaded", "the process is ending")
    turn = object()
    door.asked_at[turn] = asyncio.get_running_loop().time()
    try:
        told = await submit(door.parts.intake, command)
    except Overloaded as error:
        return _complaint(503, "overloaded", str(error))
    except StoreUnwritable as error:
        return _complaint(503, "store_unwritable", str(error))
    finally:
        del door.asked_at[turn]
    if isinstance(told, Refused):
        return _complaint(422, told.code, told.detail)
    assert isinstance(told, Told), "whoever has a key gets a receipt"
    return _json(200, await reply_to(door, name_of(command.key), told, wish.wait))


async def reply_to(door: Door, key: str, told: Told, wait_s: float | None) -> Reply:
    instructions, payment = None, None
    try:
        if wait_s:
            await rest_or_end(door, ids_in(told), wait_s)
        standing = await standing_of(door.views, told)
    except OperationalError:
        door.parts.counts["views_lost"] += 1
    else:
        instructions = tuple(instruction_view(each) for each in standing.instructions)
        payment = None if standing.payment is None else payment_view(standing.payment)
    return Reply(
        key=key,
        replayed=told.is_replayed,
        receipt=msgspec.Raw(told.receipt.body),
        instructions=instructions,
        payment=payment,
    )


async def rest_or_end(door: Door, ids: list[str], wait_s: float) -> None:
    """Until the instructions are at rest, or the time is over, or the process is to end."""
    resting = asyncio.ensure_future(rest(door.parts, door.views, ids, int(wait_s * 1_000)))
    ending = asyncio.ensure_future(door.is_ending.wait())
    try:
        await asyncio.wait({resting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if resting.done():
            resting.result()
    finally:
        resting.cancel()
        ending.cancel()


async def status_of(door: Door, notice: Notice) -> int:
    """204 once it is kept: only then may the bank forget it."""
    channel = door.channel_of(notice)
    if channel is None:
        return 400
    try:
        answer = await receive_notice(door.parts, channel, notice)
    except SignatureInvalid:
        return 400
    except (StoreUnwritable, Overloaded):
        return 503
    return 503 if isinstance(answer, Refused) else 204


async def _fail(error: AssertionError) -> None:
    raise error


def _complaint(status: int, code: str, detail: str) -> web.Response:
    return _json(status, Complaint(code, detail))


def _json(status: int, value: msgspec.Struct) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(status=status, body=body, content_type="application/json")
