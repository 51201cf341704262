"""Start a thing again whenever it has ended, after a pause that grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from contraflow.errors import StoreUnwritable

PAUSE_S_MIN = 0.25
PAUSE_S_MAX = 10.0
CALM_S = 60  # What has lived for so long is no longer in trouble.


class Kept(Protocol):
    @property
    def name(self) -> str: ...

    def start(self) -> None:
        """Raises StoreUnwritable."""
        ...

    def how_it_ended(self) -> str | None:
        """None while it runs."""
        ...


@dataclass(slots=True)
class Keeper:
    """Starts one thing again whenever it has ended, after a pause that grows."""

    kept: Kept
    say: Callable[[str], None]
    started_at: float
    again_at: float | None = None
    pause_s: float = 0

    def look(self, now: float) -> None:
        if self.again_at is None:
            how = self.kept.how_it_ended()
            if how is not None:
                self.plan(now, how)
        elif now >= self.again_at:
            self.again_at, self.started_at = None, now
            try:
                self.kept.start()
            except StoreUnwritable as error:
                self.plan(now, f"does not start: {error}")
            else:
                self.say(f"{self.kept.name} was started again")

    def plan(self, now: float, how: str) -> None:
        is_calm = now - self.started_at >= CALM_S
        self.pause_s = PAUSE_S_MIN if is_calm else min(self.pause_s * 2, PAUSE_S_MAX) or PAUSE_S_MIN
        self.again_at = now + self.pause_s
        self.say(f"{self.kept.name} {how}; it is started again in {self.pause_s:g} s")
