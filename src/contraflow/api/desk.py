"""What stands behind the door: the engine, its views, and who is let in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from contraflow.api.caller import KeyRing
from contraflow.api.gauges import Gauges
from contraflow.api.rate import Rates
from contraflow.engine.parts import Parts
from contraflow.engine.refund_batches import BatchRoom
from contraflow.engine.webhooks import Mailroom
from contraflow.store import Views
from contraflow.wire.exchange import Notice


@dataclass(slots=True, kw_only=True)
class Desk:
    """Of one process. Nothing here is needed by another one, or by the next."""

    parts: Parts
    views: Views
    ring: KeyRing
    modes: Mapping[str, str]  # `test` or `live`, by channel.
    mailroom: Mailroom
    batch_room: BatchRoom
    cursor_key: bytes
    channel_of: Callable[[Notice], str | None]  # Which channel a notice is for.
    unseal: Callable[[str, bytes], bytes]  # A secret that was kept at this place.
    now_ms: Callable[[], int]  # The wall clock, for keys and signatures.
    default_wait_s: int = 0
    key_rates: Rates
    gauges: Gauges = field(default_factory=Gauges)
    stranger_rates: Rates  # Of addresses whose calls are refused.
    is_ending: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: set[asyncio.Future[None]] = field(default_factory=set)  # For an end.
    deciding: dict[str, float] = field(default_factory=dict)  # Keys, since when.
    measuring: asyncio.Lock = field(default_factory=asyncio.Lock)  # Whole tables, one at a time.
    handled: int = 0  # Requests, at this moment.

    def end(self) -> None:
        """Nobody is let in any more, and who waits for an end is told what is known."""
        self.is_ending.set()
        for waiting in self.waiting:
            if not waiting.done():
                waiting.set_result(None)
