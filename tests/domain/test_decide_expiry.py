"""What follows when the payer may no longer pay?"""

import pytest
from cases import (
    NOW,
    PAYMENT_ID,
    accepted,
    instruction,
    only,
    paid,
    payment,
    refused,
    snapshot,
    steps_of,
)

from contraflow.domain.commands import ExpirePayment, RequestCancel
from contraflow.domain.decide.expiry import decide_expiry
from contraflow.domain.instruction import Kind
from contraflow.domain.lifecycle import PaymentState, State, Step
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode

EXPIRE = ExpirePayment(payment_id=PAYMENT_ID)
PENDING = PaymentState.PENDING


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (ErrorCode.PAYMENT_UNKNOWN, snapshot()),
        (ErrorCode.STATE_FORBIDS, snapshot(payment(PENDING, expires_at=NOW + 1))),
        (ErrorCode.STATE_FORBIDS, snapshot(payment(PENDING, expires_at=None))),
        *(
            (ErrorCode.STATE_FORBIDS, snapshot(payment(state, expires_at=NOW)))
            for state in PaymentState
            if state not in {PaymentState.CREATED, PENDING}
        ),
    ],
)
def test_refused(code: ErrorCode, state: Snapshot) -> None:
    assert refused(decide_expiry(state, EXPIRE)) is code


@pytest.mark.parametrize("attempt", [0, 1])
def test_what_was_never_sent_or_certainly_did_not_arrive_has_expired(attempt: int) -> None:
    marks = {"attempt": attempt, "leave_by": NOW if attempt else None}
    unsent = instruction(State.ACCEPTED, Kind.PAY, **marks)
    state = PENDING if attempt else PaymentState.CREATED
    decision = decide_expiry(snapshot(payment(state, expires_at=NOW), unsent), EXPIRE)
    one = only(decision)

    assert steps_of(decision) == [Step.EXPIRE]
    assert (one.state, one.failure, one.lease) == (State.FAILED, "expired", 4)
    assert paid(decision).state is PaymentState.EXPIRED
    assert paid(decision).expires_at is None


@pytest.mark.parametrize("state", [State.SENT, State.PENDING, State.UNKNOWN, State.ATTENTION])
def test_what_the_channel_may_know_is_only_begun_to_be_closed(state: State) -> None:
    before = payment(PENDING, expires_at=NOW)
    decision = accepted(decide_expiry(snapshot(before, instruction(state, Kind.PAY)), EXPIRE))

    assert paid(decision).state is PENDING
    assert paid(decision).expires_at is None
    assert decision.instructions == ()
    [cancel] = decision.follow_ups
    assert isinstance(cancel, RequestCancel)
    assert cancel.payment_id == PAYMENT_ID
    assert cancel.key == f"shop/policy:expiry/{PAYMENT_ID}"
