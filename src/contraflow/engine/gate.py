"""How much a channel gets at once: slots, a rate limit, and a breaker, so that none slows another.

A gate counts calls and knows nothing about them; `now` is milliseconds of the store's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from contraflow.domain.instruction import Fence
from contraflow.engine.limits import BREAKER_FAILURES_MAX, BREAKER_PAUSE_MS


@dataclass(slots=True)
class Gate:
    slots: int
    calls_per_s: int = 0  # 0: no limit of its own.
    busy: set[Fence] = field(default_factory=set)  # Asked about membership only, never walked.
    failures: int = 0  # In a row.
    shut_until: int = 0
    second: int = 0
    calls: int = 0  # In that second.

    def free(self, now: int) -> int:
        """How many calls may begin now."""
        if now < self.shut_until:
            return 0
        if self.failures >= BREAKER_FAILURES_MAX:
            return max(0, 1 - len(self.busy))  # One call tries whether it is over.
        free = self.slots - len(self.busy)
        if self.calls_per_s:
            spent = self.calls if self.second == now // 1_000 else 0
            free = min(free, self.calls_per_s - spent)
        return max(0, free)

    def enter(self, fence: Fence, now: int) -> None:
        self.busy.add(fence)
        if self.second != now // 1_000:
            self.second, self.calls = now // 1_000, 0
        self.calls += 1

    def leave(self, fence: Fence) -> None:
        self.busy.discard(fence)

    def note_answer(self) -> None:
        self.failures = 0

    def note_silence(self, now: int) -> None:
        """The call did not get through, or nobody answered."""
        self.failures += 1
        if self.failures >= BREAKER_FAILURES_MAX:
            self.shut_until = max(self.shut_until, now + BREAKER_PAUSE_MS)
