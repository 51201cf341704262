"""Chance, for keys and names that nobody may guess."""

from __future__ import annotations

import secrets


def new_key() -> str:
    """64 hexadecimal digits."""
    return secrets.token_hex(32)


def new_bytes(count: int) -> bytes:
    return secrets.token_bytes(count)


def new_name() -> str:
    """For an idempotency key that a person did not care to choose."""
    return secrets.token_hex(12)
