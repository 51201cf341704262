"""JSON as RFC 8259 means it: every name once, UTF-8, and nothing that only some readers take."""

from __future__ import annotations

import json
from typing import Any

import msgspec

DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}  # There are as many as there are forms.


class NotJson(ValueError):
    """It is no JSON, or not in UTF-8, or too deep."""


class Twice(ValueError):
    """A name stands twice in one object; the message is the name."""


def decode(text: bytes, shape: Any) -> Any:
    """Raises NotJson, Twice or msgspec.ValidationError."""
    decoder = DECODERS.get(shape)
    if decoder is None:
        decoder = DECODERS[shape] = msgspec.json.Decoder(shape)
    try:
        value = decoder.decode(text)
        # msgspec keeps the last of two.
        json.loads(text, object_pairs_hook=_refuse_twins)
    except (msgspec.ValidationError, Twice):
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson from error
    return value


def _refuse_twins(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise Twice(next(name for name in names if names.count(name) > 1))
