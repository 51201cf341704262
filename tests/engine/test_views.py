"""What the doors show of a payment and its instructions."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from contraflow.domain.cases import Case, CaseKind, open_case
from contraflow.domain.instruction import Instruction, Kind, Mode, Waiting
from contraflow.domain.lifecycle import FINAL, PAYMENT_BIRTHS, State
from contraflow.domain.payment import Capturing, Payment
from contraflow.engine.views import (
    Status,
    instruction_view,
    is_of_nobody,
    money_view,
    payment_view,
    status_of,
    time_text,
)

REFUND = Instruction(
    instruction_id="main/ABC",
    payment_id="main/pay_1",
    channel="bank",
    kind=Kind.REFUND,
    mode=Mode.ASYNCHRONOUS_REFUND,
    minor=300,
    currency="GBP",
    key="main/k1",
    leg=0,
    is_fallback=False,
    capture_id="",
    requested_at=1_000,
    labels='{"reason":"broken"}',
    state=State.ACCEPTED,
    number="ABC",
)


def refund_in(state: State, waiting: Waiting = Waiting.NOTHING, failure: str = "") -> Instruction:
    return replace(
        REFUND,
        state=state,
        waiting=waiting,
        failure=failure,
        final_at=2_000 if state in FINAL else None,
        deadline_at=9_000 if state is State.HELD else None,
    )


@pytest.mark.parametrize(
    ("state", "waiting", "status"),
    [
        (State.HELD, Waiting.UNDO_WINDOW, "pending"),
        (State.HELD, Waiting.REVIEW, "requires_action"),
        (State.ACCEPTED, Waiting.NOTHING, "pending"),
        (State.SENT, Waiting.NOTHING, "pending"),
        (State.PENDING, Waiting.NOTHING, "pending"),
        (State.UNKNOWN, Waiting.NOTHING, "pending"),
        (State.ATTENTION, Waiting.NOTHING, "pending"),
        (State.ATTENTION, Waiting.REDIRECT, "pending"),
        (State.SUCCEEDED, Waiting.NOTHING, "succeeded"),
        (State.FAILED, Waiting.NOTHING, "failed"),
        (State.BOUNCED, Waiting.NOTHING, "failed"),
        (State.WITHDRAWN, Waiting.NOTHING, "canceled"),
    ],
)
def test_outside_there_are_fewer_words(state: State, waiting: Waiting, status: str) -> None:
    instruction = refund_in(state, waiting)

    assert status_of(instruction) == status
    assert instruction_view(instruction).status is Status(status)
    assert instruction_view(instruction).state == state


def test_every_state_has_a_word() -> None:
    for state in State:
        assert status_of(refund_in(state)) in Status


def test_what_is_pending_says_why() -> None:
    view = instruction_view(refund_in(State.HELD, Waiting.UNDO_WINDOW))

    assert view.pending_reason == "undo_window"
    assert view.deadline_at == "1970-01-01T00:00:09.000Z"
    assert view.failure_reason is None


def test_what_failed_says_why_and_what_did_not_says_nothing() -> None:
    assert instruction_view(refund_in(State.FAILED, failure="refused")).failure_reason == "refused"
    assert instruction_view(refund_in(State.BOUNCED)).failure_reason == "bounced"
    assert instruction_view(refund_in(State.SUCCEEDED, failure="busy")).failure_reason is None


def test_outside_an_id_is_without_its_tenant() -> None:
    view = instruction_view(REFUND)

    assert (view.id, view.payment) == ("ABC", "pay_1")
    assert view.labels.reason == "broken"
    assert view.amount == money_view(300, "GBP")


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(5, "GBP", "0.05"), (1_050, "JPY", "1050"), (1_050, "KWD", "1.050"), (10**15, "CLF", None)],
)
def test_money_is_shown_exactly(minor: int, currency: str, text: str | None) -> None:
    view = money_view(minor, currency)

    assert (view.minor, view.currency) == (minor, currency)
    assert view.text == (text or "100000000000.0000")


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_565_098_673, "2026-11-25T00:04:58.673Z"),
        (1_795_565_098_000, "2026-11-25T00:04:58.000Z"),
    ],
)
def test_a_time_is_utc_to_the_millisecond(ms: int, text: str) -> None:
    assert time_text(ms) == text


def test_a_payment_shows_every_amount_as_money() -> None:
    payment = Payment(
        payment_id="main/pay_1",
        channel="bank",
        method="",
        instrument="",
        currency="GBP",
        amount=1_000,
        capturing=Capturing.MANUAL,
        pay_number="",
        created_at=0,
        labels="{}",
        state=PAYMENT_BIRTHS["record_captured"],
        authorized=1_000,
        captured=700,
        reserved=200,
    )
    view = payment_view(payment)

    assert view.refundable == money_view(500, "GBP")
    assert view.capturable == money_view(300, "GBP")
    assert view.excess == money_view(0, "GBP")
    assert view.expires_at is None


def test_a_fact_about_an_unknown_number_belongs_to_no_tenant() -> None:
    def parked(object_id: str) -> Case:
        return open_case(CaseKind.PARKED_FACT, object_id=object_id, cause="x", now=0)

    assert is_of_nobody(parked("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    assert not is_of_nobody(parked("main/pay_1"))
