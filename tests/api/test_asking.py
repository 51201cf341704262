"""What is asked for at the door: payments, refunds and reversals, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from shop import PAYMENT, REFUND, Shop
from typer.testing import CliRunner

from contraflow.cli.main import app
from contraflow.engine.session import start_intake

Open = Callable[..., None]


def test_a_payment_is_recorded_and_refunded(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        status, recorded = await shop.record()
        assert (status, recorded["status"]) == (201, "captured")
        assert recorded["receipt"]["decision"] == "accepted"
        assert recorded["amount_refundable"] == 1_050

        status, refunded = await shop.refund(prefer="wait=5", reason="torn", metadata={"a": "b"})
        assert (status, refunded["status"], refunded["reason"]) == (201, "succeeded", "torn")
        assert refunded["receipt"]["legs"][0]["id"] == f"main/{refunded['id']}"
        assert refunded["metadata"] == {"a": "b"}
        assert refunded["source"]["address"] == "127.0.0.1"
        assert refunded["source"]["key"].startswith("key_")

        _, payment = await shop.get("/v1/payments/pay_1?expand=reversals")
        assert payment["amount_refunded"] == 300
        assert [each["id"] for each in payment["reversals"]] == [refunded["id"]]
        _, refund = await shop.get(f"/v1/refunds/{refunded['id']}?expand=payment")
        assert refund["payment"]["id"] == "pay_1"

    at_door(work)


def test_the_same_request_gets_the_same_receipt_byte_for_byte(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.record()
        async with shop.send("POST", "/v1/refunds", REFUND, "k") as reply:
            first, is_replay = await reply.read(), reply.headers.get("Idempotent-Replayed")
        async with shop.send("POST", "/v1/refunds", REFUND, "k", Prefer="wait=5") as reply:
            again, is_again = await reply.read(), reply.headers.get("Idempotent-Replayed")

        assert (is_replay, is_again) == (None, "true")
        receipts = [body[body.index(b'"receipt":') :] for body in (first, again)]
        assert receipts[0] == receipts[1]
        assert json.loads(again)["status"] == "succeeded"

    at_door(work)


def test_a_refusal_is_kept_and_told_again(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        first = await shop.refund("k")
        await shop.record()
        again = await shop.refund("k")

        assert first[0] == again[0] == 404
        assert first[1]["receipt"]["code"] == first[1]["code"] == "payment_unknown"
        assert again[1]["receipt"] == first[1]["receipt"]

    at_door(work)


def test_a_key_of_another_request_is_refused_and_nothing_is_kept(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.record()
        await shop.refund("k")
        status, problem = await shop.refund("k", amount=301)

        assert (status, problem["code"]) == (422, "key_reused")
        assert "receipt" not in problem
        _, payment = await shop.get("/v1/payments/pay_1")
        assert payment["amount_refunded"] + payment["amount_reserved"] == 300

    at_door(work)


def test_the_preference_is_no_part_of_the_request(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.record()
        statuses = [
            (await shop.refund("k", prefer))[0]
            for prefer in ("respond-async", "wait=5", "respond-async, wait=5", "", "lenient")
        ]

        assert statuses[1:] == [201] * 4

    at_door(work)


def test_a_key_is_refused_while_it_is_being_decided(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        shop.desk.deciding["main/k"] = 0.0
        status, problem = await shop.refund("k")

        assert (status, problem["code"]) == (409, "idempotency_key_in_use")

    at_door(work)


def test_an_expected_amount_that_changed_is_a_conflict(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.record()
        ok, _ = await shop.refund(expected_amount_refundable=1_050)
        status, problem = await shop.refund(expected_amount_refundable=1_050)

        assert ok in (201, 202)
        assert (status, problem["code"]) == (409, "refundable_amount_changed")
        assert problem["detail"] == "750"

    at_door(work)


def test_a_payment_is_authorised_captured_and_reversed(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        prefer = {"Prefer": "wait=5"}
        wish = {**PAYMENT, "recorded": None, "capture_method": "manual"}
        _, paid = await shop.post("/v1/payments", wish, **prefer)
        part = {"amount": 400, "currency": "CNY"}
        _, captured = await shop.post("/v1/payments/pay_1/capture", part, **prefer)
        body = {"payment": "pay_1"}
        planned, plan = await shop.post("/v1/reversals?plan=true", body)
        status, done = await shop.post("/v1/reversals", body, **prefer)

        assert paid["status"] == "authorized"
        assert captured["amount_captured"] == 400
        assert planned == 200
        legs = [(leg["kind"], leg["amount"]) for leg in plan["legs"]]
        assert legs == [("void", 650), ("refund", 400)]
        assert (status, done["status"]) == (201, "succeeded")
        assert sorted(leg["kind"] for leg in done["legs"]) == ["refund", "void"]
        assert done["payment"]["amount_refunded"] == 400
        assert done["payment"]["amount_voided"] == 650

    at_door(work)


def test_what_was_only_authorised_elsewhere_is_canceled(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        _, recorded = await shop.record(recorded="authorized")
        _, options = await shop.get("/v1/payments/pay_1/reversal-options")
        status, done = await shop.post("/v1/payments/pay_1/cancel", {}, Prefer="wait=5")

        assert recorded["status"] == "authorized"
        assert [each["action"] for each in options["options"] if each["is_allowed"]] == ["void"]
        assert (status, done["status"]) == (201, "succeeded")
        assert done["payment"]["status"] == "canceled"

    at_door(work)


def test_a_refund_is_taken_back_by_the_id_that_was_shown(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        await shop.record()
        status, kept = await shop.refund()
        done, taken = await shop.post(f"/v1/refunds/{kept['id']}/cancel", {})

        assert (status, done) == (202, 201)
        assert (taken["id"], taken["status"]) == (kept["id"], "canceled")

    at_door(work, start=start_intake)


def test_a_payment_without_a_name_gets_one_that_follows_from_the_key(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        wish = {name: value for name, value in PAYMENT.items() if name != "id"}
        _, first = await shop.post("/v1/payments", wish, "k")
        _, again = await shop.post("/v1/payments", wish, "k")

        assert first["id"] == again["id"]
        assert len(first["id"]) == 26

    at_door(work)


# The same at both doors

AT_BOTH: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    (
        "/v1/payments",
        PAYMENT,
        ("pay", "pay_1", "--minor", "1050", "--instrument", "tok_ok", "--captured"),
    ),
    (
        "/v1/payments",
        {**PAYMENT, "recorded": "authorized", "customer": "Li"},
        (
            *("pay", "pay_1", "--minor", "1050", "--instrument", "tok_ok", "--authorized"),
            *("--customer", "Li"),
        ),
    ),
    (
        "/v1/payments",
        {**PAYMENT, "recorded": None, "method": "card"},
        ("pay", "pay_1", "--minor", "1050", "--instrument", "tok_ok", "--method", "card"),
    ),
    (
        "/v1/payments",
        {**PAYMENT, "recorded": None, "capture_method": "manual", "channel": "sandbox_rail"},
        (
            *("pay", "pay_1", "--minor", "1050", "--instrument", "tok_ok", "--manual"),
            *("--channel", "sandbox_rail"),
        ),
    ),
    (
        "/v1/refunds",
        {**REFUND, "reason": "torn", "capture": "c1"},
        ("refund", "pay_1", "--minor", "300", "--reason", "torn", "--capture-id", "c1"),
    ),
    ("/v1/payments/pay_1/capture", {}, ("capture", "pay_1")),
    (
        "/v1/payments/pay_1/capture",
        {"amount": 5, "currency": "CNY"},
        ("capture", "pay_1", "--minor", "5"),
    ),
    ("/v1/payments/pay_1/cancel", {"reason": "late"}, ("cancel", "pay_1", "--reason", "late")),
    ("/v1/reversals", {"payment": "pay_1"}, ("reverse", "pay_1")),
    ("/v1/refunds/r1/cancel", {}, ("withdraw", "r1")),
]


@pytest.mark.parametrize(("path", "body", "words"), AT_BOTH, ids=[str(w) for _, _, w in AT_BOTH])
def test_a_request_is_known_again_at_the_other_door(
    at_door: Open, database: str, path: str, body: dict[str, Any], words: tuple[str, ...]
) -> None:
    """Accepted or refused, there is one receipt for it."""
    here: list[Any] = []

    async def work(shop: Shop) -> None:
        here.append((await shop.post(path, body, "both"))[1])

    at_door(work, start=start_intake)
    money = ("--currency", "CNY") if "--minor" in words else ()
    told = CliRunner().invoke(app, [*words, *money, "--key", "both", "--json", "--db", database])
    there = json.loads(told.stdout)

    assert there["is_replayed"], there
    assert there["receipt"] == here[0]["receipt"]
