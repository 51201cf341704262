"""Tell the sinks what happened, in order, at least once."""

from __future__ import annotations

from collections.abc import Sequence

from contraflow.engine.limits import DELIVER_MAX
from contraflow.engine.parts import Parts
from contraflow.errors import OperationalError
from contraflow.sinks import Sink
from contraflow.store import Record


async def notify_due(parts: Parts) -> None:
    """One bounded step for each sink; one that is down keeps its place and delays nobody."""
    for sink in parts.sinks:
        seen = hand_over(parts, sink, await parts.store.undelivered(sink.name, DELIVER_MAX))
        if seen:
            await parts.store.advance(sink.name, seen)
            parts.notify_bell.ring()  # There may be more than one step holds.


def hand_over(parts: Parts, sink: Sink, found: Sequence[tuple[int, Record]]) -> int:
    """The last position that it has for good, or 0."""
    seen = 0
    for position, record in found:
        try:
            sink.deliver(position, record.body)
        except OperationalError:
            parts.counts[f"sink_{sink.name}_down"] += 1
            break
        seen = position
    if seen:
        try:
            sink.flush()
        except OperationalError:
            parts.counts[f"sink_{sink.name}_down"] += 1
            seen = 0
    return seen
