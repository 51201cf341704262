"""What does a deadline that has passed change?"""

import pytest
from cases import NOW, REVERSAL_ID, in_state, only, paid, refused, snapshot, steps_of

from contraflow.domain.commands import FireTimer
from contraflow.domain.decide.timer import decide_timer
from contraflow.domain.instruction import Fence, Waiting
from contraflow.domain.lifecycle import State, Step
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def fire(attempt: int = 0, lease: int = 3) -> FireTimer:
    return FireTimer(fence=Fence(REVERSAL_ID, attempt, lease))


def waiting(
    state: State = State.HELD, deadline_at: int | None = NOW, **changes: object
) -> Snapshot:
    return in_state(state, deadline_at=deadline_at, **changes)


@pytest.mark.parametrize(
    ("code", "state", "command"),
    [
        (ErrorCode.REVERSAL_UNKNOWN, snapshot(), fire()),
        (ErrorCode.STATE_FORBIDS, waiting(deadline_at=NOW + 1), fire()),
        (ErrorCode.STATE_FORBIDS, waiting(State.ACCEPTED, None), fire()),
        (ErrorCode.STATE_FORBIDS, waiting(State.ACCEPTED, NOW + 1), fire()),
        (ErrorCode.STATE_FORBIDS, waiting(State.SENT), fire(attempt=1)),
        (ErrorCode.STATE_FORBIDS, waiting(State.PENDING), fire(attempt=1)),
        (ErrorCode.STATE_FORBIDS, waiting(State.UNKNOWN), fire(attempt=1)),
        (ErrorCode.STATE_FORBIDS, waiting(State.ATTENTION), fire(attempt=1)),
        (ErrorCode.STATE_FORBIDS, in_state(State.FAILED), fire(attempt=1)),
        (ErrorCode.LEASE_STALE, waiting(), fire(lease=2)),
        (ErrorCode.LEASE_STALE, waiting(), fire(attempt=1)),
    ],
)
def test_refused(code: ErrorCode, state: Snapshot, command: FireTimer) -> None:
    assert refused(decide_timer(state, command)) is code


@pytest.mark.parametrize("deadline_at", [NOW, NOW - 1])
def test_the_undo_window_lets_go(deadline_at: int) -> None:
    state = waiting(deadline_at=deadline_at, waiting=Waiting.UNDO_WINDOW)
    decision = decide_timer(state, fire())
    one = only(decision)

    assert steps_of(decision) == [Step.RELEASE]
    assert (one.state, one.due_at, one.deadline_at) == (State.ACCEPTED, NOW, None)
    assert paid(decision).reserved == 400


@pytest.mark.parametrize("before", [State.HELD, State.ACCEPTED])
def test_any_other_wait_that_nobody_has_ended_expires(before: State) -> None:
    decision = decide_timer(waiting(before), fire())
    one = only(decision)

    assert steps_of(decision) == [Step.EXPIRE]
    assert (one.state, one.failure, one.due_at) == (State.FAILED, "expired", None)
    assert (paid(decision).reserved, paid(decision).refunds) == (0, 0)
