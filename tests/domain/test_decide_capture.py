"""May what is authorised be captured? One row per reason, in the order of ErrorCode."""

from itertools import combinations
from typing import Any

import pytest
from cases import (
    KEY,
    NOW,
    PAYMENT_ID,
    accepted,
    first_of,
    only,
    paid,
    payment,
    policy,
    refused,
    snapshot,
    yuan,
)

from contraflow.domain.commands import RecordCapture, RequestCapture
from contraflow.domain.decide.capture import decide_capture, decide_recorded_capture
from contraflow.domain.decision import Accepted, Decision
from contraflow.domain.events import PaymentMoved
from contraflow.domain.facts import FactKind, fact_id_for
from contraflow.domain.ids import name_of
from contraflow.domain.instruction import Kind, Mode
from contraflow.domain.lifecycle import ENDED, PaymentState, PaymentStep, State
from contraflow.domain.money import Money
from contraflow.errors import ErrorCode

SPOILERS: dict[ErrorCode, dict[str, Any]] = {
    ErrorCode.PAYMENT_UNKNOWN: {"payment_id": "shop/pay_9"},
    ErrorCode.PAYMENT_CAPTURED: {"state": PaymentState.CAPTURED},
    ErrorCode.PAYMENT_CANCELED: {"state": PaymentState.CANCELED},
    ErrorCode.PAYMENT_ENDED: {"state": PaymentState.EXPIRED},
    ErrorCode.PAYMENT_NOT_AUTHORIZED: {"authorized": 0, "captured": 0},
    ErrorCode.CURRENCY_DIFFERS: {"currency": "USD"},
    ErrorCode.AMOUNT_EXCEEDS_CAPTURABLE: {"minor": 1_001},
    ErrorCode.CHANNEL_UNABLE: {"kinds": frozenset({Kind.VOID})},
}
STATES = (ErrorCode.PAYMENT_CAPTURED, ErrorCode.PAYMENT_CANCELED, ErrorCode.PAYMENT_ENDED)
PAIRS = [pair for pair in combinations(SPOILERS, 2) if not set(pair) <= set(STATES)]


def ask(
    *,
    payment_id: str = PAYMENT_ID,
    minor: int | None = 400,
    currency: str = "CNY",
    kinds: frozenset[Kind] = frozenset(Kind),
    state: PaymentState = PaymentState.AUTHORIZED,
    **having: Any,
) -> Decision:
    amount = None if minor is None else Money(minor, currency)
    command = RequestCapture(key=KEY, fingerprint=bytes(32), payment_id=payment_id, amount=amount)
    rules = policy(kinds=kinds)
    return decide_capture(snapshot(payment(state, **having), rules=rules), command)


@pytest.mark.parametrize("code", SPOILERS)
def test_refused(code: ErrorCode) -> None:
    assert refused(ask(**SPOILERS[code])) is code


@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_of_two_reasons_the_earlier_is_told(one: ErrorCode, two: ErrorCode) -> None:
    assert refused(ask(**SPOILERS[one] | SPOILERS[two])) is first_of([one, two])


@pytest.mark.parametrize("part", ["capture_in_flight", "void_in_flight", "voided"])
def test_what_is_on_its_way_or_voided_is_not_free(part: str) -> None:
    assert refused(ask(minor=401, **{part: 600})) is ErrorCode.AMOUNT_EXCEEDS_CAPTURABLE
    assert only(ask(minor=400, **{part: 600})).minor == 400


@pytest.mark.parametrize(("minor", "taken"), [(1, 1), (1_000, 1_000), (None, 1_000)])
def test_accepted_up_to_the_last_minor_unit(minor: int | None, taken: int) -> None:
    decision = ask(minor=minor)
    one = only(decision)

    assert (one.kind, one.state, one.mode) == (Kind.CAPTURE, State.ACCEPTED, Mode.NONE)
    assert one.minor == taken
    assert paid(decision).capture_in_flight == taken
    assert paid(decision).captured == 0


def test_the_rest_of_a_payment_that_was_captured_in_part_may_follow() -> None:
    assert only(ask(minor=None, state=PaymentState.CAPTURED, captured=300)).minor == 700


def test_where_nothing_is_free_the_whole_is_nothing() -> None:
    decision = ask(minor=None, void_in_flight=1_000)

    assert refused(decision) is ErrorCode.AMOUNT_EXCEEDS_CAPTURABLE


# A capture that was made elsewhere.


def record(minor: int = 400, currency: str = "CNY", payment_id: str = PAYMENT_ID) -> RecordCapture:
    amount = Money(minor, currency)
    return RecordCapture(key=KEY, fingerprint=bytes(32), payment_id=payment_id, amount=amount)


AUTHORIZED = payment(PaymentState.AUTHORIZED)


@pytest.mark.parametrize(
    ("code", "command"),
    [
        (ErrorCode.PAYMENT_UNKNOWN, record(payment_id="shop/pay_9")),
        (ErrorCode.PAYMENT_UNKNOWN, record(payment_id="shop/pay_9", currency="USD")),
        (ErrorCode.CURRENCY_DIFFERS, record(currency="USD")),
    ],
)
def test_a_capture_elsewhere_is_refused_only_if_it_cannot_be_booked(
    code: ErrorCode, command: RecordCapture
) -> None:
    assert refused(decide_recorded_capture(snapshot(AUTHORIZED), command)) is code


@pytest.mark.parametrize("state", PaymentState)
def test_a_capture_elsewhere_is_booked_in_every_state(state: PaymentState) -> None:
    before = payment(state)
    decision = decide_recorded_capture(snapshot(before), record())
    after = paid(decision)

    assert after.state is PaymentState.CAPTURED
    assert after.captured == before.captured + 400
    assert after.captured_at == NOW
    assert after.expires_at is None
    [moved] = [event for event in accepted(decision).events if isinstance(event, PaymentMoved)]
    is_late = state in ENDED
    assert moved == PaymentMoved(PaymentStep.CAPTURE, after, 400, is_late=is_late)


def test_a_capture_elsewhere_is_a_row_that_a_refund_may_name() -> None:
    [row] = accepted(decide_recorded_capture(snapshot(AUTHORIZED), record())).facts

    assert row.fact_id == fact_id_for(PAYMENT_ID, FactKind.CAPTURE, name_of(KEY))
    assert row.minor == 400


def test_the_same_capture_told_again_changes_nothing() -> None:
    first = accepted(decide_recorded_capture(snapshot(AUTHORIZED), record()))
    state = snapshot(first.payment, *first.facts)

    assert decide_recorded_capture(state, record()) == Accepted(payment=first.payment)


@pytest.mark.parametrize(
    ("before", "minor", "authorized", "void_in_flight"),
    [
        ({}, 1_000, 1_000, 0),
        ({"void_in_flight": 600}, 400, 1_000, 600),
        ({"void_in_flight": 600}, 500, 1_000, 500),
        ({"void_in_flight": 600}, 1_000, 1_000, 0),
        ({"void_in_flight": 600}, 1_100, 1_100, 0),
        ({"voided": 1_000}, 400, 1_400, 0),
        ({"capture_in_flight": 1_000}, 400, 1_400, 0),
    ],
)
def test_it_uses_what_is_free_then_what_is_being_voided_and_only_then_raises(
    before: dict[str, int], minor: int, authorized: int, void_in_flight: int
) -> None:
    state = snapshot(payment(PaymentState.AUTHORIZED, **before))
    after = paid(decide_recorded_capture(state, record(minor)))

    assert after.captured == minor
    assert after.authorized == authorized
    assert after.void_in_flight == void_in_flight


def test_a_capture_takes_back_the_loss_that_a_chargeback_before_it_had_made() -> None:
    before = payment(PaymentState.AUTHORIZED, charged_back=1_000)
    decision = accepted(decide_recorded_capture(snapshot(before), record(600)))

    assert before.excess == 1_000
    assert paid(decision).excess == 400
    [moved] = decision.events
    assert isinstance(moved, PaymentMoved)
    assert moved.excess == -600
    assert yuan(600) == paid(decision).money(moved.minor)
