"""Where a list goes on: opaque to the client, signed, and good for the same filters only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TypeVar

import msgspec

from contraflow.api.problem import Problem
from contraflow.errors import DoorCode

T = TypeVar("T")
MAC_BYTES = 16
TEXT_MAX = 600


def cursor_for(key: bytes, filters: bytes, place: object) -> str:
    """`filters` is whatever must not change from page to page, the tenant included."""
    body = msgspec.json.encode(place)
    return base64.urlsafe_b64encode(_mac(key, filters, body) + body).decode().rstrip("=")


def place_in(key: bytes, filters: bytes, cursor: str, shape: type[T]) -> T:
    """Raises Problem."""
    problem = Problem(404, DoorCode.CURSOR_INVALID, "not given for these filters", field="cursor")
    if len(cursor) > TEXT_MAX:
        raise problem
    try:
        sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise problem from error
    mac, body = sealed[:MAC_BYTES], sealed[MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(key, filters, body)):
        raise problem
    return msgspec.json.decode(body, type=shape)


def _mac(key: bytes, filters: bytes, body: bytes) -> bytes:
    framed = len(filters).to_bytes(4, "big") + filters + body
    return hmac.digest(key, b"contraflow/cursor/v1" + framed, hashlib.sha256)[:MAC_BYTES]
