"""When the door cannot do what it is asked: who is told to come again, and what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from shop import PAYMENT, REFUND, Shop

from contraflow.api import door as doors
from contraflow.api import health, request
from contraflow.engine.intake import Waiting
from contraflow.engine.session import start_intake
from contraflow.errors import StoreUnwritable

Open = Callable[..., None]


def idle(_: Any) -> None:
    """Start no loop: nothing is ever committed."""


async def taken(shop: Shop) -> list[Waiting]:
    intake = shop.desk.parts.intake
    while not intake.requests and not intake.first:
        await asyncio.sleep(0.005)
    waiting = [*intake.requests, *intake.first]
    intake.requests.clear()
    intake.first.clear()
    return waiting


def test_a_body_that_comes_too_slowly_is_not_waited_for(
    at_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "BODY_WITHIN_S", 0.05)

    async def work(shop: Shop) -> None:
        host, port = shop.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /v1/refunds HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
            b"Authorization: Bearer " + shop.token.encode() + b"\r\n"
            b"Content-Type: application/json\r\n\r\n{"
        )
        assert b" 408 " in await reader.readline()
        writer.close()

    at_door(work)


def test_more_than_so_many_at_once_are_told_to_come_back(
    at_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "HANDLED_MAX", 1)

    async def work(shop: Shop) -> None:
        shop.desk.handled = 1
        async with shop.send("POST", "/v1/payments", PAYMENT, "k") as reply:
            assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
            assert (await reply.json(content_type=None))["code"] == "overloaded"
        shop.desk.handled = 0
        assert (await shop.record())[0] == 201
        assert shop.desk.handled == 0

    at_door(work)


def test_when_too_many_wait_one_more_is_told_to_come_back(
    at_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contraflow.engine.intake.REQUESTS_WAITING_MAX", 1)

    async def work(shop: Shop) -> None:
        first = asyncio.create_task(shop.record())
        while not shop.desk.parts.intake.requests:
            await asyncio.sleep(0.005)
        status, problem = await shop.refund()
        first.cancel()

        assert (status, problem["code"]) == (503, "overloaded")

    at_door(work, start=idle)


def test_what_could_not_be_written_is_told_to_come_back(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        asked = asyncio.create_task(shop.record())
        [waiting] = await taken(shop)
        waiting.ticket.set_exception(StoreUnwritable("disk full"))
        status, problem = await asked

        assert (status, problem["code"]) == (503, "store_unwritable")
        assert shop.desk.deciding == {}

    at_door(work, start=idle)


def test_a_broken_promise_of_ours_ends_the_process_and_is_no_answer(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        def break_it(_: Any) -> str:
            raise AssertionError("planted")

        shop.desk.channel_of = break_it
        assert await shop.tell(b"{}", {}) == 503
        await asyncio.sleep(5)

    with pytest.raises(AssertionError, match="planted"):
        at_door(work)


def test_it_is_told_also_where_the_database_cannot_be_read_right_after(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        async def lost(_: str) -> None:
            raise StoreUnwritable

        await shop.record()
        views: Any = _Views(None)
        views.instruction = views.payment = lost
        shop.desk.views = views
        first, refund = await shop.refund("k")
        again, problem = await shop.refund("k")

        assert first in (201, 202)
        assert refund["receipt"]["decision"] == "accepted"
        assert (again, problem["code"]) == (503, "state_unreadable")

    at_door(work)


class _Views:
    def __init__(self, holds: Any) -> None:
        self.holds = holds

    async def close(self) -> None: ...


def test_a_door_is_ready_while_the_database_answers(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        assert [await shop.look(path) for path in ("/healthz", "/readyz")] == [200, 200]

        async def trouble() -> list[str]:
            raise StoreUnwritable

        shop.desk.views = _Views(trouble)  # type: ignore[assignment]
        assert [await shop.look(path) for path in ("/healthz", "/readyz")] == [200, 503]

    at_door(work)


def test_a_database_that_answers_nobody_is_not_ready(
    at_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "READY_WITHIN_S", 0.05)

    async def work(shop: Shop) -> None:
        shop.desk.views = _Views(asyncio.Event().wait)  # type: ignore[assignment]

        assert await shop.look("/readyz") == 503

    at_door(work)


def test_where_nothing_is_committed_it_is_not_ready(
    at_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "STUCK_S", 0.05)

    async def work(shop: Shop) -> None:
        asked = asyncio.create_task(shop.record())
        await asyncio.sleep(0.1)
        stuck = await shop.look("/readyz")
        start_intake(shop.desk.parts)
        await asked

        assert stuck == 503
        assert await shop.look("/readyz") == 200

    at_door(work, start=idle)


def test_headers_that_never_end_are_not_waited_for(
    at_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contraflow.api.server.HEADERS_WITHIN_S", 0.05)

    async def work(shop: Shop) -> None:
        host, port = shop.address.removeprefix("http://").split(":")
        for beginning in (b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: "):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(beginning)
            assert b" 408 " in await reader.read()
            writer.close()

    at_door(work)


def test_headers_that_are_too_large_are_refused(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        async with shop.client.get(f"{shop.address}/healthz", headers={"X": "x" * 8_000}) as reply:
            assert reply.status == 200
        host, port = shop.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"x" * 20_000 + b"\r\n\r\n")
        assert b" 431 " in await reader.readline()
        writer.close()

    at_door(work)


def test_more_connections_than_may_be_are_turned_away(
    at_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contraflow.api.server.CONNECTIONS_MAX", 1)

    async def work(shop: Shop) -> None:
        assert (await shop.refund())[0] == 404  # It keeps its connection.
        host, port = shop.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        assert b" 503 " in await reader.readline()
        writer.close()

    at_door(work)


def test_the_body_of_a_refund_is_no_longer_than_it_may_be(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        status, problem = await shop.post("/v1/refunds", {**REFUND, "reason": "x" * 70_000})

        assert (status, problem["code"]) == (413, "body_too_large")

    at_door(work)
