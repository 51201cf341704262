"""The bank's notices: told at any door until one takes them, twice, out of order, and forged."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

import aiohttp

from crucible.book import Book, Line, Order
from crucible.letters import LINE, SIGNATURE, Telling, sign

TELL_WITHIN_S = 3.0
TELL_AGAIN_S = (0.2, 0.8)
TWICE_SHARE = 0.2  # Of the notices that were taken.
FORGE_EVERY_S = 1.0
AT_ONCE_MAX = 32
TAKEN = 204
FORGED = 400


@dataclass(slots=True)
class Postman:
    book: Book
    key: bytes
    doors: list[str]  # Addresses, without a path.
    chance: random.Random
    is_honest: bool = False
    on_the_way: set[str] = field(default_factory=set)
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE_MAX))

    async def run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=TELL_WITHIN_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._forge(session))
            while True:
                now = time.time() * 1_000
                for event, line in list(self.book.state.untaken.items()):
                    if line["at"] <= now and event not in self.on_the_way:
                        self.on_the_way.add(event)
                        group.create_task(self._tell(session, line))
                await asyncio.sleep(0.02)

    def is_quiet(self) -> bool:
        return not self.book.state.untaken and not self.on_the_way

    async def _tell(self, session: aiohttp.ClientSession, line: Line) -> None:
        """Until a door takes it, and now and then once more."""
        body, scheme = str(line["body"]).encode(), str(line["scheme"])
        signature = sign(self.key, body, scheme=scheme, sort="notice")
        async with self.places:
            while (status := await self._post(session, body, scheme, signature)) != TAKEN:
                if status == FORGED:
                    self.book.write("refused", event=line["event"])
                await asyncio.sleep(self.chance.uniform(*TELL_AGAIN_S))
            self.book.write("taken", event=line["event"])
            self.on_the_way.discard(line["event"])
            if not self.is_honest and self.chance.random() < TWICE_SHARE:
                await asyncio.sleep(self.chance.uniform(0, 1))
                await self._post(session, body, scheme, signature)

    async def _post(
        self, session: aiohttp.ClientSession, body: bytes, scheme: str, signature: str
    ) -> int:
        """The status; 0 if nobody answered."""
        headers = {SIGNATURE: signature, LINE: scheme}
        address = f"{self.chance.choice(self.doors)}/notices"
        try:
            async with session.post(address, data=body, headers=headers) as reply:
                return reply.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0

    # Lies of somebody who is not the bank.

    async def _forge(self, session: aiohttp.ClientSession) -> None:
        while True:
            await asyncio.sleep(self.chance.uniform(0, 2 * FORGE_EVERY_S))
            orders = list(self.book.state.orders.values())[-500:]
            if self.is_honest or not orders:
                continue
            order = self.chance.choice(orders)
            telling = self._lie(order)
            body = telling.encode()
            signature = self._bad_signature(body, order.scheme)
            status = await self._post(session, body, order.scheme, signature)
            if status:
                self.book.write("forged", event=telling.event, status=status)

    def _lie(self, order: Order) -> Telling:
        what = self.chance.choice(
            (
                *("chargeback.opened", "payment.captured", "refund.elsewhere"),
                *("instruction.succeeded", "instruction.declined"),
            )
        )
        is_answer = what.startswith("instruction")
        name = f"forged_{self.chance.getrandbits(48):012x}"
        return Telling(
            event=name,
            type=what,
            payment=order.ask.payment,
            minor=order.ask.minor,
            currency=order.ask.currency,
            at=int(time.time() * 1_000),
            number=order.ask.number if is_answer else "",
            id=name,
            code="refused" if what == "instruction.declined" else "",
        )

    def _bad_signature(self, body: bytes, scheme: str) -> str:
        """A wrong key, a reply taken for a notice, nothing at all."""
        other_key = bytes(32)
        return self.chance.choice(
            (
                sign(other_key, body, scheme=scheme, sort="notice"),
                sign(self.key, body, scheme=scheme, sort="reply"),
                "",
            )
        )
