"""What is a caller told before the attempt?"""

from typing import Any

import pytest
from cases import CREATED_AT, DAY_MS, NOW, POLICY, payment, policy

from contraflow.domain.instruction import Kind, Mode
from contraflow.domain.lifecycle import ENDED, UNPAID, PaymentState
from contraflow.domain.options import PATIENCE_MS, Option, Options, options_for
from contraflow.domain.payment import Payment
from contraflow.domain.plan import Leg, plan_reversal
from contraflow.errors import ErrorCode

AUTHORIZED = payment(PaymentState.AUTHORIZED)
PENDING = payment(PaymentState.PENDING)
STALE = NOW - DAY_MS - 1


def options(one: Payment, usual_ms: int | None = None) -> Options:
    return options_for(one, POLICY, now=NOW, usual_ms=usual_ms)


def option(one: Payment, kind: Kind) -> Option:
    return next(option for option in options(one).options if option.action is kind)


@pytest.mark.parametrize(
    ("one", "kind", "minor_max"),
    [
        (payment(PaymentState.CREATED), Kind.CLOSE, 1_000),
        (PENDING, Kind.CLOSE, 1_000),
        (AUTHORIZED, Kind.VOID, 1_000),
        (payment(PaymentState.AUTHORIZED, void_in_flight=300), Kind.VOID, 700),
        (payment(captured=600), Kind.VOID, 400),
        (payment(captured=600), Kind.REFUND, 600),
        (payment(reserved=100, refunded=200), Kind.REFUND, 700),
    ],
)
def test_allowed_with_what_is_left(one: Payment, kind: Kind, minor_max: int) -> None:
    found = option(one, kind)

    assert found.is_allowed
    assert found.why_not is None
    assert found.minor_max == minor_max


@pytest.mark.parametrize(
    ("why_not", "kind", "one"),
    [
        (ErrorCode.PAYMENT_CAPTURED, Kind.CLOSE, payment()),
        (ErrorCode.PAYMENT_CAPTURED, Kind.VOID, payment()),
        (ErrorCode.PAYMENT_CANCELED, Kind.CLOSE, payment(PaymentState.CANCELED)),
        (ErrorCode.PAYMENT_CANCELED, Kind.VOID, payment(PaymentState.CANCELED)),
        (ErrorCode.PAYMENT_ENDED, Kind.CLOSE, payment(PaymentState.EXPIRED)),
        (ErrorCode.PAYMENT_ENDED, Kind.VOID, payment(PaymentState.FAILED)),
        (ErrorCode.CANCEL_IN_PROGRESS, Kind.CLOSE, payment(PaymentState.PENDING, closing=1)),
        (
            ErrorCode.CANCEL_IN_PROGRESS,
            Kind.VOID,
            payment(PaymentState.AUTHORIZED, void_in_flight=1_000),
        ),
        (ErrorCode.PAYMENT_NOT_AUTHORIZED, Kind.VOID, PENDING),
        (ErrorCode.PAYMENT_NOT_CAPTURED, Kind.REFUND, PENDING),
        (ErrorCode.PAYMENT_NOT_CAPTURED, Kind.REFUND, AUTHORIZED),
        (ErrorCode.NOTHING_TO_REVERSE, Kind.REFUND, payment(refunded=1_000)),
        (ErrorCode.REFUNDS_EXHAUSTED, Kind.REFUND, payment(method="tight", refunds=2)),
        (
            ErrorCode.CANCEL_WINDOW_OVER,
            Kind.VOID,
            payment(PaymentState.AUTHORIZED, method="tight", created_at=STALE),
        ),
        (
            ErrorCode.CANCEL_WINDOW_OVER,
            Kind.CLOSE,
            payment(PaymentState.PENDING, method="tight", created_at=STALE),
        ),
        (ErrorCode.REFUND_WINDOW_OVER, Kind.REFUND, payment(method="tight", captured_at=STALE)),
        (ErrorCode.CHANNEL_UNABLE, Kind.CLOSE, payment(PaymentState.PENDING, channel="rail")),
        (ErrorCode.STATE_FORBIDS, Kind.CLOSE, AUTHORIZED),
    ],
)
def test_not_allowed_and_why_not(why_not: ErrorCode, kind: Kind, one: Payment) -> None:
    found = option(one, kind)

    assert found.why_not is why_not
    assert not found.is_allowed


@pytest.mark.parametrize(
    ("spoiled", "why_not"),
    [
        ({"refunds": 2, "captured_at": STALE}, ErrorCode.REFUNDS_EXHAUSTED),
        ({"refunds": 2, "refunded": 1_000}, ErrorCode.NOTHING_TO_REVERSE),
        ({"captured": 0, "refunds": 2, "captured_at": STALE}, ErrorCode.PAYMENT_NOT_CAPTURED),
    ],
)
def test_of_two_reasons_the_earlier_is_told(spoiled: dict[str, Any], why_not: ErrorCode) -> None:
    assert option(payment(method="tight", **spoiled), Kind.REFUND).why_not is why_not


@pytest.mark.parametrize(
    ("one", "kind", "until"),
    [
        (payment(method="tight"), Kind.REFUND, CREATED_AT + DAY_MS),
        (payment(method="tight", captured_at=NOW), Kind.REFUND, NOW + DAY_MS),
        (payment(PaymentState.PENDING, method="tight"), Kind.CLOSE, CREATED_AT + DAY_MS),
        (payment(), Kind.REFUND, None),
        (payment(PaymentState.AUTHORIZED, method="tight"), Kind.REFUND, None),
    ],
)
def test_until_when(one: Payment, kind: Kind, until: int | None) -> None:
    assert option(one, kind).until == until


@pytest.mark.parametrize(
    ("method", "refunds", "left"),
    [("tight", 0, 2), ("tight", 2, 0), ("tight", 3, 0), ("", 3, None)],
)
def test_how_many_refunds_are_left(method: str, refunds: int, left: int | None) -> None:
    assert option(payment(method=method, refunds=refunds), Kind.REFUND).refunds_left == left


@pytest.mark.parametrize(
    ("one", "usual_ms", "recommended"),
    [
        (payment(), None, Mode.SYNCHRONOUS_REFUND),
        (payment(), PATIENCE_MS, Mode.SYNCHRONOUS_REFUND),
        (payment(), PATIENCE_MS + 1, Mode.ASYNCHRONOUS_REFUND),
        (payment(channel="rail"), 1, Mode.ASYNCHRONOUS_REFUND),
        (AUTHORIZED, None, Mode.SYNCHRONOUS_CANCEL),
        (payment(PaymentState.AUTHORIZED, channel="rail"), None, Mode.ASYNCHRONOUS_CANCEL),
        (payment(refunded=1_000), None, None),
        (payment(PaymentState.PENDING, channel="rail"), None, None),
    ],
)
def test_the_mode_fits_how_fast_the_channel_is(
    one: Payment, usual_ms: int | None, recommended: Mode | None
) -> None:
    assert options(one, usual_ms).recommended is recommended


@pytest.mark.parametrize("one", [PENDING, AUTHORIZED, payment(), payment(captured=600)])
def test_the_plan_is_what_a_reversal_would_do(one: Payment) -> None:
    assert options(one).plan == plan_reversal(one, None) != ()


@pytest.mark.parametrize("state", sorted(ENDED))
def test_nothing_is_planned_for_a_payment_that_is_over(state: PaymentState) -> None:
    found = options(payment(state))

    assert found.plan == ()
    assert not any(option.is_allowed for option in found.options)


@pytest.mark.parametrize("state", UNPAID)
def test_a_channel_that_cannot_do_the_first_leg_recommends_the_next(state: PaymentState) -> None:
    unable = policy(kinds=frozenset({Kind.REFUND}))
    found = options_for(payment(captured=600), unable, now=NOW, usual_ms=None)

    assert found.plan == (Leg(Kind.VOID, 400), Leg(Kind.REFUND, 600))
    assert found.recommended is Mode.SYNCHRONOUS_REFUND
    assert options_for(payment(state), unable, now=NOW, usual_ms=None).recommended is None
