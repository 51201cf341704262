"""The way to the sandbox's bank, which lives in this very process and keeps its own book."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from contraflow.errors import LeaveByMissed, ReplyLost
from contraflow.outside import Runtime
from contraflow.outside.bank import Bank
from contraflow.outside.teller import Teller
from contraflow.wire.exchange import Notice, Reply, Request

SILENCE_MS = 250  # How long a caller waits for a reply that does not come.


@dataclass(slots=True)
class LocalBank:
    """A transport; what the bank has to say unasked is handed to `deliver`, at its time."""

    bank: Bank
    runtime: Runtime
    deliver: Callable[[Notice], Awaitable[bool]]  # Whether it was taken; else it is told again.
    store_now: Callable[[], int]  # `leave_by` is of this clock; see decisions/0017.
    teller: Teller = field(init=False)

    def __post_init__(self) -> None:
        self.teller = Teller(self.bank, self.runtime, self.deliver)

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
        self.teller.set_alarm()
