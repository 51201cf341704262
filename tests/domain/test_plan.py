"""By which legs is a payment undone?"""

import pytest
from cases import payment

from contraflow.domain.instruction import Kind
from contraflow.domain.lifecycle import ENDED, UNPAID, PaymentState
from contraflow.domain.payment import Payment
from contraflow.domain.plan import Leg, plan_reversal

PARTLY = payment(authorized=1_000, captured=600)


@pytest.mark.parametrize("state", UNPAID)
def test_what_was_never_paid_is_closed_whole(state: PaymentState) -> None:
    assert plan_reversal(payment(state), None) == (Leg(Kind.CLOSE, 1_000),)
    assert plan_reversal(payment(state), 1) == (Leg(Kind.CLOSE, 1_000),)


@pytest.mark.parametrize("state", UNPAID)
def test_one_close_at_a_time(state: PaymentState) -> None:
    assert plan_reversal(payment(state, closing=1), None) == ()


@pytest.mark.parametrize(
    ("before", "minor", "legs"),
    [
        (PARTLY, None, [(Kind.VOID, 400), (Kind.REFUND, 600)]),
        (PARTLY, 1, [(Kind.VOID, 1)]),
        (PARTLY, 400, [(Kind.VOID, 400)]),
        (PARTLY, 401, [(Kind.VOID, 400), (Kind.REFUND, 1)]),
        (PARTLY, 1_001, [(Kind.VOID, 400), (Kind.REFUND, 600)]),
        (payment(PaymentState.AUTHORIZED), None, [(Kind.VOID, 1_000)]),
        (payment(PaymentState.AUTHORIZED, void_in_flight=300), None, [(Kind.VOID, 700)]),
        (payment(PaymentState.AUTHORIZED, capture_in_flight=300), None, [(Kind.VOID, 700)]),
        (payment(), None, [(Kind.REFUND, 1_000)]),
        (payment(reserved=300, refunded=200, charged_back=100), None, [(Kind.REFUND, 400)]),
        (payment(refunded=1_000), None, []),
        (payment(refunded=1_000, charged_back=1_000), None, []),
    ],
)
def test_what_is_only_authorised_is_voided_before_money_is_sent_back(
    before: Payment, minor: int | None, legs: list[tuple[Kind, int]]
) -> None:
    assert plan_reversal(before, minor) == tuple(Leg(*leg) for leg in legs)


@pytest.mark.parametrize("state", sorted(ENDED))
def test_of_a_payment_that_is_over_nothing_is_left(state: PaymentState) -> None:
    assert plan_reversal(payment(state), None) == ()
