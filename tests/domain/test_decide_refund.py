"""May this refund be made? One row per reason, in the order of ErrorCode."""

from itertools import combinations
from typing import Any

import pytest
from cases import (
    DAY_MS,
    KEY,
    NOW,
    NUMBER,
    PAYMENT_ID,
    accepted,
    first_of,
    only,
    paid,
    payment,
    policy,
    refused,
    snapshot,
)

from contraflow.domain.commands import RequestRefund
from contraflow.domain.decide.refund import decide_refund
from contraflow.domain.decision import Decision, Verdict
from contraflow.domain.events import InstructionMoved
from contraflow.domain.facts import BookedFact, FactKind, FactState, fact_id_for
from contraflow.domain.instruction import Kind, Mode, Timing, Waiting
from contraflow.domain.lifecycle import PaymentState, State, Step
from contraflow.domain.money import Money
from contraflow.errors import ErrorCode

CAPTURE = BookedFact(
    fact_id_for(PAYMENT_ID, FactKind.CAPTURE, "cap_1"),
    *(FactKind.CAPTURE, PAYMENT_ID, 300, "CNY", FactState.BOOKED, 1),
)
SPOILERS: dict[ErrorCode, dict[str, Any]] = {
    ErrorCode.PAYMENT_UNKNOWN: {"payment_id": "shop/pay_9"},
    ErrorCode.CAPTURE_UNKNOWN: {"capture_id": "cap_9"},
    ErrorCode.PAYMENT_NOT_CAPTURED: {"captured": 0},
    ErrorCode.CURRENCY_DIFFERS: {"currency": "USD"},
    ErrorCode.REFUNDABLE_CHANGED: {"expected_refundable": 1},
    ErrorCode.AMOUNT_EXCEEDS_REFUNDABLE: {"minor": 1_001},
    ErrorCode.REFUNDS_EXHAUSTED: {"refunds": 2},
    ErrorCode.REFUND_WINDOW_OVER: {"captured_at": NOW - DAY_MS - 1},
    ErrorCode.CHANNEL_UNABLE: {"kinds": frozenset({Kind.VOID})},
    ErrorCode.RISK_REJECTED: {"rejected_by": "many_partials"},
}


def ask(
    *,
    payment_id: str = PAYMENT_ID,
    minor: int = 100,
    currency: str = "CNY",
    kinds: frozenset[Kind] = frozenset(Kind),
    rejected_by: str | None = None,
    undo_window_ms: int = 0,
    **wishes: Any,
) -> Decision:
    """Ask for 100 of a captured 1,000; what is no wish of the caller is a field of the payment."""
    known = set(RequestRefund.__struct_fields__)
    asked = {name: value for name, value in wishes.items() if name in known}
    having = {name: value for name, value in wishes.items() if name not in known}
    command = RequestRefund(
        key=KEY,
        fingerprint=bytes(32),
        payment_id=payment_id,
        amount=Money(minor, currency),
        **asked,
    )
    one = payment(**{"method": "tight"} | having)
    rules = policy(kinds=kinds)
    rules = type(rules)(terms=rules.terms, undo_window_ms=undo_window_ms)
    return decide_refund(snapshot(one, CAPTURE, rules=rules), command, Verdict(rejected_by))


@pytest.mark.parametrize("code", SPOILERS)
def test_refused(code: ErrorCode) -> None:
    assert refused(ask(**SPOILERS[code])) is code


@pytest.mark.parametrize(("one", "two"), list(combinations(SPOILERS, 2)))
def test_of_two_reasons_the_earlier_is_told(one: ErrorCode, two: ErrorCode) -> None:
    assert refused(ask(**SPOILERS[one] | SPOILERS[two])) is first_of([one, two])


@pytest.mark.parametrize(
    "amounts",
    [
        {"reserved": 901},
        {"refunded": 901},
        {"charged_back": 901},
        {"reserved": 301, "refunded": 300, "charged_back": 300},
        {"refunded": 600, "charged_back": 1_000},
    ],
)
def test_what_is_gone_or_going_cannot_be_refunded_again(amounts: dict[str, int]) -> None:
    assert refused(ask(**amounts)) is ErrorCode.AMOUNT_EXCEEDS_REFUNDABLE


@pytest.mark.parametrize("minor", [1, 999, 1_000])
def test_accepted_up_to_the_last_minor_unit(minor: int) -> None:
    after = paid(ask(minor=minor))

    assert after.reserved == minor
    assert after.refundable == 1_000 - minor
    assert after.refunds == 1


@pytest.mark.parametrize(("minor", "code"), [(300, None), (301, "amount_exceeds_refundable")])
def test_a_refund_of_one_capture_takes_no_more_than_that_capture(
    minor: int, code: str | None
) -> None:
    decision = ask(minor=minor, capture_id="cap_1")

    assert getattr(decision, "code", None) == code


def test_at_the_very_end_of_the_window_it_is_still_accepted() -> None:
    assert only(ask(captured_at=NOW - DAY_MS)).state is State.ACCEPTED


def test_a_caller_who_knows_what_is_left_is_served() -> None:
    assert only(ask(reserved=250, expected_refundable=750)).minor == 100


def test_the_request_becomes_one_instruction_with_its_event() -> None:
    decision = accepted(ask())
    one = only(decision)

    assert decision.events == (InstructionMoved(Step.REQUEST, one),)
    assert (one.kind, one.state, one.number) == (Kind.REFUND, State.ACCEPTED, NUMBER)
    assert (one.key, one.minor, one.currency) == (KEY, 100, "CNY")
    assert one.due_at == NOW
    assert one.deadline_at is None


def test_the_same_request_always_gets_the_same_number() -> None:
    assert ask() == ask()


def test_in_the_undo_window_it_is_held_and_reserved() -> None:
    decision = ask(undo_window_ms=500)
    one = only(decision)

    assert (one.state, one.waiting) == (State.HELD, Waiting.UNDO_WINDOW)
    assert one.due_at == one.deadline_at == NOW + 500
    assert paid(decision).reserved == 100


def test_for_review_it_waits_for_a_person_whatever_the_undo_window() -> None:
    one = only(ask(for_review=True, undo_window_ms=500))

    assert (one.state, one.waiting) == (State.HELD, Waiting.REVIEW)
    assert one.deadline_at == NOW + 3 * DAY_MS


@pytest.mark.parametrize(
    ("timing", "mode"),
    [
        (Timing.SYNCHRONOUS, Mode.SYNCHRONOUS_REFUND),
        (Timing.ASYNCHRONOUS, Mode.ASYNCHRONOUS_REFUND),
    ],
)
def test_the_mode_is_the_one_that_was_asked_for(timing: Timing, mode: Mode) -> None:
    assert only(ask(timing=timing)).mode is mode


@pytest.mark.parametrize("state", sorted(set(PaymentState) - {PaymentState.CAPTURED}))
def test_only_captured_money_is_refunded(state: PaymentState) -> None:
    assert refused(ask(state=state, captured=0)) is ErrorCode.PAYMENT_NOT_CAPTURED
