"""Tell the sinks what happened, in order, at least once."""

from __future__ import annotations

from contraflow.engine.limits import DELIVER_MAX
from contraflow.engine.parts import Parts
from contraflow.errors import OperationalError


async def notify_due(parts: Parts) -> None:
    """One bounded step for each sink; one that is down keeps its place and delays nobody."""
    for sink in parts.sinks:
        seen = 0
        for position, record in await parts.store.undelivered(sink.name, DELIVER_MAX):
            try:
                sink.deliver(position, record.body)
            except OperationalError:
                parts.counts[f"sink_{sink.name}_down"] += 1
                break
            seen = position
        if seen:
            await parts.store.advance(sink.name, seen)
            parts.notify_bell.ring()  # There may be more than one step holds.
