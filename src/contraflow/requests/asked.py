"""The key and the fingerprint of a request: by them it is known again, at whichever door."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec.structs import asdict, replace

from contraflow.domain.commands import CreatePayment, Keyed
from contraflow.domain.instruction import Labels, Timing
from contraflow.wire import canonical

K = TypeVar("K", bound=Keyed)
UNASKED = (
    "key",
    "fingerprint",
    "line",
    "timing",
    "owner",
    "nonce",
)  # No part of what is asked for.
LABELS = msgspec.json.Decoder(Labels)


def fingerprinted(route: str, command: K, **instead: object) -> K:
    """With the fingerprint of the route and every business field.

    What was not given is left out, so that a field of a later version changes no old fingerprint;
    and so is how it came: the same request may be repeated at another door, with another key and
    from another address.
    """
    asked = {name: value for name, value in asdict(command).items() if name not in UNASKED}
    labels = replace(LABELS.decode(command.labels), source="", api_key="", address="", device="")
    asked["labels"] = canonical.encode(labels).decode()
    asked = {name: value for name, value in (asked | instead).items() if is_given(value)}
    return replace(command, fingerprint=canonical.fingerprint({"route": route, **asked}))


def fingerprinted_payment(command: CreatePayment, valid_ms: int | None = None) -> CreatePayment:
    """Of its fingerprint is how long it is valid, not until when."""
    return fingerprinted("pay", command, expires_at=None, valid_ms=valid_ms)


def is_given(value: object) -> bool:
    return value is not None and value is not False and value != ""


def timing_of(wait: float | None) -> Timing:
    return Timing.ASYNCHRONOUS if wait is None else Timing.SYNCHRONOUS
