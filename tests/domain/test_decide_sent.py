"""May this instruction be handed to its channel now?"""

from typing import Any

import pytest
from cases import (
    DAY_MS,
    GAP_MS,
    LEAVE_BY,
    NOW,
    REVERSAL_ID,
    SENT_AT,
    accepted,
    in_state,
    instruction,
    only,
    paid,
    payment,
    payment_of,
    refused,
    snapshot,
    steps_of,
)

from contraflow.domain.commands import MarkSent
from contraflow.domain.decide.sent import decide_sent
from contraflow.domain.decision import Decision
from contraflow.domain.instruction import Fence, Kind, Waiting, Withdrawal
from contraflow.domain.lifecycle import PaymentState, PaymentStep, State, Step
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def mark(attempt: int = 0, lease: int = 3, leave_by: int = NOW + 5) -> MarkSent:
    fence = Fence(REVERSAL_ID, attempt, lease)
    return MarkSent(fence=fence, leave_by=leave_by, lease_until=NOW + 60)


def redirected(**changes: Any) -> Snapshot:
    return in_state(State.ATTENTION, waiting=Waiting.REDIRECT, **changes)


def held_by(*holds: str) -> Snapshot:
    one = instruction(State.ACCEPTED)
    return snapshot(payment_of(one), one, holds=holds)


@pytest.mark.parametrize(
    ("code", "state", "command"),
    [
        (ErrorCode.REVERSAL_UNKNOWN, snapshot(), mark()),
        (ErrorCode.STATE_FORBIDS, in_state(State.HELD), mark()),
        (ErrorCode.STATE_FORBIDS, in_state(State.SENT), mark(1)),
        (ErrorCode.STATE_FORBIDS, in_state(State.PENDING), mark(1)),
        (ErrorCode.STATE_FORBIDS, in_state(State.ATTENTION), mark(1)),
        (ErrorCode.STATE_FORBIDS, in_state(State.WITHDRAWN), mark()),
        (ErrorCode.STATE_FORBIDS, in_state(State.SUCCEEDED), mark(1)),
        (ErrorCode.STATE_FORBIDS, in_state(State.FAILED), mark(1)),
        (ErrorCode.STATE_FORBIDS, in_state(State.BOUNCED), mark(1)),
        (ErrorCode.STATE_FORBIDS, held_by("all"), mark()),
        (ErrorCode.STATE_FORBIDS, held_by("channel:card"), mark()),
        (ErrorCode.STATE_FORBIDS, held_by("merchant:shop"), mark()),
        (ErrorCode.STATE_FORBIDS, in_state(State.UNKNOWN, attempt=8), mark(8)),
        (ErrorCode.STATE_FORBIDS, in_state(State.UNKNOWN, withdrawal=Withdrawal.ASKED), mark(1)),
        (ErrorCode.LEASE_STALE, in_state(State.ACCEPTED), mark(lease=2)),
        (ErrorCode.LEASE_STALE, in_state(State.UNKNOWN), mark(attempt=0)),
    ],
)
def test_refused(code: ErrorCode, state: Snapshot, command: MarkSent) -> None:
    assert refused(decide_sent(state, command)) is code


@pytest.mark.parametrize(
    ("state", "attempt", "step"),
    [
        (in_state(State.ACCEPTED), 0, Step.SEND),
        (in_state(State.ACCEPTED, attempt=1, leave_by=LEAVE_BY, sent_at=SENT_AT), 1, Step.SEND),
        (in_state(State.UNKNOWN), 1, Step.RESEND),
        (redirected(), 1, Step.REDIRECT),
        (redirected(attempt=8), 8, Step.REDIRECT),
    ],
)
def test_a_mark_counts_the_attempt_and_says_when_it_must_have_left(
    state: Snapshot, attempt: int, step: Step
) -> None:
    decision = decide_sent(state, mark(attempt))
    one = only(decision)

    assert steps_of(decision) == [step]
    assert one.state is State.SENT
    assert one.fence == Fence(REVERSAL_ID, attempt + 1, 4)
    assert (one.leave_by, one.due_at) == (NOW + 5, NOW + 60)
    assert one.sent_at == (SENT_AT if attempt else NOW)
    assert one.waiting is Waiting.NOTHING
    assert paid(decision).reserved == 400
    assert paid(decision).unknown == 0


def test_sending_again_forgets_no_doubt() -> None:
    assert only(decide_sent(in_state(State.UNKNOWN), mark(1))).in_doubt


@pytest.mark.parametrize(
    ("in_doubt", "channel", "is_sent"),
    [(True, "card", True), (False, "card", True), (True, "rail", False), (False, "rail", True)],
)
def test_a_number_that_may_act_twice_is_not_sent_while_it_may_be_travelling(
    channel: str, *, in_doubt: bool, is_sent: bool
) -> None:
    decision = decide_sent(in_state(State.UNKNOWN, in_doubt=in_doubt, channel=channel), mark(1))

    assert (refused(decision) if not is_sent else None) is (
        None if is_sent else ErrorCode.CHANNEL_UNABLE
    )


def test_one_time_covers_every_attempt() -> None:
    """Whoever marks it may not have seen how late the one before may leave."""
    for leave_by in (LEAVE_BY - 1, LEAVE_BY, LEAVE_BY + 1):
        decision = accepted(decide_sent(in_state(State.UNKNOWN), mark(1, leave_by=leave_by)))
        assert decision.instructions[0].leave_by == max(leave_by, LEAVE_BY)


def test_the_first_mark_of_a_payment_command_makes_the_payment_pending() -> None:
    one = instruction(State.ACCEPTED, Kind.PAY)
    command = MarkSent(fence=one.fence, leave_by=NOW, lease_until=NOW)
    decision = accepted(decide_sent(snapshot(payment_of(one), one), command))

    assert paid(decision).state is PaymentState.PENDING
    assert [event.step for event in decision.events] == [Step.SEND, PaymentStep.START]


# What waits.


def beside_an_unknown(kind: Kind, **changes: Any) -> Snapshot:
    one = instruction(State.ACCEPTED, kind, **{"requested_at": NOW} | changes)
    before = payment_of(one)
    fields = {name: getattr(before, name) for name in before.__struct_fields__}
    return snapshot(type(before)(**fields | {"unknown": 1}), one)


def postponed_until(decision: Decision) -> int | None:
    one = only(decision)

    assert one.state is State.ACCEPTED
    assert (one.lease, one.attempt) == (4, 0)
    assert accepted(decision).events == ()
    assert accepted(decision).payment is None
    return one.due_at


@pytest.mark.parametrize("kind", [Kind.CLOSE, Kind.VOID, Kind.CAPTURE])
def test_what_depends_on_the_live_state_waits_for_what_is_unknown(kind: Kind) -> None:
    assert postponed_until(decide_sent(beside_an_unknown(kind), mark())) == NOW + 1_000


@pytest.mark.parametrize(
    ("waited_ms", "again_ms"),
    [(0, 1_000), (4_003, 1_000), (8_000, 2_000), (2_400_000, 600_000), (DAY_MS, 600_000)],
)
def test_the_longer_it_waits_the_rarer_it_looks(waited_ms: int, again_ms: int) -> None:
    state = beside_an_unknown(Kind.VOID, requested_at=NOW - waited_ms)

    assert postponed_until(decide_sent(state, mark())) == NOW + again_ms


def test_the_refund_of_a_reversal_waits_and_an_independent_one_does_not() -> None:
    waiting = decide_sent(beside_an_unknown(Kind.REFUND, is_fallback=True), mark())
    going = decide_sent(beside_an_unknown(Kind.REFUND), mark())

    assert postponed_until(waiting) == NOW + 1_000
    assert only(going).state is State.SENT


@pytest.mark.parametrize(("deadline_at", "expected"), [(None, NOW + DAY_MS), (NOW + 7, NOW + 7)])
def test_what_waits_has_a_deadline_that_does_not_move(
    deadline_at: int | None, expected: int
) -> None:
    one = instruction(State.ACCEPTED, Kind.VOID, deadline_at=deadline_at)
    state = snapshot(payment(PaymentState.AUTHORIZED, void_in_flight=400, unknown=1), one)

    assert only(decide_sent(state, mark())).deadline_at == expected


def in_a_gap(refund_sent_at: int | None, **changes: Any) -> Snapshot:
    before = payment(reserved=400, refunds=1, method="tight", refund_sent_at=refund_sent_at)
    return snapshot(before, instruction(State.ACCEPTED, **changes))


@pytest.mark.parametrize("since", [0, 1, GAP_MS - 1])
def test_two_refunds_of_one_payment_keep_their_distance(since: int) -> None:
    decision = decide_sent(in_a_gap(NOW - since), mark())

    assert postponed_until(decision) == NOW - since + GAP_MS


@pytest.mark.parametrize("refund_sent_at", [None, NOW - GAP_MS, NOW - GAP_MS - 1])
def test_after_the_gap_the_next_one_goes_and_starts_a_new_gap(refund_sent_at: int | None) -> None:
    decision = decide_sent(in_a_gap(refund_sent_at), mark())

    assert only(decision).state is State.SENT
    assert paid(decision).refund_sent_at == NOW


def test_a_gap_is_for_refunds_alone() -> None:
    one = instruction(State.ACCEPTED, Kind.VOID)
    before = payment(
        PaymentState.AUTHORIZED, void_in_flight=400, method="tight", refund_sent_at=NOW
    )

    assert only(decide_sent(snapshot(before, one), mark())).state is State.SENT
