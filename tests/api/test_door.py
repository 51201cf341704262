"""The door for programs: what it answers, and that it answers only what is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from contraflow import banking, wiring
from contraflow.api import door as doors
from contraflow.api import guard
from contraflow.api.door import Door, open_door
from contraflow.cli.main import app
from contraflow.engine import loops
from contraflow.engine.intake import Waiting
from contraflow.engine.session import start_intake
from contraflow.errors import StoreUnwritable, ValueRefused
from contraflow.settings import Settings
from contraflow.wire import sandbox
from contraflow.wire.sandbox import CARD, Line, Telling

RECORD = {
    "do": "record",
    "key": "k1",
    "payment": "pay_1",
    "amount": 1_050,
    "currency": "CNY",
    "instrument": "tok_ok",
}
NOT_HERE = "requests are taken on the loopback interface only; this door is not"
REFUND = {"do": "refund", "key": "k2", "payment": "pay_1", "amount": 300, "currency": "CNY"}
Said = tuple[int, Any]


class Shop:
    """A client of an open door."""

    def __init__(self, door: Door, address: str, client: aiohttp.ClientSession) -> None:
        self.door, self.address, self.client = door, address, client
        self.bank = Line(CARD, sandbox.key_of("00"))

    async def ask(self, wish: Any, **more: Any) -> Said:
        """A wish is sent as it is if it is bytes."""
        body = wish if isinstance(wish, bytes) else json.dumps({**wish, **more}).encode()
        async with self.post(body) as reply:
            return reply.status, await reply.json()

    def post(self, body: bytes, **headers: str) -> Any:
        given = {"Content-Type": "application/json", **headers}
        return self.client.post(f"{self.address}/requests", data=body, headers=given)

    async def look(self, path: str) -> int:
        async with self.client.get(f"{self.address}{path}") as reply:
            return reply.status

    async def tell(self, body: bytes, headers: Any) -> int:
        async with self.client.post(f"{self.address}/notices", data=body, headers=headers) as reply:
            return reply.status


Open = Callable[..., None]


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "test.db")


@pytest.fixture
def at_door(database: str) -> Open:
    """Do the work at a door that is open meanwhile, with all loops or with these."""
    settings = Settings(database=database)

    def play(work: Callable[[Shop], Awaitable[None]], start: Any = loops.start) -> None:
        async def beside(embedded: wiring.Embedded) -> None:
            views = await wiring.open_reading(settings)
            door = Door(embedded.parts, views, "main", banking.channel_finder(settings))
            async with (
                asyncio.timeout(10),
                aiohttp.ClientSession() as client,
                open_door(door, "127.0.0.1:0") as address,
            ):
                shop = Shop(door, address, client)
                shop.bank = Line(CARD, sandbox.key_of(embedded.bank.key_text))
                await work(shop)
            await views.close()

        wiring.run(settings, beside, start=start)

    return play


def idle(_: Any) -> None:
    """Start no loop: nothing is ever committed."""


# Who may ask


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Origin": "http://127.0.0.1:8080"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:8080"}, 421),
        ({"Host": "127.0.0.1.evil.example:80"}, 421),
        ({"Host": "localhost:8080"}, 200),
        ({"Host": "[::1]:1"}, 200),
        ({"Host": "127.0.0.1"}, 200),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
)
def test_a_web_page_is_no_client(at_door: Open, headers: dict[str, str], status: int) -> None:
    async def work(shop: Shop) -> None:
        async with shop.post(json.dumps(RECORD).encode(), **headers) as reply:
            assert reply.status == status
        is_kept = await shop.door.views.payment("main/pay_1") is not None
        assert is_kept == (status == 200)

    at_door(work)


def test_a_door_to_the_network_takes_only_what_is_signed(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.ask(RECORD)
        async with open_door(shop.door, "0.0.0.0:0") as address:
            port = address.rpartition(":")[2]
            outside = Shop(shop.door, f"http://127.0.0.1:{port}", shop.client)
            assert await outside.ask(REFUND) == (403, {"code": "forbidden", "detail": NOT_HERE})
            notice = sandbox.notice_of(shop.bank, telling())
            assert await outside.tell(notice.body, notice.headers) == 204
            assert await outside.look("/healthz") == 200

    at_door(work)


def test_a_body_that_comes_too_slowly_is_not_waited_for(
    at_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BODY_WITHIN_S", 0.05)

    async def work(shop: Shop) -> None:
        host, port = shop.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /requests HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
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
        shop.door.handled = 1
        status, complaint = await shop.ask(RECORD)
        assert (status, complaint["code"]) == (503, "overloaded")
        shop.door.handled = 0
        assert (await shop.ask(RECORD))[0] == 200
        assert shop.door.handled == 0

    at_door(work)


# What is kept


def test_a_payment_is_recorded_and_refunded(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        status, recorded = await shop.ask(RECORD)
        assert status == 200
        assert set(recorded) == {"key", "replayed", "receipt", "instructions", "payment"}
        assert (recorded["key"], recorded["replayed"]) == ("k1", False)
        assert recorded["receipt"]["decision"] == "accepted"
        assert recorded["instructions"] == []
        assert recorded["payment"]["id"] == "pay_1"
        assert recorded["payment"]["state"] == "captured"

        status, refunded = await shop.ask(REFUND, reason="torn", wait=5)
        [refund] = refunded["instructions"]
        assert status == 200
        assert refunded["receipt"]["legs"][0]["id"] == f"main/{refund['id']}"
        assert (refund["status"], refund["labels"]["reason"]) == ("succeeded", "torn")
        assert refunded["payment"]["refunded"]["minor"] == 300

    at_door(work)


def test_the_same_request_gets_the_same_receipt_byte_for_byte(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.ask(RECORD)
        _, first = await shop.ask(REFUND)
        _, again = await shop.ask(REFUND, wait=0)

        assert (first["replayed"], again["replayed"]) == (False, True)
        assert again["receipt"] == first["receipt"]

    at_door(work)


def test_a_refusal_is_kept_and_told_again(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        first = await shop.ask(REFUND)
        await shop.ask(RECORD)
        again = await shop.ask(REFUND)

        assert first[0] == again[0] == 200
        assert first[1]["receipt"]["code"] == "payment_unknown"
        assert first[1]["payment"] is None
        assert again[1]["receipt"] == first[1]["receipt"]
        assert again[1]["replayed"]

    at_door(work)


def test_a_key_of_another_request_is_refused_and_nothing_is_kept(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.ask(RECORD)
        await shop.ask(REFUND)

        assert await shop.ask(REFUND, amount=301) == (
            422,
            {"code": "key_reused", "detail": "main/k2"},
        )

    at_door(work)


def test_a_payment_is_authorised_captured_and_reversed(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        pay = {**RECORD, "do": "pay", "manual": True, "wait": 5}
        _, paid = await shop.ask(pay)
        asked = {"payment": "pay_1", "wait": 5}
        part = {"amount": 400, "currency": "CNY"}
        _, captured = await shop.ask({"do": "capture", "key": "k3", **asked, **part})
        _, reversed_ = await shop.ask({"do": "reverse", "key": "k4", **asked})

        assert paid["payment"]["state"] == "authorized"
        assert captured["payment"]["captured"]["minor"] == 400
        assert sorted(each["kind"] for each in reversed_["instructions"]) == ["refund", "void"]
        assert reversed_["payment"]["refunded"]["minor"] == 400
        assert reversed_["payment"]["voided"]["minor"] == 650

    at_door(work)


def test_what_was_only_authorised_elsewhere_is_canceled(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        _, recorded = await shop.ask(RECORD, authorized_only=True)
        _, canceled = await shop.ask({"do": "cancel", "key": "k2", "payment": "pay_1", "wait": 5})

        assert recorded["payment"]["state"] == "authorized"
        assert canceled["payment"]["state"] == "canceled"

    at_door(work)


def test_a_refund_is_taken_back_by_the_id_that_was_shown(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.ask(RECORD)
        _, kept = await shop.ask(REFUND)
        [refund] = kept["instructions"]
        _, taken = await shop.ask({"do": "withdraw", "key": "k3", "reversal": refund["id"]})

        assert taken["instructions"][0]["id"] == refund["id"]
        assert taken["instructions"][0]["status"] == "canceled"
        assert taken["payment"]["reserved"]["minor"] == 0

    at_door(work, start=start_intake)


# The same at both doors

AT_BOTH = [
    (RECORD, ("pay", "pay_1", "--minor", "1050", "--instrument", "tok_ok", "--captured")),
    (
        {**RECORD, "authorized_only": True},
        ("pay", "pay_1", "--minor", "1050", "--instrument", "tok_ok", "--authorized"),
    ),
    (
        {**RECORD, "do": "pay", "method": "card"},
        ("pay", "pay_1", "--minor", "1050", "--instrument", "tok_ok", "--method", "card"),
    ),
    (
        {**RECORD, "do": "pay", "manual": True, "channel": "sandbox_rail"},
        (
            *("pay", "pay_1", "--minor", "1050", "--instrument", "tok_ok", "--manual"),
            *("--channel", "sandbox_rail"),
        ),
    ),
    (
        {**REFUND, "reason": "torn", "capture": "c1"},
        ("refund", "pay_1", "--minor", "300", "--reason", "torn", "--capture-id", "c1"),
    ),
    ({"do": "capture", "payment": "pay_1"}, ("capture", "pay_1")),
    (
        {"do": "capture", "payment": "pay_1", "amount": 5, "currency": "CNY"},
        ("capture", "pay_1", "--minor", "5"),
    ),
    (
        {"do": "cancel", "payment": "pay_1", "reason": "late"},
        ("cancel", "pay_1", "--reason", "late"),
    ),
    ({"do": "reverse", "payment": "pay_1"}, ("reverse", "pay_1")),
    ({"do": "withdraw", "reversal": "r1"}, ("withdraw", "r1")),
]


@pytest.mark.parametrize(("wish", "words"), AT_BOTH, ids=[str(words) for _, words in AT_BOTH])
def test_a_request_is_known_again_at_the_other_door(
    at_door: Open, database: str, wish: dict[str, Any], words: tuple[str, ...]
) -> None:
    """Accepted or refused, there is one receipt for it."""
    here: list[Any] = []

    async def work(shop: Shop) -> None:
        here.append(await shop.ask({**wish, "key": "both"}))

    at_door(work, start=start_intake)
    money = ("--currency", "CNY") if "--minor" in words else ()
    told = CliRunner().invoke(app, [*words, *money, "--key", "both", "--json", "--db", database])
    there = json.loads(told.stdout)
    [(status, reply)] = here

    assert status == 200
    assert there["is_replayed"], there
    assert there["receipt"] == reply["receipt"]


# What is not kept


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"key": ""}, "field_invalid", "key: empty"),
        ({"key": "a\0"}, "field_invalid", "key: only printable"),
        ({"key": "a\ud800"}, "field_invalid", "key: "),
        ({"key": "policy:x"}, "field_invalid", "key: policy: is for"),
        ({"key": 5}, "field_invalid", "key: "),
        ({"key": None}, "field_invalid", "key: "),
        ({"payment": "a/b"}, "field_invalid", "payment: no '/'"),
        ({"payment": "p\0"}, "field_invalid", "payment: only printable"),
        ({"payment": "x" * 129}, "field_invalid", "payment: longer"),
        ({"reason": "a\0b"}, "field_invalid", "reason: no control characters"),
        ({"reason": "\x1b[31m"}, "field_invalid", "reason: no control characters"),
        ({"reason": "\udfff"}, "field_invalid", "reason: "),
        ({"capture": "c\n"}, "field_invalid", "capture: only printable"),
        ({"currency": "cny"}, "field_invalid", "currency: not a currency"),
        ({"currency": "XAU"}, "field_invalid", "currency: not a currency"),
        ({"currency": ""}, "field_invalid", "currency: not a currency"),
        ({"amount": 0}, "amount_invalid", "amount: zero"),
        ({"amount": -1}, "amount_invalid", "amount: negative"),
        ({"amount": 10**15 + 1}, "amount_invalid", "amount: above"),
        ({"amount": 10**40}, "amount_invalid", "amount: above"),
        ({"amount": 3.0}, "amount_invalid", "amount: a whole number"),
        ({"amount": "300"}, "amount_invalid", "amount: a whole number"),
        ({"amount": True}, "amount_invalid", "amount: a whole number"),
        ({"amount": None}, "amount_invalid", "amount: a whole number"),
        ({"wait": -1}, "field_invalid", "wait: "),
        ({"wait": 30.5}, "field_invalid", "wait: "),
        ({"do": "steal"}, "field_invalid", "do: "),
        ({"instruction": "x"}, "field_invalid", "instruction: "),
        ({"manual": True}, "field_invalid", "manual: "),
        ({"currency": "CNY", "a\ud800": 1}, "field_invalid", "body: "),
    ],
)
def test_a_bad_field_is_refused_by_name(
    at_door: Open, change: dict[str, Any], code: str, words: str
) -> None:
    async def work(shop: Shop) -> None:
        status, complaint = await shop.ask(REFUND, **change)

        assert (status, complaint["code"]) == (400, code)
        assert complaint["detail"].startswith(words), complaint
        assert await shop.door.views.receipt("main/k2") is None

    at_door(work)


@pytest.mark.parametrize("name", ["do", "key", "payment", "amount", "currency"])
def test_a_missing_field_is_named(at_door: Open, name: str) -> None:
    async def work(shop: Shop) -> None:
        wish = {field: value for field, value in REFUND.items() if field != name}
        status, complaint = await shop.ask(wish)

        assert (status, complaint["code"]) == (400, "field_invalid")
        assert complaint["detail"].startswith(f"{name}: ")

    at_door(work)


@pytest.mark.parametrize("do", ["capture", "reverse"])
@pytest.mark.parametrize(
    ("given", "missing"), [({"amount": 5}, "currency"), ({"currency": "CNY"}, "amount")]
)
def test_amount_and_currency_come_together(
    at_door: Open, do: str, given: dict[str, Any], missing: str
) -> None:
    async def work(shop: Shop) -> None:
        status, complaint = await shop.ask({"do": do, "key": "k", "payment": "p", **given})

        assert status == 400
        assert complaint["detail"].startswith(f"{missing}: ")

    at_door(work)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{", b"\xff", b'{"do":"refund","key":"\xff"}', b"[" * 60_000]
)
def test_what_is_no_request_is_refused(at_door: Open, body: bytes) -> None:
    async def work(shop: Shop) -> None:
        status, complaint = await shop.ask(body)

        assert (status, complaint["code"]) == (400, "field_invalid")

    at_door(work)


def test_a_body_that_is_too_long_is_not_read(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        body = json.dumps({**REFUND, "reason": "x" * 70_000}).encode()
        async with shop.post(body) as reply:
            assert reply.status == 413

    at_door(work)


def test_when_too_many_wait_one_more_is_told_to_come_back(
    at_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contraflow.engine.intake.REQUESTS_WAITING_MAX", 1)

    async def work(shop: Shop) -> None:
        first = asyncio.create_task(shop.ask(RECORD))
        while not shop.door.parts.intake.requests:
            await asyncio.sleep(0.005)
        status, complaint = await shop.ask(REFUND)
        first.cancel()

        assert (status, complaint["code"]) == (503, "overloaded")

    at_door(work, start=idle)


def test_what_could_not_be_written_is_told_to_come_back(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        asked = asyncio.create_task(shop.ask(RECORD))
        [waiting] = await taken(shop)
        waiting.ticket.set_exception(StoreUnwritable("disk full"))

        assert await asked == (503, {"code": "store_unwritable", "detail": "disk full"})

    at_door(work, start=idle)


async def taken(shop: Shop) -> list[Waiting]:
    intake = shop.door.parts.intake
    while not intake.requests and not intake.first:
        await asyncio.sleep(0.005)
    waiting = [*intake.requests, *intake.first]
    intake.requests.clear()
    intake.first.clear()
    return waiting


# Who waits


def test_who_goes_away_stops_waiting_and_the_refund_goes_on(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.ask(RECORD, instrument="tok_accept_then_succeed")
        asked = asyncio.create_task(shop.ask(REFUND, wait=30))
        while await shop.door.views.receipt("main/k2") is None:
            await asyncio.sleep(0.005)
        asked.cancel()
        _, again = await shop.ask(REFUND, wait=5)

        assert again["replayed"]
        assert again["instructions"][0]["status"] == "succeeded"

    at_door(work)


def test_who_goes_away_before_the_commit_has_asked_all_the_same(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        asked = asyncio.create_task(shop.ask(RECORD))
        while not shop.door.parts.intake.requests:
            await asyncio.sleep(0.005)
        asked.cancel()
        while shop.door.asked_at:
            await asyncio.sleep(0.005)
        start_intake(shop.door.parts)
        while await shop.door.views.payment("main/pay_1") is None:
            await asyncio.sleep(0.005)
        _, again = await shop.ask(RECORD)

        assert again["replayed"]

    at_door(work, start=idle)


def test_who_waits_is_answered_when_the_door_closes(at_door: Open) -> None:
    replies: list[Said] = []

    async def work(shop: Shop) -> None:
        await shop.ask(RECORD)

        async def wait() -> None:
            replies.append(await shop.ask(REFUND, wait=30))

        waiting = asyncio.create_task(wait())
        while await shop.door.views.receipt("main/k2") is None:
            await asyncio.sleep(0.005)
        shop.door.is_ending.set()
        await waiting

        assert await shop.look("/readyz") == 503
        assert await shop.look("/healthz") == 200
        assert await shop.ask(REFUND, key="k3") == (
            503,
            {"code": "overloaded", "detail": "the process is ending"},
        )

    at_door(work, start=start_intake)
    [(status, reply)] = replies

    assert status == 200
    assert reply["instructions"][0]["status"] == "pending"


# Ready


def test_a_door_is_ready_while_the_database_answers(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        assert [await shop.look(path) for path in ("/healthz", "/readyz")] == [200, 200]

        async def trouble() -> list[str]:
            raise StoreUnwritable

        shop.door.views = _Views(trouble)
        assert [await shop.look(path) for path in ("/healthz", "/readyz")] == [200, 503]

    at_door(work)


class _Views:
    def __init__(self, holds: Any) -> None:
        self.holds = holds


def test_a_database_that_answers_nobody_is_not_ready(
    at_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "READY_WITHIN_S", 0.05)

    async def work(shop: Shop) -> None:
        shop.door.views = _Views(asyncio.Event().wait)

        assert await shop.look("/readyz") == 503

    at_door(work)


def test_where_nothing_is_committed_it_is_not_ready(
    at_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "STUCK_S", 0.05)

    async def work(shop: Shop) -> None:
        asked = asyncio.create_task(shop.ask(RECORD))
        await asyncio.sleep(0.1)
        stuck = await shop.look("/readyz")
        start_intake(shop.door.parts)
        await asked

        assert stuck == 503
        assert await shop.look("/readyz") == 200

    at_door(work, start=idle)


def test_a_broken_promise_of_ours_ends_the_process_and_is_no_answer(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.ask(RECORD)

        def break_it(_: Any) -> str:
            raise AssertionError("planted")

        shop.door.channel_of = break_it
        with pytest.raises(aiohttp.ClientError):
            await shop.tell(b"{}", {})
        await asyncio.sleep(5)

    with pytest.raises(AssertionError, match="planted"):
        at_door(work)


def test_the_receipt_is_told_also_where_the_database_is_lost_right_after(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        async def lost(_: str) -> None:
            raise StoreUnwritable

        views: Any = _Views(None)
        views.instruction = views.payment = lost
        shop.door.views = views
        status, reply = await shop.ask(RECORD)

        assert status == 200
        assert reply["receipt"]["decision"] == "accepted"
        assert (reply["instructions"], reply["payment"]) == (None, None)

    at_door(work)


# Notices


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
        await shop.ask(RECORD)
        notice = sandbox.notice_of(shop.bank, telling())
        told = [await shop.tell(notice.body, notice.headers) for _ in range(2)]
        payment = await shop.door.views.payment("main/pay_1")

        assert told == [204, 204]
        assert payment is not None
        assert payment.refunded == 50

    at_door(work)


def test_a_notice_that_is_forged_or_nobodys_changes_nothing(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.ask(RECORD)
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
        payment = await shop.door.views.payment("main/pay_1")

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
        await shop.ask(RECORD)
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
