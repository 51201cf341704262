"""The bank over HTTP: its replies, its silence, and notices that are told until they are taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from contraflow.errors import ReplyLost
from contraflow.outside import teller
from contraflow.outside.bank import Bank
from contraflow.outside.bank_book import MemoryBook
from contraflow.outside.bank_door import open_door
from contraflow.outside.event_loop import EventLoop
from contraflow.outside.http_transport import HttpTransport
from contraflow.wire import sandbox
from contraflow.wire.exchange import Notice, Request
from contraflow.wire.sandbox import CARD, RAIL, Ask, Line

KEY = "5a" * 32
LINES = {scheme: Line(scheme, sandbox.key_of(KEY)) for scheme in (CARD, RAIL)}


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def refund(script: str = "ok", number: str = "N1", scheme: str = CARD) -> Request:
    ask = Ask(
        number=number,
        payment="main/pay_1",
        action="refund",
        minor=400,
        currency="GBP",
        instrument=f"tok_{script}",
        payment_number="",
    )
    return sandbox.request_of(LINES[scheme], ask)


@asynccontextmanager
async def open_bank(bank: Bank, addresses: Sequence[str] = ()) -> AsyncIterator[HttpTransport]:
    """The way to it."""
    async with asyncio.TaskGroup() as group:
        runtime = EventLoop(group)
        async with open_door(bank, runtime, 0, addresses) as address:
            way = HttpTransport(
                {scheme: f"{address}/{scheme}" for scheme in LINES},
                dict.fromkeys(LINES, 4),
                reply_within_ms=5_000,
                store_now=now_ms,
            )
            try:
                yield way
            finally:
                await way.close()
                runtime.stop()


class Ear:
    """Takes notices, after it has answered with these."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.heard: list[Notice] = []

    async def take(self, asked: web.Request) -> web.Response:
        headers = tuple((name.lower(), value) for name, value in asked.headers.items())
        self.heard.append(Notice(await asked.read(), headers))
        return web.Response(status=self.answers.pop(0) if self.answers else 204)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [
            (telling.type, telling.number)
            for telling in (sandbox.open_notice(LINES[CARD], notice) for notice in self.heard)
        ]


@asynccontextmanager
async def listening(ear: Ear) -> AsyncIterator[str]:
    door = web.Application()
    door.router.add_post("/notices", ear.take)
    runner = web.AppRunner(door, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def play(work: Coroutine[Any, Any, None]) -> None:
    async def within_patience() -> None:
        async with asyncio.timeout(10):
            await work

    asyncio.run(within_patience())


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("scheme", [CARD, RAIL])
def test_a_signed_request_gets_its_signed_reply(scheme: str) -> None:
    async def work() -> None:
        bank = Bank(MemoryBook(KEY))
        async with open_bank(bank) as way:
            reply = await way.send(refund(scheme=scheme), now_ms() + 1_000)

        assert sandbox.open_reply(LINES[scheme], reply).result == "succeeded"
        assert bank.effects()["N1"].scheme == scheme

    play(work())


def test_a_lost_reply_is_a_connection_that_ends_and_the_money_has_moved() -> None:
    async def work() -> None:
        bank = Bank(MemoryBook(KEY))
        async with open_bank(bank) as way:
            with pytest.raises(ReplyLost):
                await way.send(refund("lose_reply"), now_ms() + 1_000)

        assert bank.effects()["N1"].times == 1

    play(work())


@pytest.mark.slow
def test_a_slow_reply_takes_its_time_and_holds_up_nobody() -> None:
    async def work() -> None:
        async with open_bank(Bank(MemoryBook(KEY))) as way:
            begun = now_ms()
            slow = asyncio.create_task(way.send(refund("slow"), now_ms() + 1_000))
            await way.send(refund(number="N2"), now_ms() + 1_000)
            assert now_ms() - begun < 1_000
            await slow

            assert now_ms() - begun >= 1_500

    play(work())


@pytest.mark.parametrize(
    ("url", "body", "status"),
    [
        ("sandbox:/v1/refund", b"{}", 401),
        ("elsewhere:/v1/refund", b"{}", 404),
        ("sandbox:/v1/pay", refund().body, 400),
        ("sandbox:/v2/refund", b"{}", 404),
        ("sandbox:/v1/refund", b"x" * 70_000, 413),
    ],
)
def test_what_is_no_request_of_ours_changes_nothing(url: str, body: bytes, status: int) -> None:
    async def work() -> None:
        bank = Bank(MemoryBook(KEY))
        async with open_bank(bank) as way:
            way.addresses = {**way.addresses, "elsewhere": f"{way.addresses[CARD]}/../elsewhere"}
            way.slots = {**way.slots, "elsewhere": 1}
            reply = await way.send(Request(url, body, refund().headers), now_ms() + 1_000)

        assert reply.status == status
        assert not bank.orders()

    play(work())


# Unasked


def test_a_notice_is_told_at_its_time_and_forgotten_when_it_was_taken() -> None:
    async def work() -> None:
        bank, ear = Bank(MemoryBook(KEY)), Ear()
        async with listening(ear) as address, open_bank(bank, [address]) as way:
            await way.send(refund("notify_early"), now_ms() + 1_000)
            await until(lambda: ear.heard and bank.next_due() is None)
            await asyncio.sleep(0.02)

        assert ear.told == [("instruction.succeeded", "N1")]

    play(work())


@pytest.mark.parametrize("answer", [200, 400, 503])
def test_only_204_means_that_it_was_taken(monkeypatch: pytest.MonkeyPatch, answer: int) -> None:
    monkeypatch.setattr(teller, "TELL_AGAIN_MS", 20)

    async def work() -> None:
        book, ear = MemoryBook(KEY), Ear(answer, answer)
        async with listening(ear) as address, open_bank(Bank(book), [address]) as way:
            sent = asyncio.create_task(way.send(refund("notify_early"), now_ms() + 1_000))
            await until(lambda: len(ear.heard) == 2)
            kept = Bank(book).next_due()
            await until(lambda: len(ear.heard) == 3)
            await sent

        assert kept is not None
        assert ear.told == [("instruction.succeeded", "N1")] * 3
        assert Bank(book).next_due() is None

    play(work())


def test_where_one_address_takes_nothing_the_next_is_told() -> None:
    async def work() -> None:
        refusing, taking = Ear(*[503] * 100), Ear()
        async with listening(Ear()) as gone:
            pass
        async with (
            listening(refusing) as second,
            listening(taking) as third,
            open_bank(Bank(MemoryBook(KEY)), [gone, second, third]) as way,
        ):
            await way.send(refund("notify_early", "N1"), now_ms() + 1_000)
            await until(lambda: len(taking.heard) == 1)
            await way.send(refund("notify_early", "N2"), now_ms() + 1_000)
            await until(lambda: len(taking.heard) == 2)

        assert len(refusing.heard) == 1  # The one that took the first is asked first.

    play(work())


def test_a_bank_that_is_opened_again_tells_what_was_not_taken() -> None:
    async def work() -> None:
        book, ear = MemoryBook(KEY), Ear()
        async with open_bank(Bank(book)) as way:
            await way.send(refund("notify_early"), now_ms() + 1_000)
            await asyncio.sleep(0.1)
        async with listening(ear) as address, open_bank(Bank(book), [address]):
            await until(lambda: ear.heard)

        assert ear.told == [("instruction.succeeded", "N1")]

    play(work())


def test_two_processes_cannot_listen_at_one_address() -> None:
    async def work() -> None:
        async with open_bank(Bank(MemoryBook(KEY))) as way:
            port = int(way.addresses[CARD].rsplit(":", 1)[1].partition("/")[0])
            async with asyncio.TaskGroup() as group:
                bank = Bank(MemoryBook(KEY))
                with pytest.raises(OSError, match="in use"):
                    async with open_door(bank, EventLoop(group), port, ()):
                        pass

    play(work())


def test_who_hangs_up_first_is_not_missed() -> None:
    async def work() -> None:
        bank = Bank(MemoryBook(KEY))
        async with open_bank(bank) as way:
            asked = refund("notify_early")
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.05)) as client:
                with pytest.raises(TimeoutError):
                    await client.post(
                        f"{way.addresses[CARD]}/v1/refund", data=asked.body, headers=asked.headers
                    )
            await way.send(refund(number="N2"), now_ms() + 1_000)

        assert set(bank.effects()) == {"N1", "N2"}

    play(work())
