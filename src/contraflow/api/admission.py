"""A request is read, bounded and admitted, or refused before anything else looks at it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

from contraflow.api.body import read_body
from contraflow.api.caller import Caller, refuse_foreign_network, refuse_without, token_in
from contraflow.api.desk import Desk
from contraflow.api.operation import JSON, Call, Operation
from contraflow.api.prefer import Preference, preference_of
from contraflow.api.problem import Problem
from contraflow.api.queries import read_query
from contraflow.api.rate import Rates
from contraflow.api.request import Request
from contraflow.api.signed import nonce_of
from contraflow.domain.ids import NAME_MAX, POLICY_PREFIX
from contraflow.errors import DoorCode, StoreUnwritable

IDEMPOTENCY_KEY = re.compile(rf"[!-.0-~]{{1,{NAME_MAX}}}")  # Visible ASCII without `/`.
DEVICE_MAX = 200
AT_ONCE = Preference(0, "")


async def admit(desk: Desk, operation: Operation, request: Request) -> Call:
    """Raises Problem."""
    request.refuse_twins()
    caller = await _caller(desk, operation, request)
    query: Any = read_query(request.query, operation.query)
    body, key, nonce = b"", "", None
    if operation.body is not None:
        _refuse_media_type(request, (JSON,))
        body = await request.body()
    elif operation.takes:
        _refuse_media_type(request, operation.takes)
    if operation.is_money:
        key = key_in(request)
    read = None if operation.body is None else read_body(body, operation.body)
    if operation.is_money and caller is not None and caller.key.algorithm:
        nonce = nonce_of(desk, caller, request, None if operation.takes else body)
    return Call(
        request=request,
        path=request.path_parameters,
        query=query,
        body=read,
        key=key,
        preference=_preference(desk, operation, request),
        address=request.address,
        device=request.headers.get("user-agent", "")[:DEVICE_MAX],
        nonce=nonce,
        admitted=caller,
    )


async def _caller(desk: Desk, operation: Operation, request: Request) -> Caller | None:
    if operation.scope is None:
        return None
    now, address = time.monotonic(), request.address
    if desk.stranger_rates.is_empty(address, now):
        raise _too_many(desk.stranger_rates)
    try:
        caller = await desk.ring.caller_with(token_in(request.headers), desk.now_ms())
        refuse_foreign_network(caller, address)
    except Problem:
        desk.stranger_rates.take(address, now)
        raise
    except StoreUnwritable as error:
        raise unwritable() from error
    left = desk.key_rates.take(caller.key.key_id, now)
    request.rate = desk.key_rates.told(left)
    if left < 0:
        raise _too_many(desk.key_rates)
    refuse_without(operation.scope, caller)
    return caller


def unwritable() -> Problem:
    return Problem(503, DoorCode.STORE_UNWRITABLE, headers={"retry-after": "1"})


def _too_many(rates: Rates) -> Problem:
    headers = {"retry-after": str(rates.retry_after_s())}
    return Problem(429, DoorCode.RATE_LIMITED, headers=headers)


def _refuse_media_type(request: Request, allowed: Sequence[str]) -> None:
    told = request.headers.get("content-type", "")
    media_type, _, parameters = told.partition(";")
    is_utf8 = parameters.replace(" ", "").lower() in {"", "charset=utf-8", 'charset="utf-8"'}
    if media_type.strip().lower() not in allowed or not is_utf8:
        detail = f"the Content-Type must be {' or '.join(allowed)}"
        raise Problem(
            415,
            DoorCode.MEDIA_TYPE_UNSUPPORTED,
            detail,
            headers={"accept-post": ", ".join(allowed)},
        )
    if "content-encoding" in request.headers:
        raise Problem(415, DoorCode.MEDIA_TYPE_UNSUPPORTED, "no Content-Encoding is taken")


def key_in(request: Request) -> str:
    """As draft-ietf-httpapi-idempotency-key-header-07 has it, in quotes or as it is."""
    told = request.headers.get("idempotency-key")
    if told is None:
        raise Problem(400, DoorCode.KEY_MISSING, field="Idempotency-Key")
    key = told[1:-1] if len(told) > 1 and told[0] == told[-1] == '"' else told
    if not IDEMPOTENCY_KEY.fullmatch(key) or key.startswith(POLICY_PREFIX):
        detail = f"1 to {NAME_MAX} visible ASCII characters without '/', not '{POLICY_PREFIX}...'"
        raise Problem(400, DoorCode.HEADER_INVALID, detail, field="Idempotency-Key")
    return key


def _preference(desk: Desk, operation: Operation, request: Request) -> Preference:
    if not operation.may_wait:
        return AT_ONCE
    if "prefer" not in request.headers:
        return Preference(desk.default_wait_s, "")
    told = [value for name, value in request.fields if name == "prefer"]
    return preference_of(told, desk.default_wait_s)
