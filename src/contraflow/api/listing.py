"""Pages of payments and reversals: filters in, and a cursor out that is good for them only."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from contraflow.api.cursor import cursor_for, place_in
from contraflow.api.desk import Desk
from contraflow.api.operation import Answer, Call
from contraflow.api.queries import (
    ListQuery,
    PageQuery,
    PaymentQuery,
    RefundQuery,
    ReversalQuery,
    ms_of,
    or_none,
)
from contraflow.api.shapes import PaymentPage, ReversalPage, payment_shape, reversal_shape
from contraflow.domain.ids import qualified
from contraflow.domain.instruction import Kind
from contraflow.engine.listing import (
    InstructionWish,
    PaymentWish,
    list_instructions,
    list_payments,
)

Place = tuple[int, str]


def place_of(desk: Desk, call: Call, shape: Any) -> Any:
    """Where the page begins. Raises Problem."""
    cursor: str = call.query.cursor
    if not cursor:
        return None
    return place_in(desk.cursor_key, filters_of(call), cursor, shape)


def page_of(desk: Desk, call: Call, shape: Any, items: list[Any], place: object) -> Answer:
    """`place`: where the next page begins; None at the end."""
    if place is None:
        return Answer(200, shape(items=items, next=None))
    cursor = cursor_for(desk.cursor_key, filters_of(call), place)
    query = _given(replace(call.query, cursor=cursor))
    link = f'<{call.request.path}?{urlencode(query)}>; rel="next"'
    return Answer(200, shape(items=items, next=cursor), {"link": link})


def filters_of(call: Call) -> bytes:
    """Whatever must not change from page to page; how many a page holds may."""
    query = _given(replace(call.query, cursor="", limit=1))
    owner = call.caller.owner
    return msgspec.json.encode((call.request.path, owner.tenant, owner.merchant, query))


def _given(query: PageQuery) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(query)
    return {
        field.name: told[field.name]
        for field in msgspec.structs.fields(query)
        if getattr(query, field.name) != field.default
    }


async def payments_page(desk: Desk, call: Call) -> Answer:
    query: PaymentQuery = call.query
    wish = PaymentWish(**_common(query), state=query.status or "", method=query.method)
    found = await list_payments(
        desk.views, call.caller.owner, wish, place_of(desk, call, Place), query.limit
    )
    items = [payment_shape(payment, desk.modes[payment.channel]) for payment in found.found]
    return page_of(desk, call, PaymentPage, items, found.after)


async def reversals_page(desk: Desk, call: Call, kinds: Collection[Kind]) -> Answer:
    query: RefundQuery | ReversalQuery = call.query
    if isinstance(query, ReversalQuery) and query.kind is not UNSET:
        kinds = frozenset({Kind(query.kind)})
    payment_id = qualified(call.tenant, query.payment) if query.payment else ""
    wish = InstructionWish(
        **_common(query), status=query.status or "", kinds=frozenset(kinds), payment_id=payment_id
    )
    found = await list_instructions(
        desk.views, call.caller.owner, wish, place_of(desk, call, Place), query.limit
    )
    items = [reversal_shape(instruction) for instruction in found.found]
    if query.expand == "payment":
        payments = await desk.views.payments([each.payment_id for each in found.found])
        shapes = {i: payment_shape(p, desk.modes[p.channel]) for i, p in payments.items()}
        items = [
            replace(item, payment=shapes[each.payment_id])
            for item, each in zip(items, found.found, strict=True)
        ]
    return page_of(desk, call, ReversalPage, items, found.after)


def _common(query: ListQuery) -> dict[str, Any]:
    return {
        "channel": query.channel,
        "currency": query.currency or "",
        "minor_min": or_none(query.amount_min),
        "minor_max": or_none(query.amount_max),
        "since": ms_of(query.created_since),
        "until": ms_of(query.created_until),
        "reference": query.merchant_reference,
        "customer": query.customer,
    }
