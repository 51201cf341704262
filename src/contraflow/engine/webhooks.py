"""Tell the outside what happens: every event becomes a delivery for each endpoint that wants it.

Every event of an enabled endpoint is delivered at least once, or is to be seen as failed. A crash
anywhere neither loses nor invents one: deliveries are kept before the feed moves on, under an id
that follows from the endpoint and the event. See decisions/0026.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from contraflow.domain.ids import tenant_of
from contraflow.domain.owner import Owner
from contraflow.domain.webhook import Delivery, DeliveryStatus, Endpoint, delivery_id_for
from contraflow.engine.bell import Bell
from contraflow.engine.event_feed import FedEvent, is_owned, labelled
from contraflow.engine.limits import DELIVER_MAX, ENDPOINTS_FRESH_MS
from contraflow.engine.webhook_event import BODY, outer_event
from contraflow.store import Place, Store, Views

SINK = "webhooks"  # Its place in the feed; no sink of the settings may be called so.
Post = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]


class Webhooks(Protocol):
    """Where endpoints and deliveries are kept; see store/webhooks.py."""

    async def now(self) -> int: ...
    async def endpoints_of(self, tenant: str) -> list[Endpoint]: ...
    async def enabled(self) -> Mapping[str, Endpoint]: ...
    async def add(self, endpoint: Endpoint) -> None: ...
    async def change(self, endpoint: Endpoint, read_at: int) -> bool: ...
    async def disable(self, endpoint_id: str, why: str, now: int) -> None: ...
    async def insert(self, deliveries: Sequence[Delivery]) -> None: ...
    async def again(self, deliveries: Sequence[Delivery]) -> None: ...
    async def waiting(self) -> list[str]: ...
    async def claim(
        self, endpoint_id: str, now: int, until: int, count_max: int
    ) -> list[Delivery]: ...
    async def settle(self, delivery: Delivery) -> None: ...
    async def deliveries(
        self, endpoint_id: str, before: Place | None, status: str, count_max: int
    ) -> list[Delivery]: ...
    async def delivery(self, delivery_id: str) -> Delivery | None: ...
    async def purge(self, endpoint_id: str, before: int, count_max: int) -> None: ...


@dataclass(slots=True, kw_only=True)
class Mailroom:
    """Of one process; any number of them may share a database."""

    webhooks: Webhooks
    views: Views
    modes: Mapping[str, str]  # `test` or `live`, by channel.
    seal: Callable[[str, bytes], bytes]  # For this place.
    unseal: Callable[[str, bytes], bytes]
    fresh_bytes: Callable[[int], bytes]
    judge: Callable[[str], str]  # Why nothing may be posted to this URL, or nothing.
    post: Post  # Raises EgressDenied or PeerSilent; else the HTTP status.
    bell: Bell
    known: Mapping[str, Endpoint] = field(default_factory=dict)  # Those that are enabled.
    known_at: int | None = None
    busy: dict[str, int] = field(default_factory=dict)  # Posts under way, by endpoint.
    purged_at: int = 0

    def owner_of(self, endpoint: Endpoint) -> Owner:
        channels = frozenset(name for name, mode in self.modes.items() if mode == endpoint.mode)
        tenant = tenant_of(endpoint.endpoint_id)
        return Owner(tenant=tenant, merchant=endpoint.merchant, channels=channels)


async def endpoints(room: Mailroom) -> Mapping[str, Endpoint]:
    """The enabled ones, as they were a moment ago at most."""
    now = await room.webhooks.now()
    if room.known_at is None or now - room.known_at >= ENDPOINTS_FRESH_MS:
        room.known, room.known_at = await room.webhooks.enabled(), now
    return room.known


async def fan_out_due(store: Store, room: Mailroom) -> bool:
    """One bounded step; whether there may be more."""
    if not await endpoints(room):
        await pass_over(store, room)
        return False
    found = await store.undelivered(SINK, DELIVER_MAX)
    if not found:
        return False
    by_tenant: defaultdict[str, list[Endpoint]] = defaultdict(list)
    for endpoint in (await endpoints(room)).values():
        by_tenant[tenant_of(endpoint.endpoint_id)].append(endpoint)
    events = [
        (position, BODY.decode(record.body))
        for position, record in found
        if tenant_of(record.object_id) in by_tenant
    ]
    if events:
        now = await room.webhooks.now()
        told = await labelled(room.views, events)
        deliveries = [
            delivery_of(room, endpoint, event, now)
            for event in told
            for endpoint in by_tenant[tenant_of(event.body.id)]
            if wants(room, endpoint, event)
        ]
        if deliveries:
            await room.webhooks.insert(deliveries)
            room.bell.ring()
    await store.advance(SINK, found[-1][0])
    return True


async def pass_over(store: Store, room: Mailroom) -> None:
    """What happened before there was an endpoint is told to none; so it is not even read."""
    if not await store.undelivered(SINK, 1):
        return
    last = await room.views.last_position()
    if not await room.webhooks.enabled():
        await store.advance(SINK, last)


def wants(room: Mailroom, endpoint: Endpoint, event: FedEvent) -> bool:
    is_wanted = not endpoint.types or event.body.type in endpoint.types
    return is_wanted and is_owned(room.owner_of(endpoint), event)


def delivery_of(room: Mailroom, endpoint: Endpoint, event: FedEvent, now: int) -> Delivery:
    outer = outer_event(event.body, event.labels, event.payment, room.modes)
    return fresh_delivery(
        endpoint, outer.id, outer.type, msgspec.json.encode(outer), now, event.position
    )


def fresh_delivery(
    endpoint: Endpoint, event_id: str, sort: str, body: bytes, now: int, position: int = 0
) -> Delivery:
    return Delivery(
        delivery_id=delivery_id_for(endpoint.endpoint_id, event_id),
        endpoint_id=endpoint.endpoint_id,
        event_id=event_id,
        type=sort,
        position=position,
        body=body,
        status=DeliveryStatus.PENDING,
        attempts=0,
        created_at=now,
        due_at=now,
        answer=0,
        failure="",
        attempted_at=None,
    )
