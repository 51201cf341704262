"""One byte string for one value, so that hashes and signatures agree."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

ENCODER = msgspec.json.Encoder(order="sorted")
DOMAIN = b"contraflow/fingerprint/v1\n"


def encode(value: Any) -> bytes:
    """Sorted keys, UTF-8, no spaces; no float may be in it."""
    return ENCODER.encode(value)


def fingerprint(request: Any) -> bytes:
    """What a request asks for, in 32 bytes: equal for equal requests, and stored with the key."""
    return hashlib.sha256(DOMAIN + encode(request)).digest()
