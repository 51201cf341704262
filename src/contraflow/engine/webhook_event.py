"""An event as the outside sees it, in a webhook or in a list: nothing of how we keep it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from contraflow.domain.ids import name_of
from contraflow.domain.instruction import Labels
from contraflow.domain.lifecycle import State
from contraflow.domain.payment import Payment
from contraflow.engine.papers import EventBody
from contraflow.engine.views import outer_status, time_text

BODY = msgspec.json.Decoder(EventBody)
LABELS = msgspec.json.Decoder(Labels)
NO_LABELS = Labels()


class OuterEvent(Struct, frozen=True, kw_only=True):
    """`sequence` is dense for each `about`, so that a gap shows, whatever the order of arrival."""

    object: str = "event"
    id: str  # The same at every delivery.
    type: str
    created_at: str
    about: str  # The id of a payment, of a reversal, or of a case.
    sequence: int
    payment: str | None
    channel: str | None
    mode: str | None  # `test` or `live`.
    status: str | None  # Of a reversal, or the new state of a payment.
    amount: int | None  # Minor units.
    currency: str | None
    failure_reason: str | None
    merchant_reference: str
    metadata: dict[str, str]


def outer_event(
    body: EventBody, labels: str, payment: Payment | None, modes: Mapping[str, str]
) -> OuterEvent:
    """`labels` are those of the object that it is about, as canonical JSON; or empty."""
    told = LABELS.decode(labels) if labels else NO_LABELS
    name = name_of(body.id)
    channel = payment.channel if payment else body.channel
    return OuterEvent(
        id=event_id_for(body.id, body.sequence),
        type=body.type,
        created_at=time_text(body.at),
        about=name,
        sequence=body.sequence,
        payment=name_of(body.payment) or None,
        channel=channel or None,
        mode=modes.get(channel),
        status=_status(body),
        amount=body.minor,
        currency=body.currency or None,
        failure_reason=body.failure or None,
        merchant_reference=told.merchant_reference,
        metadata=told.metadata,
    )


def event_id_for(object_id: str, sequence: int) -> str:
    """The same for ever; without a dot, which Standard Webhooks would not let us sign."""
    digest = hashlib.sha256(f"contraflow/event/v1/{object_id}/{sequence}".encode()).digest()
    return f"evt_{base64.b32encode(digest[:15]).decode().lower()}"


def _status(body: EventBody) -> str | None:
    if body.kind and body.state:
        return outer_status(State(body.state), body.waiting)
    return body.state or None
