"""May this payment be cancelled? One row per reason, in the order of ErrorCode."""

from itertools import combinations
from typing import Any

import pytest
from cases import (
    DAY_MS,
    KEY,
    NOW,
    PAYMENT_ID,
    accepted,
    first_of,
    instruction,
    only,
    paid,
    payment,
    policy,
    refused,
    snapshot,
    steps_of,
)

from contraflow.domain.commands import RequestCancel
from contraflow.domain.decide.cancel import decide_cancel
from contraflow.domain.decision import Decision
from contraflow.domain.events import InstructionMoved, PaymentMoved
from contraflow.domain.instruction import Instruction, Kind, Mode, Timing
from contraflow.domain.lifecycle import UNPAID, PaymentState, PaymentStep, State, Step
from contraflow.errors import ErrorCode

SPOILERS: dict[ErrorCode, dict[str, Any]] = {
    ErrorCode.PAYMENT_UNKNOWN: {"payment_id": "shop/pay_9"},
    ErrorCode.PAYMENT_CAPTURED: {"state": PaymentState.CAPTURED},
    ErrorCode.PAYMENT_CANCELED: {"state": PaymentState.CANCELED},
    ErrorCode.PAYMENT_ENDED: {"state": PaymentState.FAILED},
    ErrorCode.CANCEL_IN_PROGRESS: {"closing": 1},
    ErrorCode.CANCEL_WINDOW_OVER: {"created_at": NOW - DAY_MS - 1},
    ErrorCode.CHANNEL_UNABLE: {"kinds": frozenset({Kind.REFUND})},
}
STATES = (ErrorCode.PAYMENT_CAPTURED, ErrorCode.PAYMENT_CANCELED, ErrorCode.PAYMENT_ENDED)
PAIRS = [pair for pair in combinations(SPOILERS, 2) if not set(pair) <= set(STATES)]


def ask(
    state: PaymentState = PaymentState.PENDING,
    *instructions: Instruction,
    payment_id: str = PAYMENT_ID,
    kinds: frozenset[Kind] = frozenset(Kind),
    timing: Timing = Timing.ASYNCHRONOUS,
    **having: Any,
) -> Decision:
    command = RequestCancel(key=KEY, fingerprint=bytes(32), payment_id=payment_id, timing=timing)
    one = payment(state, **{"method": "tight"} | having)
    return decide_cancel(snapshot(one, *instructions, rules=policy(kinds=kinds)), command)


@pytest.mark.parametrize("code", SPOILERS)
def test_refused(code: ErrorCode) -> None:
    assert refused(ask(**SPOILERS[code])) is code


@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_of_two_reasons_the_earlier_is_told(one: ErrorCode, two: ErrorCode) -> None:
    assert refused(ask(**SPOILERS[one] | SPOILERS[two])) is first_of([one, two])


def test_a_payment_that_expired_is_as_over_as_one_that_failed() -> None:
    assert refused(ask(PaymentState.EXPIRED)) is ErrorCode.PAYMENT_ENDED


def test_a_void_of_everything_on_its_way_is_followed() -> None:
    decision = ask(PaymentState.AUTHORIZED, void_in_flight=1_000)

    assert refused(decision) is ErrorCode.CANCEL_IN_PROGRESS


@pytest.mark.parametrize("state", UNPAID)
def test_what_was_never_paid_is_closed(state: PaymentState) -> None:
    decision = ask(state)
    one = only(decision)

    assert (one.kind, one.state, one.minor) == (Kind.CLOSE, State.ACCEPTED, 1_000)
    assert paid(decision).closing == 1
    assert paid(decision).state is state
    assert not one.is_fallback


@pytest.mark.parametrize(("voided", "minor"), [(0, 1_000), (300, 700)])
def test_what_is_authorised_is_voided(voided: int, minor: int) -> None:
    decision = ask(PaymentState.AUTHORIZED, voided=voided)

    assert (only(decision).kind, only(decision).minor) == (Kind.VOID, minor)
    assert paid(decision).void_in_flight == minor
    assert paid(decision).state is PaymentState.AUTHORIZED


def test_a_payment_that_the_channel_never_heard_of_is_cancelled_at_once() -> None:
    unsent = instruction(State.ACCEPTED, Kind.PAY)
    decision = ask(PaymentState.CREATED, unsent, kinds=frozenset())
    one = only(decision)

    assert steps_of(decision) == [Step.WITHDRAW]
    assert (one.instruction_id, one.state) == (unsent.instruction_id, State.WITHDRAWN)
    assert one.lease == unsent.lease + 1
    assert paid(decision).state is PaymentState.CANCELED
    moved, canceled = accepted(decision).events
    assert isinstance(moved, InstructionMoved)
    assert moved.asked.key == KEY
    assert isinstance(canceled, PaymentMoved)
    assert canceled.step is PaymentStep.CANCEL


def test_a_payment_that_the_channel_certainly_did_not_get_is_cancelled_at_once() -> None:
    back = instruction(State.ACCEPTED, Kind.PAY, attempt=1, leave_by=NOW, sent_at=NOW)

    assert paid(ask(PaymentState.PENDING, back)).state is PaymentState.CANCELED


@pytest.mark.parametrize("state", [State.SENT, State.PENDING, State.UNKNOWN, State.ATTENTION])
def test_a_payment_that_the_channel_may_know_is_closed_there(state: State) -> None:
    decision = ask(PaymentState.PENDING, instruction(state, Kind.PAY))

    assert only(decision).kind is Kind.CLOSE


def test_at_the_very_end_of_the_window_it_is_still_accepted() -> None:
    assert only(ask(created_at=NOW - DAY_MS)).kind is Kind.CLOSE


@pytest.mark.parametrize(
    ("timing", "mode"),
    [
        (Timing.SYNCHRONOUS, Mode.SYNCHRONOUS_CANCEL),
        (Timing.ASYNCHRONOUS, Mode.ASYNCHRONOUS_CANCEL),
    ],
)
def test_the_mode_is_the_one_that_was_asked_for(timing: Timing, mode: Mode) -> None:
    assert only(ask(timing=timing)).mode is mode
