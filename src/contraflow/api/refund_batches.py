"""Files of refunds: a million lines in one request, worked off in the background."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from msgspec import Meta, Struct

from contraflow.api.desk import Desk
from contraflow.api.listing import page_of, place_of
from contraflow.api.operation import Answer, Call, Operation
from contraflow.api.problem import Problem
from contraflow.api.queries import PageQuery
from contraflow.api.shapes import Page
from contraflow.api.signed import refuse_other_body
from contraflow.api.webhook_endpoints import NothingBody
from contraflow.domain.ids import name_of, qualified
from contraflow.domain.refund_batch import BatchCaller, RefundBatch
from contraflow.engine import refund_batches as engine
from contraflow.engine.limits import FILE_BYTES_MAX
from contraflow.engine.refund_batches import BatchRoom
from contraflow.engine.views import time_text
from contraflow.errors import DoorCode, ErrorCode
from contraflow.requests.receiving import OtherFile, StillComing, Upload, receive, start
from contraflow.requests.refund_lines import FileInvalid
from contraflow.requests.scopes import Scope
from contraflow.store import Place

CSV, NDJSON = "text/csv", "application/x-ndjson"
Switch = Callable[[BatchRoom, RefundBatch], Awaitable[RefundBatch | None]]


class LineQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 1_000


class BatchShape(Struct, frozen=True, kw_only=True):
    """`done` lines are decided; what becomes of their refunds is told by these."""

    object: Literal["refund_batch"] = "refund_batch"
    id: str
    status: str
    format: str
    sha256: str | None  # Of the file.
    lines: int
    done: int
    accepted: int
    refused: int
    failure: str | None  # Why the file was not taken.
    created_at: str
    finished_at: str | None


class LineShape(Struct, frozen=True, kw_only=True):
    """`answer` is `ok`, `replayed` (its key was used before), or why it was refused."""

    object: Literal["refund_batch_line"] = "refund_batch_line"
    line: int
    answer: str
    refund: str | None


class BatchPage(Page, frozen=True, kw_only=True):
    items: list[BatchShape]
    next: str | None


class LinePage(Page, frozen=True, kw_only=True):
    items: list[LineShape]
    next: str | None


async def create(desk: Desk, call: Call) -> Answer:
    """Once the whole file is kept; a file that is malformed is refused whole."""
    request = call.request
    is_csv = request.headers.get("content-type", "").partition(";")[0].strip().lower() == CSV
    key = call.caller.key
    upload = Upload(
        tenant=call.tenant,
        key=call.key,
        is_csv=is_csv,
        caller=BatchCaller(
            api_key=key.key_id,
            merchant=key.merchant,
            mode=key.mode,
            address=call.address,
            device=call.device,
        ),
    )
    try:
        received = await receive(desk.batch_room, upload, request.chunks(FILE_BYTES_MAX))
        await _refuse_unsigned(desk, call, received.digests)
        batch = received.batch
        if not received.is_replayed:
            batch = await start(desk.batch_room, batch)
    except FileInvalid as error:
        raise Problem(400, DoorCode.BODY_INVALID, str(error)) from error
    except StillComing as error:
        raise Problem(409, DoorCode.KEY_IN_USE, headers={"retry-after": "1"}) from error
    except OtherFile as error:
        raise Problem(422, ErrorCode.KEY_REUSED) from error
    headers = {"location": f"/v1/refund-batches/{name_of(batch.batch_id)}"}
    if received.is_replayed:
        headers["idempotent-replayed"] = "true"
    return Answer(202, shape_of(batch), headers)


async def _refuse_unsigned(desk: Desk, call: Call, digests: dict[str, bytes]) -> None:
    """Raises Problem."""
    refuse_other_body(call.request, digests)
    if call.nonce is not None:
        batches = desk.batch_room.batches
        if not await batches.use_nonce(call.nonce, await batches.now()):
            raise Problem(401, ErrorCode.NONCE_REUSED)


async def get(desk: Desk, call: Call) -> Answer:
    return Answer(200, shape_of(await batch_of(desk, call)))


async def list_all(desk: Desk, call: Call) -> Answer:
    limit = call.query.limit
    before = place_of(desk, call, Place)
    found = await desk.batch_room.batches.list_batches(call.tenant, before, limit)
    last = None if len(found) < limit else (found[-1].created_at, found[-1].batch_id)
    own = [each for each in found if is_own(call, each)]
    return page_of(desk, call, BatchPage, [shape_of(each) for each in own], last)


async def lines(desk: Desk, call: Call) -> Answer:
    batch, limit = await batch_of(desk, call), call.query.limit
    after = place_of(desk, call, int) or 0
    found = await engine.results(desk.batch_room, batch, after, limit)
    items = [LineShape(line=n, answer=answer, refund=name or None) for n, answer, name in found]
    is_end = len(found) < limit and batch.next_line > batch.lines
    last = found[-1][0] if found else after
    return page_of(desk, call, LinePage, items, None if is_end else last)


def switching(switch: Switch) -> Callable[[Desk, Call], Awaitable[Answer]]:
    async def act(desk: Desk, call: Call) -> Answer:
        batch = await batch_of(desk, call)
        switched = await switch(desk.batch_room, batch)
        if switched is None:
            raise Problem(409, ErrorCode.STATE_FORBIDS, f"it is {batch.state}")
        return Answer(200, shape_of(switched))

    return act


def is_own(call: Call, batch: RefundBatch) -> bool:
    key = call.caller.key
    return batch.caller.mode == key.mode and key.merchant in ("", batch.caller.merchant)


async def batch_of(desk: Desk, call: Call) -> RefundBatch:
    """Raises Problem."""
    batch = await desk.batch_room.batches.find(qualified(call.tenant, call.path["id"]))
    if batch is None or not is_own(call, batch):
        raise Problem(404, DoorCode.NOT_FOUND)
    return batch


def shape_of(batch: RefundBatch) -> BatchShape:
    finished_at = batch.finished_at
    return BatchShape(
        id=name_of(batch.batch_id),
        status=batch.state,
        format=batch.format,
        sha256=batch.sha256 or None,
        lines=batch.lines,
        done=batch.next_line - 1,
        accepted=batch.accepted,
        refused=batch.refused,
        failure=batch.failure or None,
        created_at=time_text(batch.created_at),
        finished_at=None if finished_at is None else time_text(finished_at),
    )


ONE = "/v1/refund-batches/{id}"
OPERATIONS = (
    Operation(
        name="create_refund_batch",
        method="POST",
        path="/v1/refund-batches",
        act=create,
        about="Refund a whole file: CSV with a head, or one JSON object a line.",
        scope=Scope.REFUNDS_WRITE,
        takes=(CSV, NDJSON),
        answers={202: BatchShape},
        is_money=True,
    ),
    Operation(
        name="list_refund_batches",
        method="GET",
        path="/v1/refund-batches",
        act=list_all,
        about="Files of refunds, the newest first.",
        scope=Scope.REFUNDS_READ,
        query=PageQuery,
        answers={200: BatchPage},
    ),
    Operation(
        name="get_refund_batch",
        method="GET",
        path=ONE,
        act=get,
        about="One file, and how far it is.",
        scope=Scope.REFUNDS_READ,
        answers={200: BatchShape},
    ),
    Operation(
        name="list_refund_batch_lines",
        method="GET",
        path=f"{ONE}/lines",
        act=lines,
        about="What was answered to each line, in their order.",
        scope=Scope.REFUNDS_READ,
        query=LineQuery,
        answers={200: LinePage},
    ),
    Operation(
        name="pause_refund_batch",
        method="POST",
        path=f"{ONE}/pause",
        act=switching(engine.pause),
        about="Decide no further line for now.",
        scope=Scope.REFUNDS_WRITE,
        body=NothingBody,
        answers={200: BatchShape},
        refuses=(409,),
        example={},
    ),
    Operation(
        name="resume_refund_batch",
        method="POST",
        path=f"{ONE}/resume",
        act=switching(engine.resume),
        about="Go on where it was paused.",
        scope=Scope.REFUNDS_WRITE,
        body=NothingBody,
        answers={200: BatchShape},
        refuses=(409,),
        example={},
    ),
    Operation(
        name="cancel_refund_batch",
        method="POST",
        path=f"{ONE}/cancel",
        act=switching(engine.cancel),
        about="Decide no further line; what was decided stays as it is.",
        scope=Scope.REFUNDS_WRITE,
        body=NothingBody,
        answers={200: BatchShape},
        refuses=(409,),
        example={},
    ),
)
