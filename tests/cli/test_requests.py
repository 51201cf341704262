"""Requests on the command line: what they answer, and with which exit code they end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

GBP = ("--currency", "GBP")
WHOLE = ("--minor", "1050", *GBP)
PART = ("--minor", "300", *GBP)


def test_a_payment_made_elsewhere_is_recorded_captured(shell: Any) -> None:
    reply = shell("pay", "pay_1", *WHOLE, "--captured", "--customer", "Ada", "--key", "k1")

    assert reply["key"] == "k1"
    assert reply["is_replayed"] is False
    assert reply["receipt"]["decision"] == "accepted"
    assert reply["error"] is None
    assert reply["instructions"] == []
    assert reply["payment"]["state"] == "captured"
    assert reply["payment"]["refundable"] == {"minor": 1050, "currency": "GBP", "text": "10.50"}
    assert reply["payment"]["labels"] == {"customer": "Ada", "source": "cli"}


def test_a_payment_made_elsewhere_is_recorded_authorized(shell: Any) -> None:
    reply = shell("pay", "pay_1", *WHOLE, "--authorized")

    assert reply["payment"]["state"] == "authorized"
    assert reply["payment"]["capturable"]["minor"] == 1050


def test_a_payment_is_taken_through_its_channel(shell: Any) -> None:
    reply = shell("pay", "pay_1", *WHOLE, "--wait", "5")

    [instruction] = reply["instructions"]
    assert (instruction["kind"], instruction["status"]) == ("pay", "succeeded")
    assert reply["payment"]["state"] == "captured"


def test_without_a_wait_a_request_is_only_kept(shell: Any) -> None:
    reply = shell("pay", "pay_1", *WHOLE)

    [instruction] = reply["instructions"]
    assert (instruction["status"], instruction["state"]) == ("pending", "accepted")
    assert reply["payment"]["state"] == "created"


def test_a_manual_payment_is_authorised_and_then_captured(shell: Any) -> None:
    assert shell("pay", "pay_1", *WHOLE, "--manual", "--wait", "5")["payment"]["state"] == (
        "authorized"
    )
    reply = shell("capture", "pay_1", *PART, "--wait", "5")

    assert reply["payment"]["captured"]["minor"] == 300
    assert reply["payment"]["capturable"]["minor"] == 750


def test_a_capture_made_elsewhere_is_recorded(shell: Any) -> None:
    shell("pay", "pay_1", *WHOLE, "--authorized")
    reply = shell("capture", "pay_1", *WHOLE, "--recorded")

    assert reply["payment"]["state"] == "captured"


def test_an_authorised_payment_is_voided_synchronously(shell: Any) -> None:
    shell("pay", "pay_1", *WHOLE, "--authorized")
    reply = shell("cancel", "pay_1", "--reason", "out of stock", "--wait", "5")

    [instruction] = reply["instructions"]
    assert (instruction["kind"], instruction["mode"]) == ("void", "synchronous_cancel")
    assert instruction["labels"]["reason"] == "out of stock"
    assert reply["payment"]["state"] == "canceled"


def test_a_payment_that_was_never_sent_is_taken_back(shell: Any) -> None:
    shell("pay", "pay_1", *WHOLE)
    reply = shell("cancel", "pay_1")

    [instruction] = reply["instructions"]
    assert (instruction["kind"], instruction["status"]) == ("pay", "canceled")
    assert reply["payment"]["state"] == "canceled"


def test_a_refund_is_asynchronous_without_a_wait(shell: Any, captured: Any) -> None:
    captured()
    words = ("--reason", "broken", "--actor", "ben", "--payee", "Ada", "--reference", "R-1")
    pairs = ("--metadata", "shelf=7", "--metadata", "row=b=c")
    reply = shell("refund", "pay_1", *PART, *words, *pairs)

    [instruction] = reply["instructions"]
    assert instruction["mode"] == "asynchronous_refund"
    assert instruction["status"] == "pending"
    assert instruction["labels"] == {
        "reason": "broken",
        "actor": "ben",
        "source": "cli",
        "payee": "Ada",
        "merchant_reference": "R-1",
        "metadata": {"shelf": "7", "row": "b=c"},
    }
    assert reply["payment"]["reserved"]["minor"] == 300


def test_a_refund_is_synchronous_with_a_wait(shell: Any, captured: Any) -> None:
    captured()
    reply = shell("refund", "pay_1", *PART, "--expected-refundable", "1050", "--wait", "5")

    [instruction] = reply["instructions"]
    assert instruction["mode"] == "synchronous_refund"
    assert (instruction["status"], instruction["attempts"]) == ("succeeded", 1)
    assert instruction["failure_reason"] is None
    assert reply["payment"]["refunded"]["text"] == "3.00"


def test_a_refund_may_name_a_capture(shell: Any, captured: Any) -> None:
    captured()
    reply = shell("refund", "pay_1", *PART, "--capture-id", "recorded")
    refused = shell("refund", "pay_1", *PART, "--capture-id", "nope", code=3)

    assert reply["instructions"][0]["capture"] == "recorded"
    assert refused["error"]["code"] == "capture_unknown"


# The answer may be late, no, or no longer true.


def test_a_lost_reply_is_inquired_about_while_we_wait(shell: Any, captured: Any) -> None:
    captured(script="lose_reply")
    reply = shell("refund", "pay_1", *PART, "--wait", "10")

    assert reply["instructions"][0]["status"] == "succeeded"
    assert shell("doctor")["ok"] is True


def test_a_declined_refund_fails_and_frees_what_it_reserved(shell: Any, captured: Any) -> None:
    captured(script="decline")
    reply = shell("refund", "pay_1", *PART, "--wait", "5", code=5)

    assert reply["instructions"][0]["status"] == "failed"
    assert reply["instructions"][0]["failure_reason"] == "refused"
    assert reply["payment"]["refundable"]["minor"] == 1050


def test_a_refund_that_bounces_is_shown_as_failed(shell: Any, captured: Any) -> None:
    captured(script="bounce_first")
    reply = shell("refund", "pay_1", *PART, "--wait", "5", code=5)

    [instruction] = reply["instructions"]
    assert (instruction["state"], instruction["status"]) == ("bounced", "failed")
    assert reply["payment"]["refunded"]["minor"] == 0


def test_what_is_still_open_after_the_wait_ends_with_one(shell: Any, captured: Any) -> None:
    captured(script="accept_then_succeed")
    reply = shell("refund", "pay_1", *PART, "--wait", "0", code=1)

    assert reply["instructions"][0]["status"] == "pending"


# Once for each key.


def test_the_same_key_gets_the_same_receipt_and_todays_state(shell: Any, captured: Any) -> None:
    captured()
    first = shell("refund", "pay_1", *PART, "--key", "k2")
    again = shell("refund", "pay_1", *PART, "--key", "k2", "--wait", "5")

    assert again["is_replayed"] is True
    assert again["receipt"] == first["receipt"]
    assert first["instructions"][0]["state"] == "accepted"
    assert again["instructions"][0]["state"] == "succeeded"
    assert again["payment"]["refunded"]["minor"] == 300


@pytest.mark.parametrize(
    "other",
    [
        ("refund", "pay_1", "--minor", "301", *GBP),
        ("refund", "pay_1", *PART, "--reason", "another"),
        ("refund", "pay_1", *PART, "--expected-refundable", "0"),
        ("reverse", "pay_1", *PART),
        ("pay", "pay_2", *WHOLE),
    ],
)
def test_another_request_under_a_key_is_refused(
    shell: Any, captured: Any, other: tuple[str, ...]
) -> None:
    captured()
    shell("refund", "pay_1", *PART, "--key", "k3")
    reply = shell(*other, "--key", "k3", code=3)

    assert reply["error"]["code"] == "key_reused"
    assert len(shell("list")["instructions"]) == 1


def test_a_validity_is_compared_as_it_was_asked_for(shell: Any) -> None:
    words = ("pay", "pay_1", *WHOLE, "--expires-in", "15m", "--key", "k4")
    first = shell(*words)

    assert shell(*words)["is_replayed"] is True
    assert first["payment"]["expires_at"] is not None


def test_a_refusal_is_remembered(shell: Any, captured: Any) -> None:
    captured()
    words = ("refund", "pay_1", "--minor", "9999", *GBP, "--key", "k5")
    first, again = shell(*words, code=3), shell(*words, code=3)

    assert first["error"] == {"code": "amount_exceeds_refundable", "detail": "1050"}
    assert again["is_replayed"] is True
    assert again["receipt"] == first["receipt"]


# Reverse shows its plan first.


def test_a_plan_is_shown_and_nothing_is_done(shell: Any, captured: Any) -> None:
    captured()
    plan = shell("reverse", "pay_1", "--plan")

    assert plan == {
        "plan": [{"kind": "refund", "amount": {"minor": 1050, "currency": "GBP", "text": "10.50"}}]
    }
    assert shell("list")["instructions"] == []


def test_a_plan_says_why_nothing_can_be_done(shell: Any, captured: Any) -> None:
    captured()
    reply = shell("reverse", "pay_1", "--plan", "--minor", "1051", *GBP, code=3)

    assert reply["error"]["code"] == "amount_exceeds_refundable"
    assert shell("reverse", "pay_9", "--plan", code=3)["error"]["code"] == "payment_unknown"


def test_a_payment_that_was_never_sent_is_withdrawn_by_plan(shell: Any) -> None:
    shell("pay", "pay_1", *WHOLE)

    assert shell("reverse", "pay_1", "--plan")["plan"][0]["kind"] == "withdraw"
    assert shell("reverse", "pay_1")["payment"]["state"] == "canceled"


def test_a_reversal_voids_the_rest_and_refunds_what_was_captured(shell: Any) -> None:
    shell("pay", "pay_1", *WHOLE, "--authorized")
    shell("capture", "pay_1", *PART, "--recorded")
    reply = shell("reverse", "pay_1", "--wait", "10")

    legs = [(leg["kind"], leg["amount"]["minor"], leg["status"]) for leg in reply["instructions"]]
    assert sorted(legs) == [("refund", 300, "succeeded"), ("void", 750, "succeeded")]


def test_for_people_the_plan_comes_first(page: Any, captured: Any) -> None:
    captured()
    told = page("reverse", "pay_1")

    assert told.index("plan") < told.index("accepted") < told.index("instructions")


def test_a_cancel_that_comes_too_late_goes_on_as_a_refund(shell: Any) -> None:
    shell("pay", "pay_1", *WHOLE, "--authorized", "--script", "captured_first")
    reply = shell("reverse", "pay_1", "--wait", "10")

    void, refund = reply["instructions"]
    assert (void["kind"], void["status"]) == ("void", "failed")
    assert (refund["kind"], refund["status"]) == ("refund", "succeeded")


# Taken back, held, released, rejected.


@pytest.fixture
def patient(database: Path) -> tuple[str, str]:
    """A settings file with an undo window of a minute."""
    file = database.with_name("patient.toml")
    file.write_text("undo_window_s = 60\n")
    return ("--settings", str(file))


def test_a_refund_is_withdrawn_inside_its_undo_window(
    shell: Any, captured: Any, patient: tuple[str, str]
) -> None:
    captured()
    [held] = shell("refund", "pay_1", *PART, "--wait", "0", *patient, code=1)["instructions"]
    reply = shell("withdraw", held["id"], *patient)

    assert (held["status"], held["pending_reason"]) == ("pending", "undo_window")
    [instruction] = reply["instructions"]
    assert (instruction["status"], instruction["withdrawal"]) == ("canceled", "done")
    assert reply["payment"]["refundable"]["minor"] == 1050


def test_a_finished_refund_is_not_withdrawn(shell: Any, captured: Any) -> None:
    captured()
    [done] = shell("refund", "pay_1", *PART, "--wait", "5")["instructions"]

    assert shell("withdraw", done["id"], code=3)["error"]["code"] == "too_late"


def test_a_refund_for_review_is_released(shell: Any, captured: Any) -> None:
    captured()
    [held] = shell("refund", "pay_1", *PART, "--review")["instructions"]
    [done] = shell("release", held["id"], "--wait", "5")["instructions"]

    assert (held["status"], held["pending_reason"]) == ("requires_action", "review")
    assert done["status"] == "succeeded"


def test_a_refund_for_review_is_rejected(shell: Any, captured: Any) -> None:
    captured()
    [held] = shell("refund", "pay_1", *PART, "--review")["instructions"]
    reply = shell("reject", held["id"])

    assert reply["instructions"][0]["failure_reason"] == "rejected"
    assert reply["payment"]["refundable"]["minor"] == 1050
    assert shell("release", held["id"], code=3)["error"]["code"] == "state_forbids"


# The operator.


@pytest.mark.slow
def test_hold_mode_takes_requests_and_sends_nothing(shell: Any, captured: Any) -> None:
    captured()
    assert shell("hold", "on", "channel:sandbox")["error"] is None
    [waiting] = shell("refund", "pay_1", *PART, "--wait", "1", code=1)["instructions"]
    assert waiting["state"] == "accepted"
    assert shell("attention", "list")["holds"] == ["channel:sandbox"]
    shell("hold", "off", "channel:sandbox")

    assert shell("refund", "pay_1", *PART, "--wait", "5")["payment"]["refunded"]["minor"] == 600


def test_a_person_resolves_what_a_wrong_answer_left_open(shell: Any, captured: Any) -> None:
    captured(script="wrong_amount")
    [open_one] = shell("refund", "pay_1", *PART, "--wait", "5", code=1)["instructions"]
    [case] = shell("attention", "list")["cases"]
    words = ("attention", "resolve", case["id"], "succeeded")
    reply = shell(*words, "--evidence", "statement of today, line 7")

    assert open_one["state"] == "attention"
    assert (case["id"], case["kind"]) == (open_one["id"], "attention")
    assert reply["instructions"][0]["status"] == "succeeded"
    assert shell("attention", "list")["cases"] == []
    assert shell("doctor")["ok"] is True


@pytest.mark.slow
def test_a_case_that_is_no_instruction_is_closed(shell: Any, captured: Any) -> None:
    captured(script="refund_elsewhere")
    shell("refund", "pay_1", *WHOLE, "--wait", "5")
    shell("pay", "pay_2", *WHOLE, "--script", "pay_slow", "--wait", "5")  # Until it has happened.
    [case] = shell("attention", "list")["cases"]
    words = ("attention", "resolve", case["id"])
    assert case["kind"] == "over_reversal"
    assert shell(*words, "failed", "--evidence", "x", code=3)["error"]["code"] == "state_forbids"
    shell(*words, "closed", "--evidence", "the console of the bank")

    assert shell("attention", "list")["cases"] == []
