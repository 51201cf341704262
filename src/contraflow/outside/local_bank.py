"""The way to the sandbox's bank, which lives in this very process and keeps its own book."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from contraflow.errors import LeaveByMissed, ReplyLost
from contraflow.outside import Runtime
from contraflow.outside.bank import Bank
from contraflow.wire.exchange import Notice, Reply, Request

TELLINGS_MAX = 10
TELL_AGAIN_MS = 1_000
SILENCE_MS = 250  # How long a caller waits for a reply that does not come.


@dataclass(slots=True)
class LocalBank:
    """A transport; what the bank has to say unasked is handed to `deliver`, at its time."""

    bank: Bank
    runtime: Runtime
    deliver: Callable[[Notice], Awaitable[bool]]  # Whether it was taken; else it is told again.
    store_now: Callable[[], int]  # `leave_by` is of this clock; see decisions/0017.
    alarm_at: int | None = None

    async def send(self, request: Request, leave_by: int) -> Reply:
        if self.store_now() > leave_by:
            raise LeaveByMissed
        handling = self.bank.receive(request, self.runtime.now())
        self.set_alarm()
        if handling.reply is None:
            await self.runtime.sleep(SILENCE_MS)
            raise ReplyLost
        if handling.wait_ms:
            await self.runtime.sleep(handling.wait_ms)
        return handling.reply

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
            if not await self._tell(notice):
                self.runtime.spawn(self._tell_again(notice))
        self.set_alarm()

    async def _tell(self, notice: Notice) -> bool:
        is_taken = await self.deliver(notice)
        if is_taken:
            self.bank.acknowledge(notice)
        return is_taken

    async def _tell_again(self, notice: Notice) -> None:
        """As banks do; what nobody takes is told to the next process."""
        for _ in range(TELLINGS_MAX):
            await self.runtime.sleep(TELL_AGAIN_MS)
            if await self._tell(notice):
                return
