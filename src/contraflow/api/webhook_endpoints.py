"""Who is told what happens: endpoints, their secrets, and what has become of each delivery."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from contraflow.api.cursor import cursor_for, place_in
from contraflow.api.desk import Desk
from contraflow.api.listing import page_of, place_of
from contraflow.api.operation import Answer, Call, Operation
from contraflow.api.problem import Problem
from contraflow.api.queries import Moment, PageQuery, ms_of
from contraflow.api.shapes import Page
from contraflow.domain.ids import name_of
from contraflow.domain.webhook import Delivery, Endpoint
from contraflow.engine import webhook_endpoints as engine
from contraflow.engine.views import time_text
from contraflow.engine.webhook_endpoints import EndpointRefused, EndpointWish
from contraflow.errors import DoorCode, ErrorCode
from contraflow.requests.scopes import Scope
from contraflow.requests.words import Metadata, Text, form
from contraflow.store import Place

DAY_S = 24 * 3_600
EventType = Annotated[str, form("[a-z_.]+", 1, 64)]


class EndpointBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`types` are those of events, as `refund.succeeded`; none stands for all."""

    url: Annotated[str, Meta(min_length=1, max_length=2_000)]
    description: Text = ""
    types: Annotated[list[EventType], Meta(max_length=50)] = []
    metadata: Metadata = {}
    signature: Literal["v1", "v1a"] = "v1"


class RotationBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the old secret signs beside the new one."""

    overlap_s: Annotated[int, Meta(ge=0, le=7 * DAY_S)] = DAY_S


class ReplayBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All events from `since` to before `until`; `cursor` goes on where a step has ended."""

    since: Moment
    until: Moment | UnsetType = UNSET
    cursor: Annotated[str, Meta(max_length=600)] = ""


class NothingBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """There is nothing to say."""


class DeliveryQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    status: Literal["pending", "delivered", "failed", "canceled"] | UnsetType = UNSET


class EndpointShape(Struct, frozen=True, kw_only=True):
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    id: str
    url: str
    description: str
    merchant: str
    mode: str
    types: list[str]
    metadata: dict[str, str]
    status: str
    why: str | None  # It is disabled.
    failing_since: str | None
    created_at: str
    secret: str | None = None  # Told once, when it is made.
    public_key: str | None = None


class DeliveryShape(Struct, frozen=True, kw_only=True):
    object: Literal["webhook_delivery"] = "webhook_delivery"
    id: str  # Of the event, as the header `webhook-id` has it.
    type: str
    status: str
    attempts: int
    created_at: str
    due_at: str | None
    attempted_at: str | None
    answer: int | None  # The last HTTP status.
    failure: str | None


class EndpointPage(Page, frozen=True, kw_only=True):
    items: list[EndpointShape]
    next: str | None


class DeliveryPage(Page, frozen=True, kw_only=True):
    items: list[DeliveryShape]
    next: str | None


class ReplayShape(Struct, frozen=True, kw_only=True):
    object: Literal["webhook_replay"] = "webhook_replay"
    queued: int
    has_more: bool
    cursor: str


async def create(desk: Desk, call: Call) -> Answer:
    body: EndpointBody = call.body
    wish = EndpointWish(
        url=body.url,
        description=body.description,
        types=tuple(body.types),
        metadata=body.metadata,
        scheme=body.signature,
    )
    try:
        made = await engine.create(desk.mailroom, call.caller.owner, call.caller.key.mode, wish)
    except EndpointRefused as error:
        raise refused(error) from error
    return created(made)


async def list_all(desk: Desk, call: Call) -> Answer:
    own = await engine.own_endpoints(desk.mailroom, call.caller.owner, call.caller.key.mode)
    return Answer(200, EndpointPage(items=[shape_of(each) for each in own], next=None))


async def get(desk: Desk, call: Call) -> Answer:
    return Answer(200, shape_of(await endpoint_of(desk, call)))


async def rotate(desk: Desk, call: Call) -> Answer:
    endpoint = await endpoint_of(desk, call)
    try:
        made = await engine.rotate(desk.mailroom, endpoint, call.body.overlap_s * 1_000)
    except EndpointRefused as error:
        raise refused(error) from error
    return created(made)


async def disable(desk: Desk, call: Call) -> Answer:
    endpoint = await endpoint_of(desk, call)
    return Answer(200, shape_of(await engine.disable(desk.mailroom, endpoint)))


async def enable(desk: Desk, call: Call) -> Answer:
    endpoint = await endpoint_of(desk, call)
    try:
        return Answer(200, shape_of(await engine.enable(desk.mailroom, endpoint)))
    except EndpointRefused as error:
        raise refused(error) from error


async def send_test(desk: Desk, call: Call) -> Answer:
    endpoint = await enabled_of(desk, call)
    return Answer(202, delivery_shape(await engine.send_test(desk.mailroom, endpoint)))


async def deliveries(desk: Desk, call: Call) -> Answer:
    endpoint = await endpoint_of(desk, call)
    query: DeliveryQuery = call.query
    found = await desk.mailroom.webhooks.deliveries(
        endpoint.endpoint_id, place_of(desk, call, Place), query.status or "", query.limit
    )
    items = [delivery_shape(each) for each in found]
    is_end = len(found) < query.limit
    last = None if is_end else (found[-1].created_at, found[-1].delivery_id)
    return page_of(desk, call, DeliveryPage, items, last)


async def redeliver(desk: Desk, call: Call) -> Answer:
    endpoint = await enabled_of(desk, call)
    delivery = await engine.redeliver(desk.mailroom, endpoint, call.path["delivery"])
    if delivery is None:
        raise Problem(404, DoorCode.NOT_FOUND)
    return Answer(202, delivery_shape(delivery))


async def replay(desk: Desk, call: Call) -> Answer:
    """One bounded step; who wants the rest asks again with the cursor."""
    endpoint = await enabled_of(desk, call)
    body: ReplayBody = call.body
    bound = f"{endpoint.endpoint_id} {body.since} {body.until}".encode()
    since, until = ms_of(body.since) or 0, ms_of(body.until)
    if body.cursor:
        after = place_in(desk.cursor_key, bound, body.cursor, int)
    else:
        after = await engine.position_before(desk.mailroom, since)
    until = desk.parts.store.now() + 1 if until is None else until
    done = await engine.replay(desk.mailroom, endpoint, after, until)
    cursor = cursor_for(desk.cursor_key, bound, done.after)
    return Answer(202, ReplayShape(queued=done.queued, has_more=done.has_more, cursor=cursor))


async def endpoint_of(desk: Desk, call: Call) -> Endpoint:
    """Raises Problem."""
    owner, mode = call.caller.owner, call.caller.key.mode
    endpoint = await engine.find(desk.mailroom, owner, mode, call.path["id"])
    if endpoint is None:
        raise Problem(404, DoorCode.NOT_FOUND)
    return endpoint


async def enabled_of(desk: Desk, call: Call) -> Endpoint:
    """Raises Problem."""
    endpoint = await endpoint_of(desk, call)
    if endpoint.status != "enabled":
        raise Problem(409, ErrorCode.STATE_FORBIDS, "it is disabled")
    return endpoint


def refused(error: EndpointRefused) -> Problem:
    status = 409 if error.field == "id" else 422
    return Problem(status, ErrorCode.FIELD_INVALID, str(error), field=error.field)


def created(made: engine.Made) -> Answer:
    shape = shape_of(made.endpoint, secret=made.secret, public_key=made.public_key)
    return Answer(201, shape, {"location": f"/v1/webhook-endpoints/{shape.id}"})


def shape_of(endpoint: Endpoint, **told: Any) -> EndpointShape:
    since = endpoint.failing_since
    return EndpointShape(
        id=name_of(endpoint.endpoint_id),
        url=endpoint.url,
        description=endpoint.description,
        merchant=endpoint.merchant,
        mode=endpoint.mode,
        types=list(endpoint.types),
        metadata=endpoint.metadata,
        status=endpoint.status,
        why=endpoint.why or None,
        failing_since=None if since is None else time_text(since),
        created_at=time_text(endpoint.created_at),
        **told,
    )


def delivery_shape(delivery: Delivery) -> DeliveryShape:
    due_at, attempted_at = delivery.due_at, delivery.attempted_at
    return DeliveryShape(
        id=delivery.event_id,
        type=delivery.type,
        status=delivery.status,
        attempts=delivery.attempts,
        created_at=time_text(delivery.created_at),
        due_at=None if due_at is None else time_text(due_at),
        attempted_at=None if attempted_at is None else time_text(attempted_at),
        answer=delivery.answer or None,
        failure=delivery.failure or None,
    )


ONE = "/v1/webhook-endpoints/{id}"
OPERATIONS = (
    Operation(
        name="create_webhook_endpoint",
        method="POST",
        path="/v1/webhook-endpoints",
        act=create,
        about="Be told what happens, as Standard Webhooks has it; the secret is told this once.",
        scope=Scope.WEBHOOKS_WRITE,
        body=EndpointBody,
        answers={201: EndpointShape},
        refuses=(422,),
        example={"url": "https://shop.example/contraflow", "types": ["refund.succeeded"]},
    ),
    Operation(
        name="list_webhook_endpoints",
        method="GET",
        path="/v1/webhook-endpoints",
        act=list_all,
        about="All endpoints, the oldest first.",
        scope=Scope.WEBHOOKS_READ,
        answers={200: EndpointPage},
    ),
    Operation(
        name="get_webhook_endpoint",
        method="GET",
        path=ONE,
        act=get,
        about="One endpoint.",
        scope=Scope.WEBHOOKS_READ,
        answers={200: EndpointShape},
    ),
    Operation(
        name="rotate_webhook_secret",
        method="POST",
        path=f"{ONE}/rotate",
        act=rotate,
        about="Another secret; until the overlap is over both sign.",
        scope=Scope.WEBHOOKS_WRITE,
        body=RotationBody,
        answers={201: EndpointShape},
        refuses=(409,),
        example={"overlap_s": 86_400},
    ),
    Operation(
        name="disable_webhook_endpoint",
        method="POST",
        path=f"{ONE}/disable",
        act=disable,
        about="Tell it nothing more; what is pending is canceled.",
        scope=Scope.WEBHOOKS_WRITE,
        body=NothingBody,
        answers={200: EndpointShape},
        example={},
    ),
    Operation(
        name="enable_webhook_endpoint",
        method="POST",
        path=f"{ONE}/enable",
        act=enable,
        about="Tell it from now on; what happened meanwhile can be replayed.",
        scope=Scope.WEBHOOKS_WRITE,
        body=NothingBody,
        answers={200: EndpointShape},
        refuses=(409,),
        example={},
    ),
    Operation(
        name="test_webhook_endpoint",
        method="POST",
        path=f"{ONE}/test",
        act=send_test,
        about="Send it an event of type `webhook.test`.",
        scope=Scope.WEBHOOKS_WRITE,
        body=NothingBody,
        answers={202: DeliveryShape},
        refuses=(409,),
        example={},
    ),
    Operation(
        name="list_webhook_deliveries",
        method="GET",
        path=f"{ONE}/deliveries",
        act=deliveries,
        about="What was told, or is to be, the newest first.",
        scope=Scope.WEBHOOKS_READ,
        query=DeliveryQuery,
        answers={200: DeliveryPage},
    ),
    Operation(
        name="redeliver_webhook",
        method="POST",
        path=f"{ONE}/deliveries/{{delivery}}/redeliver",
        act=redeliver,
        about="Tell one event again, now.",
        scope=Scope.WEBHOOKS_WRITE,
        body=NothingBody,
        answers={202: DeliveryShape},
        refuses=(409,),
        example={},
    ),
    Operation(
        name="replay_webhooks",
        method="POST",
        path=f"{ONE}/replay",
        act=replay,
        about="Tell again all that happened in a stretch of time, step by step.",
        scope=Scope.WEBHOOKS_WRITE,
        body=ReplayBody,
        answers={202: ReplayShape},
        refuses=(409,),
        example={"since": "2026-11-24T00:00:00Z", "until": "2026-11-25T00:00:00Z"},
    ),
)
