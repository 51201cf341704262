"""Who is told what happens, and what has become of telling it."""

from __future__ import annotations

from msgspec import Struct

from contraflow.domain.word import Word


class EndpointStatus(Word):
    ENABLED = "enabled"
    DISABLED = "disabled"


class DeliveryStatus(Word):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # Tried to the end of the schedule.
    CANCELED = "canceled"  # Its endpoint was disabled.


class SealedSecret(Struct, frozen=True):
    sealed: str  # In base64.
    until: int | None  # Its end, once another one follows it.


class Endpoint(Struct, frozen=True, kw_only=True):
    """The fields are the columns of its row. Times are milliseconds UTC."""

    endpoint_id: str  # With its tenant.
    url: str
    description: str
    merchant: str  # Only events of this one's payments; empty for all of the tenant.
    mode: str  # `test` or `live`.
    types: tuple[str, ...]  # Of events; empty for all.
    metadata: dict[str, str]
    secrets: tuple[SealedSecret, ...]  # The newest first.
    status: EndpointStatus
    why: str  # It is disabled.
    failing_since: int | None  # Nothing has been delivered since.
    created_at: int
    changed_at: int


class Delivery(Struct, frozen=True, kw_only=True):
    """One event for one endpoint; at every attempt the same id and the same bytes."""

    delivery_id: str  # Of the endpoint and the event.
    endpoint_id: str
    event_id: str
    type: str
    position: int  # Of the event in the feed; 0 of a test.
    body: bytes
    status: DeliveryStatus
    attempts: int
    created_at: int
    due_at: int | None  # When to try (again); a claim ends then, too.
    answer: int  # The last HTTP status, or 0.
    failure: str
    attempted_at: int | None


def delivery_id_for(endpoint_id: str, event_id: str) -> str:
    return f"{endpoint_id}/{event_id}"
