"""A shop of the demo: payments that are made, cancelled and refunded, while the bank misbehaves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from itertools import cycle

from msgspec import Struct

from contraflow.domain import commands as c
from contraflow.domain.decision import Accepted, Told
from contraflow.domain.ids import instruction_id_for, qualified
from contraflow.domain.instruction import Timing
from contraflow.domain.money import Money
from contraflow.domain.payment import Capturing
from contraflow.engine.intake import submit
from contraflow.engine.parts import Parts
from contraflow.engine.session import rest
from contraflow.store import Views
from contraflow.wire import canonical
from contraflow.wiring import Embedded, bank_is_quiet, scripts_by_group

CHANNEL = "sandbox"
FAULTY_SHARE = 9  # Of a hundred payments, for each group of faults.
CLIENTS = 96
PATIENCE_MS = 60_000
LATE = frozenset({"late_capture", "captured_first"})  # Faults that only a cancel meets.


class Purchase(Struct, frozen=True):
    """One payment of the demo, the fault that its reversal meets, and how it is undone."""

    number: int
    group: str  # Of faults; empty for none.
    script: str
    way: str
    timing: Timing

    @property
    def is_manual(self) -> bool:
        return self.way in ("cancel", "reverse", "capture_and_refund")


def purchases(count: int, seed: int) -> Iterator[Purchase]:
    """Every group of faults in turn, and what is left over without any."""
    prng = random.Random(seed)
    groups = {name: cycle(scripts) for name, scripts in scripts_by_group().items()}
    shares = [name for name in groups for _ in range(FAULTY_SHARE)]
    timings = cycle((Timing.SYNCHRONOUS, Timing.ASYNCHRONOUS))
    for number in range(count):
        share = number % 100
        group = shares[share] if share < len(shares) else ""
        script = next(groups[group]) if group else "ok"
        way = prng.choice(("refund", "refund", "two_refunds", "cancel", "reverse"))
        if script in LATE:
            way = "cancel"
        elif group == "bounce_or_outside":
            way = prng.choice(("refund", "capture_and_refund"))
        elif script == "accept_then_succeed":
            way = "withdraw"
        yield Purchase(number, group, script, way, next(timings))


class Shop:
    """Clients of one engine. Each waits for the end, or only asks and looks later."""

    def __init__(self, embedded: Embedded, views: Views, tenant: str) -> None:
        self.embedded, self.views, self.tenant = embedded, views, tenant

    @property
    def parts(self) -> Parts:
        return self.embedded.parts

    async def sell_all(self, all_of_them: list[Purchase], on_sold: Callable[[], None]) -> None:
        waiting = list(reversed(all_of_them))

        async def client() -> None:
            while waiting:
                await self.sell(waiting.pop())
                on_sold()

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(client())

    async def sell(self, purchase: Purchase) -> None:
        """Pay, and undo it by the way of this purchase."""
        name = f"demo-{purchase.number:05}"
        payment_id = qualified(self.tenant, name)
        amount = Money(1_000 + purchase.number % 500, "CNY")
        capturing = Capturing.MANUAL if purchase.is_manual else Capturing.AUTOMATIC
        await self.ask(
            c.CreatePayment(
                key=self.key(name, "pay"),
                fingerprint=mark(self.key(name, "pay")),
                payment_id=payment_id,
                channel=CHANNEL,
                instrument=f"tok_{purchase.script}",
                amount=amount,
                capturing=capturing,
            ),
            Timing.SYNCHRONOUS,
        )
        for command in self.undoing(purchase, name, payment_id, amount):
            await self.ask(command, purchase.timing)

    def undoing(
        self, purchase: Purchase, name: str, payment_id: str, amount: Money
    ) -> Iterator[c.ClientCommand]:
        part = Money(amount.minor // 2, amount.currency)
        timing = purchase.timing
        match purchase.way:
            case "cancel":
                yield c.RequestCancel(
                    key=self.key(name, "cancel"),
                    fingerprint=mark(self.key(name, "cancel")),
                    payment_id=payment_id,
                    timing=timing,
                )
            case "reverse":
                yield c.RequestReversal(
                    key=self.key(name, "reverse"),
                    fingerprint=mark(self.key(name, "reverse")),
                    payment_id=payment_id,
                    timing=timing,
                )
            case "withdraw":
                yield self.refund(name, payment_id, part, timing)
                refund_id = instruction_id_for(payment_id=payment_id, key=self.key(name, "refund"))
                yield c.WithdrawReversal(
                    key=self.key(name, "withdraw"),
                    fingerprint=mark(self.key(name, "withdraw")),
                    instruction_id=refund_id,
                )
            case way:
                if way == "capture_and_refund":
                    yield c.RequestCapture(
                        key=self.key(name, "capture"),
                        fingerprint=mark(self.key(name, "capture")),
                        payment_id=payment_id,
                    )
                yield self.refund(name, payment_id, part, timing)
                if way == "two_refunds":
                    yield self.refund(f"{name}-2", payment_id, part, timing)

    def refund(self, name: str, payment_id: str, amount: Money, timing: Timing) -> c.RequestRefund:
        key = self.key(name, "refund")
        return c.RequestRefund(
            key=key,
            fingerprint=mark(key),
            payment_id=payment_id,
            amount=amount,
            timing=timing,
        )

    def key(self, name: str, route: str) -> str:
        return qualified(self.tenant, f"{name}-{route}")

    async def ask(self, command: c.ClientCommand, timing: Timing) -> None:
        """A payment command must have ended before its payment can be undone."""
        told = await submit(self.parts.intake, command)
        assert isinstance(told, Told), told
        is_waited_for = timing is Timing.SYNCHRONOUS or isinstance(command, c.RequestCapture)
        if is_waited_for and isinstance(told.decision, Accepted):
            ids = [instruction.instruction_id for instruction in told.decision.instructions]
            await rest(self.parts, self.views, ids, PATIENCE_MS)

    async def close(self, ids: list[str]) -> None:
        """Until everything is at rest and the bank has nothing more to say."""
        await rest(self.parts, self.views, ids, PATIENCE_MS)
        while not bank_is_quiet(self.embedded):
            await self.parts.runtime.sleep(50)


def mark(key: str) -> bytes:
    """Every request of the demo has a key of its own, so the key says it all."""
    return canonical.fingerprint({"demo": key})
