"""Make, change and look at webhook endpoints, and tell again what was told."""

from __future__ import annotations

import base64

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from contraflow.domain.ids import qualified
from contraflow.domain.owner import Owner
from contraflow.domain.webhook import (
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
    SealedSecret,
    delivery_id_for,
)
from contraflow.engine.event_feed import labelled
from contraflow.engine.limits import ENDPOINTS_MAX, REPLAYED_MAX
from contraflow.engine.webhook_event import BODY
from contraflow.engine.webhooks import Mailroom, delivery_of, fresh_delivery, wants
from contraflow.errors import ContraflowError
from contraflow.wire.webhook_signature import (
    SECRETS_MAX,
    WebhookSecret,
    public_key_of,
    secret_from,
    signing_key_from,
    text_of,
)

SEED_BYTES = 32
NAME_BYTES = 10


class EndpointRefused(ContraflowError):
    """It cannot be so; `field` says what of it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class Made(Struct, frozen=True):
    """`secret` is told this once; with v1a a receiver needs the public key only."""

    endpoint: Endpoint
    secret: str | None
    public_key: str | None


class EndpointWish(Struct, frozen=True, kw_only=True):
    url: str
    description: str
    types: tuple[str, ...]
    metadata: dict[str, str]
    scheme: str  # `v1` or `v1a`.


async def create(room: Mailroom, owner: Owner, mode: str, wish: EndpointWish) -> Made:
    """Raises EndpointRefused."""
    if reason := room.judge(wish.url):
        raise EndpointRefused("url", reason)
    if len(await room.webhooks.endpoints_of(owner.tenant)) >= ENDPOINTS_MAX:
        raise EndpointRefused("url", f"there are {ENDPOINTS_MAX} endpoints already")
    now = await room.webhooks.now()
    name = base64.b32encode(room.fresh_bytes(NAME_BYTES)).decode().lower()
    endpoint_id = qualified(owner.tenant, f"we_{name}")
    secret = fresh_secret(room, wish.scheme)
    endpoint = Endpoint(
        endpoint_id=endpoint_id,
        url=wish.url,
        description=wish.description,
        merchant=owner.merchant,
        mode=mode,
        types=wish.types,
        metadata=wish.metadata,
        secrets=(sealed(room, endpoint_id, secret),),
        status=EndpointStatus.ENABLED,
        why="",
        failing_since=None,
        created_at=now,
        changed_at=now,
    )
    await room.webhooks.add(endpoint)
    forget_known(room)
    return made(endpoint, secret)


async def find(room: Mailroom, owner: Owner, mode: str, name: str) -> Endpoint | None:
    """Of this tenant, merchant and mode; None where there is none."""
    wanted = qualified(owner.tenant, name)
    own = await own_endpoints(room, owner, mode)
    return next((each for each in own if each.endpoint_id == wanted), None)


async def own_endpoints(room: Mailroom, owner: Owner, mode: str) -> list[Endpoint]:
    return [
        endpoint
        for endpoint in await room.webhooks.endpoints_of(owner.tenant)
        if endpoint.mode == mode and owner.merchant in ("", endpoint.merchant)
    ]


async def rotate(room: Mailroom, endpoint: Endpoint, overlap_ms: int) -> Made:
    """Another secret, of the same kind; until the overlap is over both sign."""
    now = await room.webhooks.now()
    newest = endpoint.secrets[0]
    is_pair = unsealed(room, endpoint, newest).startswith("whsk_")
    secret = fresh_secret(room, "v1a" if is_pair else "v1")
    until = now + overlap_ms
    older = [
        replace(each, until=min(each.until or until, until))
        for each in endpoint.secrets
        if each.until is None or each.until > now
    ]
    fresh = sealed(room, endpoint.endpoint_id, secret)
    newest_first = (fresh, *older)[:SECRETS_MAX]
    changed = await change(room, endpoint, secrets=newest_first)
    return made(changed, secret)


async def change(room: Mailroom, endpoint: Endpoint, **changes: object) -> Endpoint:
    """Raises EndpointRefused where somebody else has changed it meanwhile."""
    now = max(await room.webhooks.now(), endpoint.changed_at + 1)
    changed = replace(endpoint, changed_at=now, **changes)
    if not await room.webhooks.change(changed, endpoint.changed_at):
        raise EndpointRefused("id", "somebody else has changed it just now; ask again")
    forget_known(room)
    return changed


async def enable(room: Mailroom, endpoint: Endpoint) -> Endpoint:
    """What happened meanwhile is told where it is asked for again."""
    return await change(room, endpoint, status=EndpointStatus.ENABLED, why="", failing_since=None)


async def disable(room: Mailroom, endpoint: Endpoint) -> Endpoint:
    """What is pending is canceled."""
    now = await room.webhooks.now()
    await room.webhooks.disable(endpoint.endpoint_id, "by request", now)
    forget_known(room)
    return replace(endpoint, status=EndpointStatus.DISABLED, why="by request", changed_at=now)


async def send_test(room: Mailroom, endpoint: Endpoint) -> Delivery:
    """Of type `webhook.test`, to this endpoint only."""
    now = await room.webhooks.now()
    name = f"test_{base64.b32encode(room.fresh_bytes(NAME_BYTES)).decode().lower()}"
    told = {"object": "event", "id": name, "type": "webhook.test", "mode": endpoint.mode}
    body = msgspec.json.encode(told)
    delivery = fresh_delivery(endpoint, name, "webhook.test", body, now)
    await room.webhooks.insert([delivery])
    room.bell.ring()
    return delivery


async def redeliver(room: Mailroom, endpoint: Endpoint, event_id: str) -> Delivery | None:
    """Now, and from the beginning of the schedule; None where there is no such delivery."""
    delivery_id = delivery_id_for(endpoint.endpoint_id, event_id)
    delivery = await room.webhooks.delivery(delivery_id)
    if delivery is None:
        return None
    now = await room.webhooks.now()
    again = replace(delivery, status=DeliveryStatus.PENDING, due_at=now)
    await room.webhooks.again([again])
    room.bell.ring()
    return await room.webhooks.delivery(delivery_id)


class Replay(Struct, frozen=True):
    queued: int
    after: int  # The position to go on from.
    has_more: bool


async def replay(room: Mailroom, endpoint: Endpoint, after: int, until: int) -> Replay:
    """Tell again what happened behind this position and before `until`, one bounded step of it."""
    rows = await room.views.events_after(after, REPLAYED_MAX)
    events = [(position, BODY.decode(record.body)) for position, record in rows]
    wanted = [(p, body) for p, body in events if body.at < until]
    tenant = endpoint.endpoint_id.partition("/")[0]
    own = [(p, body) for p, body in wanted if body.id.partition("/")[0] == tenant]
    now = await room.webhooks.now()
    deliveries = [
        delivery_of(room, endpoint, event, now)
        for event in await labelled(room.views, own)
        if wants(room, endpoint, event)
    ]
    if deliveries:
        await room.webhooks.again(deliveries)
        room.bell.ring()
    has_more = len(rows) == REPLAYED_MAX and len(wanted) == len(rows)
    return Replay(len(deliveries), rows[-1][0] if rows else after, has_more)


async def position_before(room: Mailroom, at: int) -> int:
    """The last one before this time; times never go back along the feed by more than clocks do."""
    least, most = 0, await room.views.last_position()
    while least < most:
        middle = (least + most) // 2
        rows = await room.views.events_after(middle, 1)
        if rows and BODY.decode(rows[0][1].body).at < at:
            least = rows[0][0]
        else:
            most = middle
    return least


def fresh_secret(room: Mailroom, scheme: str) -> WebhookSecret:
    maker = signing_key_from if scheme == "v1a" else secret_from
    return maker(room.fresh_bytes(SEED_BYTES))


def sealed(room: Mailroom, endpoint_id: str, secret: WebhookSecret) -> SealedSecret:
    text = room.seal(endpoint_id, text_of(secret).encode())
    return SealedSecret(base64.b64encode(text).decode(), None)


def unsealed(room: Mailroom, endpoint: Endpoint, secret: SealedSecret) -> str:
    return room.unseal(endpoint.endpoint_id, base64.b64decode(secret.sealed)).decode()


def made(endpoint: Endpoint, secret: WebhookSecret) -> Made:
    text = text_of(secret)
    if text.startswith("whsk_"):
        return Made(endpoint, None, public_key_of(secret))
    return Made(endpoint, text, None)


def forget_known(room: Mailroom) -> None:
    room.known_at = None
    room.bell.ring()
