# ruff: noqa: S608 the statements are made of our own words.
"""Endpoints and deliveries, in both databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import astuple

from contraflow.domain.webhook import Delivery, Endpoint
from contraflow.store import FAR, Place
from contraflow.store.shelf import Row, Shelf

ENDPOINT = ", ".join(Endpoint.__struct_fields__)
DELIVERY = ", ".join(Delivery.__struct_fields__)
IN_JSON = ("types", "metadata", "secrets")

ENDPOINTS_OF = f"""
SELECT {ENDPOINT} FROM webhook_endpoint WHERE endpoint_id > $1 AND endpoint_id < $2
ORDER BY created_at, endpoint_id
"""
ENABLED = f"SELECT {ENDPOINT} FROM webhook_endpoint WHERE status = 'enabled'"
ADD_ENDPOINT = """
INSERT INTO webhook_endpoint VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
# Whoever read it in another version changes nothing.
CHANGE_ENDPOINT = """
UPDATE webhook_endpoint SET url = $2, description = $3, types = $4, metadata = $5, secrets = $6,
    status = $7, why = $8, failing_since = $9, changed_at = $10
WHERE endpoint_id = $1 AND changed_at = $11 RETURNING endpoint_id
"""
NOTE_FAILURE = """
UPDATE webhook_endpoint SET failing_since = $2 WHERE endpoint_id = $1 AND failing_since IS NULL
"""
NOTE_SUCCESS = "UPDATE webhook_endpoint SET failing_since = NULL WHERE endpoint_id = $1"
DISABLE = """
UPDATE webhook_endpoint SET status = 'disabled', why = $2, changed_at = $3
WHERE endpoint_id = $1 AND status = 'enabled'
"""
CANCEL_PENDING = """
UPDATE delivery SET status = 'canceled', due_at = NULL WHERE endpoint_id = $1 AND due_at IS NOT NULL
"""
INSERT_DELIVERY = """
INSERT INTO delivery VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (delivery_id) DO NOTHING
"""
AGAIN = """
INSERT INTO delivery VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (delivery_id) DO UPDATE
SET status = 'pending', due_at = excluded.due_at, attempts = 0
WHERE delivery.due_at IS NULL
"""
# One look for each endpoint that has something pending, however much that is.
WAITING = """
WITH RECURSIVE waiting (endpoint_id) AS (
    SELECT min(endpoint_id) FROM delivery WHERE due_at IS NOT NULL
    UNION ALL
    SELECT (SELECT min(delivery.endpoint_id) FROM delivery
        WHERE due_at IS NOT NULL AND delivery.endpoint_id > waiting.endpoint_id)
    FROM waiting WHERE waiting.endpoint_id IS NOT NULL)
SELECT endpoint_id FROM waiting WHERE endpoint_id IS NOT NULL
"""
CLAIM = f"""
UPDATE delivery SET due_at = $3, attempts = attempts + 1
WHERE due_at <= $2 AND delivery_id IN (
    SELECT delivery_id FROM delivery WHERE endpoint_id = $1 AND due_at <= $2
    ORDER BY due_at, position LIMIT $4)
RETURNING {DELIVERY}
"""
# Only whoever claimed it last may say what came of it.
SETTLE = """
UPDATE delivery SET status = $3, due_at = $4, answer = $5, failure = $6, attempted_at = $7
WHERE delivery_id = $1 AND attempts = $2 AND due_at IS NOT NULL
"""
DELIVERIES = f"""
SELECT {DELIVERY} FROM delivery
WHERE endpoint_id = $1 AND (created_at, delivery_id) < ($2, $3)
    AND ($4 = '' OR status = $4)
ORDER BY created_at DESC, delivery_id DESC LIMIT $5
"""
ONE = f"SELECT {DELIVERY} FROM delivery WHERE delivery_id = $1"
PURGE = """
DELETE FROM delivery WHERE delivery_id IN (
    SELECT delivery_id FROM delivery WHERE endpoint_id = $1 AND created_at < $2 AND due_at IS NULL
    ORDER BY created_at LIMIT $3)
"""


@dataclass(frozen=True, slots=True)
class StoredWebhooks:
    shelf: Shelf

    async def now(self) -> int:
        return await self.shelf.now()

    async def endpoints_of(self, tenant: str) -> list[Endpoint]:
        rows = await self.shelf.rows(ENDPOINTS_OF, f"{tenant}/", f"{tenant}0")
        return [_endpoint_of(row) for row in rows]

    async def enabled(self) -> Mapping[str, Endpoint]:
        endpoints = [_endpoint_of(row) for row in await self.shelf.rows(ENABLED)]
        return {endpoint.endpoint_id: endpoint for endpoint in endpoints}

    async def add(self, endpoint: Endpoint) -> None:
        await self.shelf.write((ADD_ENDPOINT, [_row_of(endpoint)]))

    async def change(self, endpoint: Endpoint, read_at: int) -> bool:
        """Whether it was as it was read: `read_at` is its `changed_at` then."""
        told = dict(zip(Endpoint.__struct_fields__, _row_of(endpoint), strict=True))
        names = ("url", "description", "types", "metadata", "secrets", "status", "why")
        values = [told[name] for name in (*names, "failing_since", "changed_at")]
        rows = await self.shelf.rows(CHANGE_ENDPOINT, endpoint.endpoint_id, *values, read_at)
        return bool(rows)

    async def disable(self, endpoint_id: str, why: str, now: int) -> None:
        """And cancel what is pending."""
        await self.shelf.write(
            (DISABLE, [(endpoint_id, why, now)]), (CANCEL_PENDING, [(endpoint_id,)])
        )

    async def insert(self, deliveries: Sequence[Delivery]) -> None:
        """Those that are there already stay as they are."""
        await self.shelf.write((INSERT_DELIVERY, [astuple(each) for each in deliveries]))

    async def again(self, deliveries: Sequence[Delivery]) -> None:
        """Those that are there already, and not pending, are pending again."""
        await self.shelf.write((AGAIN, [astuple(each) for each in deliveries]))

    async def waiting(self) -> list[str]:
        """Ids of endpoints for which something is pending."""
        return [row[0] for row in await self.shelf.rows(WAITING)]

    async def claim(self, endpoint_id: str, now: int, until: int, count_max: int) -> list[Delivery]:
        """Due ones, which nobody else is given until then."""
        rows = await self.shelf.rows(CLAIM, endpoint_id, now, until, count_max)
        return [_delivery_of(row) for row in rows]

    async def settle(self, delivery: Delivery) -> None:
        row = (
            *(delivery.delivery_id, delivery.attempts, delivery.status, delivery.due_at),
            *(delivery.answer, delivery.failure, delivery.attempted_at),
        )
        note = (
            (NOTE_FAILURE, [(delivery.endpoint_id, delivery.attempted_at)])
            if delivery.failure
            else (NOTE_SUCCESS, [(delivery.endpoint_id,)])
        )
        await self.shelf.write((SETTLE, [row]), note)

    async def deliveries(
        self, endpoint_id: str, before: Place | None, status: str, count_max: int
    ) -> list[Delivery]:
        """The newest first."""
        values = (endpoint_id, *(before or FAR), status, count_max)
        return [_delivery_of(row) for row in await self.shelf.rows(DELIVERIES, *values)]

    async def delivery(self, delivery_id: str) -> Delivery | None:
        rows = await self.shelf.rows(ONE, delivery_id)
        return _delivery_of(rows[0]) if rows else None

    async def purge(self, endpoint_id: str, before: int, count_max: int) -> None:
        await self.shelf.write((PURGE, [(endpoint_id, before, count_max)]))


def _endpoint_of(row: Row) -> Endpoint:
    told: dict[str, Any] = dict(zip(Endpoint.__struct_fields__, row, strict=True))
    told |= {name: msgspec.json.decode(told[name]) for name in IN_JSON}
    return msgspec.convert(told, Endpoint)


def _row_of(endpoint: Endpoint) -> Row:
    told: dict[str, Any] = msgspec.structs.asdict(endpoint)
    told |= {name: msgspec.json.encode(told[name]).decode() for name in IN_JSON}
    return tuple(told.values())


def _delivery_of(row: Row) -> Delivery:
    told = dict(zip(Delivery.__struct_fields__, row, strict=True))
    return msgspec.convert(told, Delivery)
