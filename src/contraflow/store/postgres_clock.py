"""The server's clock, as far as it can be known between two answers of the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from contraflow.store.postgres_trouble import ClockJumped

ROUND_TRIP_MS_MAX = 100  # An answer that took longer says too little about the time.
JUMP_MS_MAX = 1_000  # Further ahead than this no clock drifts between two answers.


@dataclass(slots=True)
class ServerClock:
    """Runs on by this machine's monotonic clock, which also counts while we are stopped.

    Never behind the server's: it takes an answer to be as old as its question. A `given` clock is
    the file's own in a replay.
    """

    given: Callable[[], int] | None = None
    ahead: int | None = None
    latest: int = 0
    has_jumped: bool = False  # And the database has not been told yet.

    @staticmethod
    def monotonic() -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    @property
    def is_set(self) -> bool:
        return self.ahead is not None or self.given is not None

    def now(self) -> int:
        if self.given is not None:
            return max(self.given(), self.latest)
        assert self.ahead is not None, "the server was asked for the time"
        return self.ahead + self.monotonic()

    def note(self, server_ms: int, asked_at: int) -> int:
        """The server's time, asked for at `asked_at`; what it is in this batch.

        Raises ClockJumped: it was set forward, or is another server's.
        """
        if self.given is not None:
            self.latest = self.now()
            return self.latest
        answered_at = self.monotonic()
        is_jump = self.ahead is not None and server_ms - answered_at > self.ahead + JUMP_MS_MAX
        if answered_at - asked_at <= ROUND_TRIP_MS_MAX:
            self.ahead = server_ms - asked_at
        if is_jump:
            self.has_jumped = True
            raise ClockJumped("the clock of the server has jumped")
        return server_ms
