"""Carry the deliveries to their endpoints: one queue for each, so that a dead one delays nobody."""

from __future__ import annotations

import base64
import hashlib

from msgspec.structs import replace

from contraflow.domain.webhook import Delivery, DeliveryStatus, Endpoint
from contraflow.engine.limits import (
    BREATH_MS,
    DAY_MS,
    ENDPOINT_POSTS_MAX,
    POST_WITHIN_MS,
    POSTS_MAX,
    PURGED_MAX,
    WEBHOOK_DEAD_MS,
    WEBHOOK_KEPT_MS,
    WEBHOOK_POLL_MS,
)
from contraflow.engine.parts import Parts
from contraflow.engine.webhooks import Mailroom, endpoints, fan_out_due
from contraflow.errors import EgressDenied, PeerSilent, SettingInvalid, StoreUnwritable
from contraflow.wire.webhook_signature import WebhookSecret, headers_for, parse_secret

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
# After each attempt; with the jitter it ends after three days and a half.
SCHEDULE_MS = (
    *(5_000, 30_000, 2 * MINUTE_MS, 10 * MINUTE_MS, 30 * MINUTE_MS),
    *(HOUR_MS, 2 * HOUR_MS, 4 * HOUR_MS, 8 * HOUR_MS, 16 * HOUR_MS, 24 * HOUR_MS, 24 * HOUR_MS),
)
JITTER = 0.2
GONE = 410
LEASE_MS = 2 * POST_WITHIN_MS


async def webhook_loop(parts: Parts, room: Mailroom) -> None:
    while True:
        try:
            has_more = await fan_out_due(parts.store, room)
            await deliver_due(parts, room)
            await purge_due(room)
        except StoreUnwritable:
            parts.counts["store_unwritable"] += 1
            has_more = False
            await parts.runtime.sleep(BREATH_MS)
        if not has_more:
            await room.bell.wait(WEBHOOK_POLL_MS)


async def deliver_due(parts: Parts, room: Mailroom) -> None:
    """Give each endpoint's free slots what is due for it."""
    if not await endpoints(room):
        return
    for endpoint_id in await room.webhooks.waiting():
        endpoint = (await endpoints(room)).get(endpoint_id)
        free = min(
            ENDPOINT_POSTS_MAX - room.busy.get(endpoint_id, 0),
            POSTS_MAX - sum(room.busy.values()),
        )
        if endpoint is None or free <= 0:
            continue
        now = await room.webhooks.now()
        for delivery in await room.webhooks.claim(endpoint_id, now, now + LEASE_MS, free):
            room.busy[endpoint_id] = room.busy.get(endpoint_id, 0) + 1
            parts.runtime.spawn(deliver(parts, room, endpoint, delivery))


async def deliver(parts: Parts, room: Mailroom, endpoint: Endpoint, delivery: Delivery) -> None:
    try:
        await deliver_once(room, endpoint, delivery)
    except StoreUnwritable:
        parts.counts["store_unwritable"] += 1  # Its claim ends, and it is delivered once more.
    finally:
        room.busy[endpoint.endpoint_id] -= 1
        if not room.busy[endpoint.endpoint_id]:
            del room.busy[endpoint.endpoint_id]
        room.bell.ring()


async def deliver_once(room: Mailroom, endpoint: Endpoint, delivery: Delivery) -> None:
    now = await room.webhooks.now()
    status, failure = 0, ""
    try:
        headers = headers_for(
            secrets_of(room, endpoint, now),
            message_id=delivery.event_id,
            sent_at_s=now // 1_000,
            body=delivery.body,
        )
        headers["content-type"] = "application/json"
        status = await room.post(endpoint.url, headers, delivery.body)
    except (EgressDenied, PeerSilent, SettingInvalid) as error:
        failure = f"{type(error).__name__}: {error}"[:200]
    if not failure and not 200 <= status < 300:
        failure = f"answered {status}"
    settled = settled_as(delivery, status, failure, await room.webhooks.now())
    await room.webhooks.settle(settled)
    if status == GONE:
        await room.webhooks.disable(endpoint.endpoint_id, "it answered 410 Gone", now)
    elif failure and is_dead(endpoint, now):
        await room.webhooks.disable(endpoint.endpoint_id, "nothing was delivered for days", now)


def settled_as(delivery: Delivery, status: int, failure: str, now: int) -> Delivery:
    """Delivered, to be tried again, or given up."""
    told = replace(delivery, answer=status, failure=failure, attempted_at=now, due_at=None)
    if not failure:
        return replace(told, status=DeliveryStatus.DELIVERED)
    if delivery.attempts > len(SCHEDULE_MS):
        return replace(told, status=DeliveryStatus.FAILED)
    return replace(told, due_at=now + wait_ms(delivery))


def wait_ms(delivery: Delivery) -> int:
    """Until the next attempt. Its jitter follows from the delivery, so that a storm spreads out."""
    usual = SCHEDULE_MS[delivery.attempts - 1]
    seed = f"{delivery.delivery_id}/{delivery.attempts}".encode()
    share = int.from_bytes(hashlib.sha256(seed).digest()[:4], "big") / 2**32
    return int(usual * (1 - JITTER + 2 * JITTER * share))


def is_dead(endpoint: Endpoint, now: int) -> bool:
    return endpoint.failing_since is not None and now - endpoint.failing_since > WEBHOOK_DEAD_MS


def secrets_of(room: Mailroom, endpoint: Endpoint, now: int) -> list[WebhookSecret]:
    """Those that are valid, the newest first."""
    return [
        parse_secret(room.unseal(endpoint.endpoint_id, base64.b64decode(each.sealed)).decode())
        for each in endpoint.secrets
        if each.until is None or each.until > now
    ]


async def purge_due(room: Mailroom) -> None:
    """Old ones go, a bounded number of each endpoint every hour."""
    now = await room.webhooks.now()
    if now - room.purged_at < DAY_MS // 24:
        return
    room.purged_at = now
    for endpoint_id in await endpoints(room):
        await room.webhooks.purge(endpoint_id, now - WEBHOOK_KEPT_MS, PURGED_MAX)
