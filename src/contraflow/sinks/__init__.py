"""Where events go when they leave. One file per destination.

This page is the contract. Each file beside it defines one `open_sink()`.
"""

from __future__ import annotations

from typing import Protocol


class Sink(Protocol):
    name: str

    def deliver(self, position: int, body: bytes) -> None:
        """Deliver at least once, in order; raise OperationalError to be called again later.

        `position` rises with every event; `body` is its canonical JSON, as it is stored.
        """
        ...
