"""A unit of CPU time that can be compared between machines: one turn of a fixed loop.

A turn is a replace of a frozen eight-field value, a msgspec encode, a SHA-256 and a store into a
dictionary: what an engine like this one is made of.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace

import msgspec

TURNS = 20_000


@dataclass(frozen=True, slots=True)
class Eight:
    a: int
    b: int
    c: int
    d: str
    e: str
    f: str
    g: str
    h: int | None


def unit_s(turns: int = TURNS) -> float:
    """CPU seconds of one turn, in this process and now."""
    one, kept = Eight(0, 1, 2, "payment", "channel", "CNY", "sent", None), {}
    begun = time.process_time()
    for turn in range(turns):
        one = replace(one, a=turn)
        kept[turn & 1023] = hashlib.sha256(msgspec.json.encode(one)).digest()
    assert len(kept) == min(turns, 1_024)
    return (time.process_time() - begun) / turns
