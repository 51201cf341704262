"""What banks tell us by themselves is taken once it is kept, and only from them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from shop import Shop
from test_trouble import idle, taken

from contraflow.errors import StoreUnwritable, ValueRefused
from contraflow.wire import sandbox
from contraflow.wire.sandbox import Telling

Open = Callable[..., None]


def telling(event: str = "e1") -> Telling:
    return Telling(
        event=event,
        type="refund.elsewhere",
        payment="main/pay_1",
        minor=50,
        currency="CNY",
        at=1,
        id="r9",
    )


def test_a_notice_is_taken_once_it_is_committed(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.record()
        notice = sandbox.notice_of(shop.bank, telling())
        told = [await shop.tell(notice.body, notice.headers) for _ in range(2)]
        payment = await shop.desk.views.payment("main/pay_1")

        assert told == [204, 204]
        assert payment is not None
        assert payment.refunded == 50

    at_door(work)


def test_a_notice_that_is_forged_or_nobodys_changes_nothing(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.record()
        notice = sandbox.notice_of(shop.bank, telling())
        forged = notice.body.replace(b":50", b":51")
        signature = notice.headers[0]
        told = [
            await shop.tell(forged, notice.headers),
            await shop.tell(notice.body, [notice.headers[1]]),
            await shop.tell(notice.body, [signature]),
            await shop.tell(notice.body, [signature, ("sandbox-line", "elsewhere")]),
            await shop.tell(b"", []),
        ]
        payment = await shop.desk.views.payment("main/pay_1")

        assert told == [400] * 5
        assert payment is not None
        assert payment.refunded == 0

    at_door(work)


def test_a_notice_that_the_database_cannot_keep_stays_with_the_bank(
    at_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise ValueRefused("22021 invalid byte sequence")

    async def work(shop: Shop) -> None:
        await shop.record()
        monkeypatch.setattr("contraflow.engine.loops.commit_batch", refuse)
        notice = sandbox.notice_of(shop.bank, telling())
        assert await shop.tell(notice.body, notice.headers) == 503
        monkeypatch.undo()
        assert await shop.tell(notice.body, notice.headers) == 204

    at_door(work)


def test_a_notice_that_cannot_be_written_now_is_to_be_told_again(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        notice = sandbox.notice_of(shop.bank, telling())
        told = asyncio.create_task(shop.tell(notice.body, notice.headers))
        [waiting] = await taken(shop)
        waiting.ticket.set_exception(StoreUnwritable())

        assert await told == 503

    at_door(work, start=idle)
