"""What follows when money is taken after the end, or when a cancel came too late."""

from typing import Any

import pytest
from cases import (
    DEAD,
    PAYMENT_ID,
    POLICY,
    REVERSAL_ID,
    SIGNED,
    accepted,
    instruction,
    paid,
    payment,
    snapshot,
    yuan,
)
from msgspec.structs import replace

from contraflow.domain.cases import CaseKind
from contraflow.domain.commands import RecordOutcome, RequestRefund
from contraflow.domain.decide.outcome import decide_outcome
from contraflow.domain.decision import Accepted
from contraflow.domain.instruction import Instruction, Kind
from contraflow.domain.lifecycle import PaymentState, State
from contraflow.domain.outcome import Declined, NotFound, Outcome, Retry, Succeeded, Withdrawn
from contraflow.domain.payment import Capturing
from contraflow.domain.policy import LateCapture

PAY = instruction(State.UNKNOWN, Kind.PAY)
PAID = Succeeded(yuan(1_000), PAYMENT_ID, "bank_1", SIGNED)
TOO_LATE: dict[str, Any] = {"is_fallback": True, "failure": "already_captured"}


def heard(outcome: Outcome, late: LateCapture, *others: Instruction) -> Accepted:
    """The payment was given up; now the outcome of its own command becomes known."""
    over = payment(PaymentState.CANCELED, unknown=1, capturing=Capturing.AUTOMATIC)
    state = snapshot(over, PAY, *others, rules=replace(POLICY, late_capture=late))
    command = RecordOutcome(fence=PAY.fence, outcome=outcome, asked_at=DEAD, again_at=DEAD + 1)
    return accepted(decide_outcome(state, command))


@pytest.mark.parametrize(
    ("late", "cases", "follow_ups"),
    [
        (LateCapture.KEEP, [], 0),
        (LateCapture.ATTENTION, [CaseKind.LATE_FACT], 0),
        (LateCapture.REFUND, [], 1),
    ],
)
def test_a_payment_that_succeeds_after_its_end_is_a_late_capture(
    late: LateCapture, cases: list[CaseKind], follow_ups: int
) -> None:
    decision = heard(PAID, late)

    assert paid(decision).state is PaymentState.CAPTURED
    assert [case.kind for case in decision.cases] == cases
    assert len(decision.follow_ups) == follow_ups


def test_a_reversal_whose_close_came_too_late_is_refunded_once_the_payment_is_known() -> None:
    close = instruction(State.FAILED, Kind.CLOSE, **TOO_LATE)
    [refund] = heard(PAID, LateCapture.KEEP, close).follow_ups

    assert isinstance(refund, RequestRefund)
    assert refund.amount == yuan(1_000)
    assert refund.key == f"shop/policy:{REVERSAL_ID}"


def test_what_is_heard_without_a_capture_has_no_consequences() -> None:
    decision = heard(Declined(Retry.NEVER, evidence=SIGNED), LateCapture.REFUND)

    assert decision.follow_ups == ()
    assert decision.cases == ()


@pytest.mark.parametrize("said", [Declined(Retry.NEVER), NotFound(), Withdrawn()])
def test_an_unsigned_refusal_gives_nothing_back(said: Outcome) -> None:
    assert heard(said, LateCapture.KEEP).instructions[0].state is State.UNKNOWN
