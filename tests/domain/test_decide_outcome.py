"""What does the channel's answer change? The rules of proof themselves are in test_hearing.py."""

from typing import Any

import pytest
from cases import (
    ALIVE,
    NOW,
    PAYMENT_ID,
    REVERSAL_ID,
    SIGNED,
    accepted,
    in_state,
    instruction,
    only,
    paid,
    payment,
    proven,
    refused,
    snapshot,
    steps_of,
    yuan,
)

from contraflow.domain import outcome as said
from contraflow.domain.commands import RecordOutcome, RequestRefund
from contraflow.domain.decide.outcome import decide_outcome
from contraflow.domain.events import InstructionNoted, Note
from contraflow.domain.instruction import Fence, Kind, Withdrawal
from contraflow.domain.lifecycle import FINAL, PaymentState, State, Step
from contraflow.domain.outcome import Outcome, Retry
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode

SUCCEEDED = said.Succeeded(yuan(400), PAYMENT_ID, "ref", SIGNED)
BOUNCED = said.Bounced(yuan(400), PAYMENT_ID, "ref", SIGNED)
REFUSED = said.Declined(Retry.NEVER, evidence=SIGNED)
TOO_LATE = said.Declined(Retry.NEVER, is_captured=True, evidence=SIGNED)


def record(outcome: Outcome = SUCCEEDED, **changes: Any) -> RecordOutcome:
    fields: dict[str, Any] = {
        "fence": Fence(REVERSAL_ID, 1, 3),
        "outcome": outcome,
        "asked_at": ALIVE,
        "again_at": NOW + 10_000,
    }
    return RecordOutcome(**fields | changes)


def fence(attempt: int, lease: int = 3) -> RecordOutcome:
    return record(fence=Fence(REVERSAL_ID, attempt, lease))


BACK = in_state(State.ACCEPTED, attempt=1, leave_by=NOW, sent_at=NOW)


@pytest.mark.parametrize(
    ("code", "state", "command"),
    [
        (ErrorCode.REVERSAL_UNKNOWN, snapshot(), record()),
        (ErrorCode.STATE_FORBIDS, in_state(State.HELD), fence(0)),
        (ErrorCode.STATE_FORBIDS, in_state(State.ACCEPTED), fence(0)),
        (ErrorCode.STATE_FORBIDS, BACK, record()),
        *(
            (ErrorCode.STATE_FORBIDS, in_state(state, attempt=1, leave_by=NOW), record())
            for state in sorted(FINAL)
        ),
        (ErrorCode.LEASE_STALE, in_state(State.SENT), fence(0)),
        (ErrorCode.LEASE_STALE, in_state(State.SENT), fence(1, lease=2)),
        (ErrorCode.LEASE_STALE, in_state(State.SUCCEEDED), fence(1, lease=2)),
    ],
)
def test_refused(code: ErrorCode, state: Snapshot, command: RecordOutcome) -> None:
    assert refused(decide_outcome(state, command)) is code


@pytest.mark.parametrize(
    ("outcome", "after", "amounts"),
    [
        (SUCCEEDED, State.SUCCEEDED, (0, 400, 1)),
        (BOUNCED, State.BOUNCED, (0, 0, 1)),
        (REFUSED, State.FAILED, (0, 0, 0)),
        (said.Withdrawn(SIGNED), State.WITHDRAWN, (0, 0, 0)),
        (said.Accepted("ref"), State.PENDING, (400, 0, 1)),
        (said.Unknown(), State.UNKNOWN, (400, 0, 1)),
        (said.NotSent(), State.ACCEPTED, (400, 0, 1)),
        (said.NotFound(SIGNED), State.UNKNOWN, (400, 0, 1)),
    ],
)
def test_an_answer_moves_the_money_only_when_it_settles_something(
    outcome: Outcome, after: State, amounts: tuple[int, int, int]
) -> None:
    decision = decide_outcome(in_state(State.SENT), record(outcome))
    one, left = only(decision), paid(decision)

    assert one.state is after
    assert one.lease == 4
    assert one.due_at == (None if after in FINAL else NOW + 10_000)
    assert (left.reserved, left.refunded, left.refunds) == amounts
    assert left.unknown == (after is State.UNKNOWN)


# The four other kinds.


@pytest.mark.parametrize(
    ("kind", "outcome", "expected"),
    [
        (Kind.VOID, SUCCEEDED, {"voided": 400, "void_in_flight": 0, "authorized": 1_000}),
        (Kind.VOID, REFUSED, {"voided": 0, "void_in_flight": 0, "capturable": 1_000}),
        (Kind.CAPTURE, SUCCEEDED, {"captured": 400, "capture_in_flight": 0, "capturable": 600}),
        (Kind.CAPTURE, REFUSED, {"captured": 0, "capture_in_flight": 0, "capturable": 1_000}),
        (Kind.CLOSE, REFUSED, {"closing": 0, "state": PaymentState.PENDING}),
        (
            Kind.CLOSE,
            said.Succeeded(yuan(1_000), PAYMENT_ID, evidence=SIGNED),
            {"closing": 0, "state": PaymentState.CANCELED, "expires_at": None},
        ),
    ],
)
def test_every_kind_settles_its_own_part(
    kind: Kind, outcome: Outcome, expected: dict[str, Any]
) -> None:
    after = paid(decide_outcome(in_state(State.SENT, kind), record(outcome)))

    assert {name: getattr(after, name) for name in expected} == expected


def test_a_void_of_all_that_is_authorised_cancels_the_payment() -> None:
    state = in_state(State.SENT, Kind.VOID, minor=1_000)
    after = paid(
        decide_outcome(state, record(said.Succeeded(yuan(1_000), PAYMENT_ID, evidence=SIGNED)))
    )

    assert after.state is PaymentState.CANCELED


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (said.Succeeded(yuan(1_000), PAYMENT_ID, evidence=SIGNED), PaymentState.AUTHORIZED),
        (REFUSED, PaymentState.FAILED),
        (said.Withdrawn(SIGNED), PaymentState.CANCELED),
        (said.Unknown(), PaymentState.PENDING),
    ],
)
def test_a_payment_changes_only_on_proof(outcome: Outcome, state: PaymentState) -> None:
    paying = instruction(State.SENT, Kind.PAY)
    command = record(outcome, fence=paying.fence)
    after = paid(decide_outcome(snapshot(payment(PaymentState.PENDING), paying), command))

    assert after.state is state
    assert after.authorized == (1_000 if state is PaymentState.AUTHORIZED else 0)


def test_an_authorisation_that_was_voided_in_the_meantime_does_not_rise_again() -> None:
    """A notice told of the authorisation first, and everything was voided since."""
    paying = instruction(State.PENDING, Kind.PAY)
    voided = payment(PaymentState.CANCELED, authorized=1_000, voided=1_000)
    command = record(said.Succeeded(yuan(1_000), PAYMENT_ID, evidence=SIGNED), fence=paying.fence)
    decision = decide_outcome(snapshot(voided, paying), command)

    assert paid(decision).state is PaymentState.CANCELED
    assert accepted(decision).cases == ()


# The wish to take it back.


def asked(state: State = State.PENDING) -> Snapshot:
    return in_state(state, withdrawal=Withdrawal.ASKED)


@pytest.mark.parametrize("outcome", [said.Accepted(evidence=SIGNED), REFUSED])
def test_a_withdrawal_that_the_channel_refuses_is_recorded(outcome: Outcome) -> None:
    decision = accepted(decide_outcome(asked(), record(outcome, of_withdrawal=True)))
    one = only(decision)

    assert decision.events == (InstructionNoted(Note.WITHDRAWAL_REFUSED, one, SIGNED),)
    assert (one.state, one.withdrawal) == (State.PENDING, Withdrawal.REFUSED)
    assert (one.lease, one.sequence, one.due_at) == (4, 5, NOW + 10_000)


@pytest.mark.parametrize(
    "outcome",
    [
        said.Unknown(),
        said.NotFound(SIGNED),
        said.NotSent(),
        said.Declined(Retry.SAME_NUMBER_LATER, evidence=SIGNED),
    ],
)
def test_an_answer_that_settles_nothing_leaves_the_wish(outcome: Outcome) -> None:
    """A rate limit is no refusal: what was asked for is asked again, and nothing is resent."""
    decision = decide_outcome(asked(), record(outcome, of_withdrawal=True))
    one = only(decision)

    assert (one.state, one.withdrawal) == (State.PENDING, Withdrawal.ASKED)
    assert (one.lease, one.due_at) == (4, NOW + 10_000)


@pytest.mark.parametrize(
    ("outcome", "after", "withdrawal"),
    [
        (said.Withdrawn(SIGNED), State.WITHDRAWN, Withdrawal.DONE),
        (SUCCEEDED, State.SUCCEEDED, Withdrawal.REFUSED),
        (BOUNCED, State.BOUNCED, Withdrawal.REFUSED),
    ],
)
def test_the_race_is_decided_by_the_proof_of_the_channel(
    outcome: Outcome, after: State, withdrawal: Withdrawal
) -> None:
    one = only(decide_outcome(asked(), record(outcome, of_withdrawal=True)))

    assert (one.state, one.withdrawal) == (after, withdrawal)


# A `reverse` falls through by live state.


@pytest.mark.parametrize(
    ("minor", "refunded", "follow_up"), [(1_000, 0, 1_000), (300, 0, 300), (1_000, 900, 100)]
)
def test_a_cancel_that_came_too_late_goes_on_as_a_refund_of_what_is_left(
    minor: int, refunded: int, follow_up: int
) -> None:
    late = instruction(State.SENT, Kind.CLOSE, minor=minor, is_fallback=True)
    captured = payment(refunded=refunded, refunds=1, closing=1)
    decision = accepted(decide_outcome(snapshot(captured, late), record(TOO_LATE)))

    assert steps_of(decision) == [Step.FAIL]
    [refund] = decision.follow_ups
    assert isinstance(refund, RequestRefund)
    assert refund.amount == yuan(follow_up)
    assert refund.key == f"shop/policy:{REVERSAL_ID}"


@pytest.mark.parametrize(
    ("changes", "outcome", "captured"),
    [
        ({"is_fallback": False}, TOO_LATE, 1_000),
        ({"is_fallback": True}, REFUSED, 1_000),
        ({"is_fallback": True}, TOO_LATE, 0),
        ({"is_fallback": True, "in_doubt": True, "attempt": 2}, TOO_LATE, 1_000),
    ],
)
def test_nothing_is_refunded_that_was_not_asked_for_or_is_not_proven(
    changes: dict[str, Any], outcome: Outcome, captured: int
) -> None:
    late = instruction(State.SENT, Kind.CLOSE, **changes)
    before = payment(captured=captured, closing=1)
    command = record(outcome, fence=late.fence)

    assert accepted(decide_outcome(snapshot(before, late), command)).follow_ups == ()


def test_evidence_is_kept_with_the_event() -> None:
    decision = accepted(decide_outcome(in_state(State.SENT), record(proven(said.Accepted()))))

    assert [event.evidence for event in decision.events] == [SIGNED]
