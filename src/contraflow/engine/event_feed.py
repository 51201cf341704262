"""The events of a caller, the oldest first, in the order of the feed.

One call looks at a bounded number of events of all, and says where to go on.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from contraflow.domain.ids import tenant_of
from contraflow.domain.owner import Owner
from contraflow.domain.payment import Payment
from contraflow.engine.limits import LOOKED_AT_MAX
from contraflow.engine.papers import EventBody
from contraflow.engine.webhook_event import BODY
from contraflow.store import Views


class FeedWish(Struct, frozen=True, kw_only=True):
    """Empty words stand for all; `about` is the id of an object, `payment_id` of a payment."""

    types: frozenset[str] = frozenset()
    about: str = ""
    payment_id: str = ""


class FedEvent(Struct, frozen=True):
    position: int
    body: EventBody
    labels: str  # Of the object that it is about, or of its payment.
    payment: Payment | None


class Feed(Struct, frozen=True):
    found: Sequence[FedEvent]
    after: int  # Where to go on.
    has_more: bool


async def events_for(
    views: Views, owner: Owner, wish: FeedWish, after: int, count_max: int
) -> Feed:
    rows = await views.events_after(after, LOOKED_AT_MAX)
    own = [
        (position, BODY.decode(record.body))
        for position, record in rows
        if tenant_of(record.object_id) == owner.tenant
    ]
    fitting = [(position, body) for position, body in own if _fits(wish, body)]
    shown = await labelled(views, fitting[: 2 * count_max])
    found = [each for each in shown if is_owned(owner, each)]
    if len(found) > count_max:
        return Feed(found[:count_max], found[count_max - 1].position, has_more=True)
    if len(fitting) > 2 * count_max:
        return Feed(found, fitting[2 * count_max - 1][0], has_more=True)
    return Feed(found, rows[-1][0] if rows else after, has_more=len(rows) == LOOKED_AT_MAX)


async def labelled(views: Views, events: Sequence[tuple[int, EventBody]]) -> list[FedEvent]:
    """With the labels of their objects, and the payments that they are about."""
    payments = await views.payments({body.payment for _, body in events if body.payment})
    about = {body.id for _, body in events} - payments.keys()
    instructions = await views.instructions(about)
    shown: list[FedEvent] = []
    for position, body in events:
        payment, instruction = payments.get(body.payment), instructions.get(body.id)
        labels = instruction.labels if instruction else payment.labels if payment else ""
        shown.append(FedEvent(position, body, labels, payment))
    return shown


def is_owned(owner: Owner, event: FedEvent) -> bool:
    """What is about no payment is for who may see all of the tenant."""
    body = event.body
    if event.payment is not None:
        return owner.owns(event.payment)
    return not body.payment and not owner.merchant and tenant_of(body.id) == owner.tenant


def _fits(wish: FeedWish, body: EventBody) -> bool:
    return (
        (not wish.types or body.type in wish.types)
        and (not wish.about or body.id == wish.about)
        and (not wish.payment_id or body.payment == wish.payment_id)
    )
