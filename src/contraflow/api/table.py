"""All operations of the API, in the order of its description."""

from __future__ import annotations

import functools
import json

from contraflow.api import (
    events,
    figures,
    health,
    notices,
    payments,
    refund_batches,
    refunds,
    reversals,
    webhook_endpoints,
)
from contraflow.api.desk import Desk
from contraflow.api.openapi import description_of
from contraflow.api.operation import Answer, Call, Operation


async def describe(_: Desk, __: Call) -> Answer:
    return Answer(200, document())


@functools.cache
def document() -> bytes:
    return json.dumps(description_of(OPERATIONS), indent=1).encode()


OPERATIONS: tuple[Operation, ...] = (
    *payments.OPERATIONS,
    *refunds.OPERATIONS,
    *reversals.OPERATIONS,
    *refund_batches.OPERATIONS,
    *events.OPERATIONS,
    *webhook_endpoints.OPERATIONS,
    *figures.OPERATIONS,
    *health.OPERATIONS,
    *notices.OPERATIONS,
    Operation(
        name="get_description",
        method="GET",
        path="/openapi.json",
        act=describe,
        about="This description.",
        answers={200: dict},
    ),
)
