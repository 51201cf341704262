"""May this worker ask the channel about the instruction now?"""

import pytest
from cases import NOW, REVERSAL_ID, in_state, only, paid, refused, snapshot, steps_of

from contraflow.domain.commands import ClaimInquiry
from contraflow.domain.decide.inquiry import decide_inquiry
from contraflow.domain.instruction import Fence
from contraflow.domain.lifecycle import FINAL, State, Step
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def claim(attempt: int = 1, lease: int = 3) -> ClaimInquiry:
    return ClaimInquiry(fence=Fence(REVERSAL_ID, attempt, lease), lease_until=NOW + 60)


def back() -> Snapshot:
    """Sent once, and certainly not arrived."""
    return in_state(State.ACCEPTED, attempt=1, leave_by=NOW, sent_at=NOW)


@pytest.mark.parametrize(
    ("code", "state", "command"),
    [
        (ErrorCode.REVERSAL_UNKNOWN, snapshot(), claim()),
        (ErrorCode.STATE_FORBIDS, in_state(State.HELD), claim(attempt=0)),
        (ErrorCode.STATE_FORBIDS, in_state(State.ACCEPTED), claim(attempt=0)),
        (ErrorCode.STATE_FORBIDS, back(), claim()),
        *(
            (ErrorCode.STATE_FORBIDS, in_state(state, attempt=1, leave_by=NOW), claim())
            for state in sorted(FINAL)
        ),
        (ErrorCode.LEASE_STALE, in_state(State.UNKNOWN), claim(lease=2)),
        (ErrorCode.LEASE_STALE, in_state(State.UNKNOWN), claim(attempt=0)),
        (ErrorCode.LEASE_STALE, in_state(State.SUCCEEDED), claim(lease=2)),
    ],
)
def test_refused(code: ErrorCode, state: Snapshot, command: ClaimInquiry) -> None:
    assert refused(decide_inquiry(state, command)) is code


@pytest.mark.parametrize("before", [State.PENDING, State.UNKNOWN, State.ATTENTION])
def test_one_worker_asks_at_a_time(before: State) -> None:
    decision = decide_inquiry(in_state(before), claim())
    one = only(decision)

    assert steps_of(decision) == []
    assert (one.state, one.lease, one.due_at) == (before, 4, NOW + 60)


def test_what_somebody_else_sent_and_never_recorded_is_in_doubt() -> None:
    decision = decide_inquiry(in_state(State.SENT), claim())
    one = only(decision)

    assert steps_of(decision) == [Step.LOSE]
    assert (one.state, one.in_doubt) == (State.UNKNOWN, True)
    assert (one.lease, one.due_at) == (4, NOW + 60)
    assert paid(decision).unknown == 1
    assert paid(decision).reserved == 400
