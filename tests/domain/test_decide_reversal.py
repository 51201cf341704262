"""May so much be undone, whatever it takes? One row per reason, in the order of ErrorCode."""

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
)

from contraflow.domain.commands import RequestReversal
from contraflow.domain.decide.reversal import decide_reversal
from contraflow.domain.decision import Decision, Verdict
from contraflow.domain.ids import number_for
from contraflow.domain.instruction import Instruction, Kind
from contraflow.domain.lifecycle import ENDED, UNPAID, PaymentState, State
from contraflow.domain.money import Money
from contraflow.errors import ErrorCode

# Of a payment whose authorisation was captured in part, so that both windows matter.
SPOILERS: dict[ErrorCode, dict[str, Any]] = {
    ErrorCode.PAYMENT_UNKNOWN: {"payment_id": "shop/pay_9"},
    ErrorCode.NOTHING_TO_REVERSE: {"voided": 400, "charged_back": 600},
    ErrorCode.CURRENCY_DIFFERS: {"currency": "USD"},
    ErrorCode.AMOUNT_EXCEEDS_REFUNDABLE: {"minor": 1_001},
    ErrorCode.REFUNDS_EXHAUSTED: {"refunds": 2},
    ErrorCode.CANCEL_WINDOW_OVER: {"created_at": NOW - DAY_MS - 1},
    ErrorCode.REFUND_WINDOW_OVER: {"captured_at": NOW - DAY_MS - 1},
    ErrorCode.CHANNEL_UNABLE: {"kinds": frozenset({Kind.CLOSE})},
    ErrorCode.RISK_REJECTED: {"rejected_by": "many_partials"},
}


def ask(
    *instructions: Instruction,
    minor: int | None = 500,
    currency: str = "CNY",
    payment_id: str = PAYMENT_ID,
    kinds: frozenset[Kind] = frozenset(Kind),
    rejected_by: str | None = None,
    **having: Any,
) -> Decision:
    """Undo 500 of 1,000, of which 600 were captured."""
    amount = None if minor is None else Money(minor, currency)
    command = RequestReversal(key=KEY, fingerprint=bytes(32), payment_id=payment_id, amount=amount)
    partly = {"captured": 600} if "state" not in having else {}
    one = payment(**{"method": "tight"} | partly | having)
    state = snapshot(one, *instructions, rules=policy(kinds=kinds))
    return decide_reversal(state, command, Verdict(rejected_by))


@pytest.mark.parametrize("code", SPOILERS)
def test_refused(code: ErrorCode) -> None:
    assert refused(ask(**SPOILERS[code])) is code


@pytest.mark.parametrize(("one", "two"), list(combinations(SPOILERS, 2)))
def test_of_two_reasons_the_earlier_is_told(one: ErrorCode, two: ErrorCode) -> None:
    assert refused(ask(**SPOILERS[one] | SPOILERS[two])) is first_of([one, two])


@pytest.mark.parametrize("state", sorted(ENDED))
def test_of_a_payment_that_is_over_nothing_is_left(state: PaymentState) -> None:
    assert refused(ask(state=state)) is ErrorCode.NOTHING_TO_REVERSE


def test_a_close_on_its_way_is_the_whole_reversal() -> None:
    decision = ask(minor=None, state=PaymentState.PENDING, closing=1)

    assert refused(decision) is ErrorCode.NOTHING_TO_REVERSE


@pytest.mark.parametrize(
    ("minor", "legs"),
    [
        (1, [(Kind.VOID, 1)]),
        (400, [(Kind.VOID, 400)]),
        (500, [(Kind.VOID, 400), (Kind.REFUND, 100)]),
        (None, [(Kind.VOID, 400), (Kind.REFUND, 600)]),
    ],
)
def test_the_legs_sum_to_what_was_asked_for(
    minor: int | None, legs: list[tuple[Kind, int]]
) -> None:
    decision = ask(minor=minor)
    born = accepted(decision).instructions

    assert [(one.kind, one.minor) for one in born] == legs
    assert [one.number for one in born] == [
        number_for(payment_id=PAYMENT_ID, key=KEY, leg=leg) for leg in range(len(legs))
    ]
    assert all(one.is_fallback for one in born)
    assert all(one.state is State.ACCEPTED for one in born)
    after = paid(decision)
    assert after.void_in_flight + after.reserved == sum(minor for _, minor in legs)


@pytest.mark.parametrize("state", UNPAID)
@pytest.mark.parametrize(("minor", "code"), [(None, None), (1_000, None), (999, "too_much")])
def test_what_was_never_paid_is_closed_whole_or_not_at_all(
    state: PaymentState, minor: int | None, code: str | None
) -> None:
    decision = ask(minor=minor, state=state)

    if code is None:
        assert only(decision).kind is Kind.CLOSE
    else:
        assert refused(decision) is ErrorCode.AMOUNT_EXCEEDS_REFUNDABLE


@pytest.mark.parametrize("minor", [None, 1_000])
def test_a_payment_that_the_channel_never_heard_of_is_cancelled_at_once(minor: int | None) -> None:
    unsent = instruction(State.ACCEPTED, Kind.PAY)
    decision = ask(unsent, minor=minor, state=PaymentState.CREATED, kinds=frozenset())

    assert only(decision).state is State.WITHDRAWN
    assert paid(decision).state is PaymentState.CANCELED


@pytest.mark.parametrize(
    ("code", "wish"),
    [
        (ErrorCode.CURRENCY_DIFFERS, {"minor": 1_000, "currency": "USD"}),
        (ErrorCode.AMOUNT_EXCEEDS_REFUNDABLE, {"minor": 1}),
        (ErrorCode.AMOUNT_EXCEEDS_REFUNDABLE, {"minor": 1_001}),
    ],
)
def test_a_payment_that_was_not_sent_is_not_cancelled_for_a_part_of_it(
    code: ErrorCode, wish: dict[str, Any]
) -> None:
    unsent = instruction(State.ACCEPTED, Kind.PAY)

    assert refused(ask(unsent, state=PaymentState.CREATED, **wish)) is code


@pytest.mark.parametrize(
    ("minor", "having"),
    [
        (400, {"captured_at": NOW - DAY_MS - 1, "refunds": 2}),
        (100, {"voided": 400, "created_at": NOW - DAY_MS - 1}),
    ],
)
def test_a_window_matters_only_to_the_legs_it_is_about(minor: int, having: dict[str, Any]) -> None:
    assert only(ask(minor=minor, **having)).minor == minor
