"""What has happened, in the order in which it was kept."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from contraflow.api.cursor import cursor_for
from contraflow.api.desk import Desk
from contraflow.api.listing import filters_of, place_of
from contraflow.api.operation import Answer, Call, Operation
from contraflow.api.queries import PageQuery
from contraflow.domain.ids import qualified
from contraflow.engine.event_feed import FeedWish, events_for
from contraflow.engine.webhook_event import OuterEvent, outer_event
from contraflow.requests.scopes import Scope
from contraflow.requests.words import OptionalName


class EventQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Annotated[str, Meta(max_length=64, description="As `refund.succeeded`.")] = ""
    about: OptionalName = ""  # The id of the object.
    payment: OptionalName = ""


class EventPage(Struct, frozen=True, kw_only=True):
    """The oldest first. `next` is never null: keep it, and ask again later with it."""

    object: Literal["list"] = "list"
    items: list[OuterEvent]
    next: str
    has_more: bool


async def list_events(desk: Desk, call: Call) -> Answer:
    query: EventQuery = call.query
    after: int | None = place_of(desk, call, int)
    wish = FeedWish(
        types=frozenset({query.type} if query.type else ()),
        about=qualified(call.tenant, query.about) if query.about else "",
        payment_id=qualified(call.tenant, query.payment) if query.payment else "",
    )
    feed = await events_for(desk.views, call.caller.owner, wish, after or 0, query.limit)
    items = [outer_event(each.body, each.labels, each.payment, desk.modes) for each in feed.found]
    cursor = cursor_for(desk.cursor_key, filters_of(call), feed.after)
    return Answer(200, EventPage(items=items, next=cursor, has_more=feed.has_more))


OPERATIONS = (
    Operation(
        name="list_events",
        method="GET",
        path="/v1/events",
        act=list_events,
        about="What has happened, the oldest first; the cursor is for the next look, too.",
        scope=Scope.EVENTS_READ,
        query=EventQuery,
        answers={200: EventPage},
    ),
)
