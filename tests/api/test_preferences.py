"""Who waits for the end of a request, and who goes away before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from shop import Shop

from contraflow.engine.session import start_intake

Open = Callable[..., None]
Headers = dict[str, str]


@pytest.mark.parametrize(
    ("prefer", "status", "applied"),
    [
        ("respond-async", 202, "respond-async"),
        ("wait=10", 201, "wait=10"),
        ("respond-async, wait=10", 201, "respond-async, wait=10"),
        ("wait=999999", 201, "wait=30"),
        ("handling=lenient, wait=10;q=1", 201, "wait=10"),
        ("wait=ten", 202, None),
        ("", 202, None),
    ],
)
def test_it_is_answered_as_the_client_prefers(
    at_door: Open, prefer: str, status: int, applied: str | None
) -> None:
    async def work(shop: Shop) -> None:
        await shop.record(instrument="tok_accept_then_succeed")
        body = {"payment": "pay_1", "amount": 300, "currency": "CNY"}
        async with shop.send("POST", "/v1/refunds", body, "k", Prefer=prefer) as reply:
            assert reply.status == status
            assert reply.headers.get("Preference-Applied") == applied
            assert reply.headers["Vary"] == "Prefer"
            assert reply.headers["Location"] == f"/v1/refunds/{(await reply.json())['id']}"

    at_door(work)


def test_the_default_is_a_setting(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.record(instrument="tok_accept_then_succeed")

        assert (await shop.refund())[0] == 201

    at_door(work, default_wait_s=10)


def test_who_waits_too_short_is_told_where_to_look(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.record()
        status, refund = await shop.refund(prefer="wait=1")

        assert (status, refund["status"]) == (202, "pending")
        assert shop.desk.parts.watchers == {}

    at_door(work, start=start_intake)


def test_who_goes_away_stops_waiting_and_the_refund_goes_on(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.record(instrument="tok_accept_then_succeed")
        asked = asyncio.create_task(shop.refund("k", "wait=30"))
        while await shop.desk.views.receipt("main/k") is None:
            await asyncio.sleep(0.005)
        asked.cancel()
        while shop.desk.waiting:
            await asyncio.sleep(0.005)
        _, again = await shop.refund("k", "wait=5")

        assert again["status"] == "succeeded"

    at_door(work)


def test_who_waits_is_answered_when_the_process_ends(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.record()
        waiting = asyncio.create_task(shop.refund("k", "wait=30"))
        while not shop.desk.waiting:
            await asyncio.sleep(0.005)
        again = asyncio.create_task(shop.refund("k", "wait=30"))
        await asyncio.sleep(0.05)
        shop.desk.end()

        assert [(await waiting)[0], (await again)[0]] == [202, 202]
        status, problem = await shop.refund("k3")
        assert (status, problem["code"]) == (503, "ending")
        assert [await shop.look(path) for path in ("/readyz", "/healthz")] == [503, 200]

    at_door(work, start=start_intake)


def test_who_goes_away_before_the_commit_has_asked_all_the_same(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        asked = asyncio.create_task(shop.record())
        while not shop.desk.parts.intake.requests:
            await asyncio.sleep(0.005)
        asked.cancel()
        start_intake(shop.desk.parts)
        while await shop.desk.views.payment("main/pay_1") is None:
            await asyncio.sleep(0.005)

    at_door(work, start=idle)


def idle(_: Any) -> None:
    """Start no loop: nothing is ever committed."""
