"""Where events go when they leave. One file per destination.

This page is the contract. Each file beside it defines one `open_sink(name, options)`: `name` is
what the operator calls it, and under which its place in the feed is kept; the options are the
settings for it. It raises SettingInvalid for an option that it does not know or that it lacks.
"""

from __future__ import annotations

from typing import Protocol


class Sink(Protocol):
    name: str

    def deliver(self, position: int, body: bytes) -> None:
        """Deliver at least once, in order; raise OperationalError to be called again later.

        `position` rises from event to event; `body` is its canonical JSON, as it is stored. What
        was taken comes again where that could not be noted, or where another process noted it.
        """
        ...

    def flush(self) -> None:
        """Keep for good what was delivered: only then is it noted that the sink has it.

        Raise OperationalError if that may be lost: it is delivered again.
        """
        ...
