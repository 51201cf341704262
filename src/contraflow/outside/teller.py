"""What the sandbox's bank says unasked: told at its time, and again until it is taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from contraflow.outside import Runtime
from contraflow.outside.bank import Bank
from contraflow.wire.exchange import Notice

TELLINGS_MAX = 10
TELL_AGAIN_MS = 1_000  # After the first telling; doubled after each further one.
TELL_AGAIN_MS_MAX = 8_000


@dataclass(slots=True)
class Teller:
    """What nobody takes, however often it is told, is told to the next process."""

    bank: Bank
    runtime: Runtime
    deliver: Callable[[Notice], Awaitable[bool]]  # Whether it was taken.
    tellings_max: int = TELLINGS_MAX
    alarm_at: int | None = None

    def set_alarm(self) -> None:
        """Also to be called once at the start: a bank that was reopened may have things to say."""
        due_at = self.bank.next_due()
        if due_at is not None and (self.alarm_at is None or due_at < self.alarm_at):
            self.alarm_at = due_at
            self.runtime.spawn(self._run_at(due_at))

    async def _run_at(self, due_at: int) -> None:
        await self.runtime.sleep(max(0, due_at - self.runtime.now()))
        if self.alarm_at == due_at:
            self.alarm_at = None
        for notice in self.bank.run_due(self.runtime.now()):
            self.runtime.spawn(self._tell(notice))
        self.set_alarm()

    async def _tell(self, notice: Notice) -> None:
        wait_ms = TELL_AGAIN_MS
        for _ in range(self.tellings_max):
            if await self.deliver(notice):
                self.bank.acknowledge(notice)
                return
            await self.runtime.sleep(wait_ms)
            wait_ms = min(wait_ms * 2, TELL_AGAIN_MS_MAX)
