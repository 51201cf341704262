"""May what is held go on, or is it rejected?"""

from collections.abc import Callable

import pytest
from cases import KEY, NOW, REVERSAL_ID, in_state, only, paid, refused, snapshot, steps_of

from contraflow.domain.commands import RejectHold, ReleaseHold
from contraflow.domain.decide.hold import decide_rejection, decide_release
from contraflow.domain.decision import Decision
from contraflow.domain.instruction import Waiting
from contraflow.domain.lifecycle import State, Step
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def release(state: Snapshot) -> Decision:
    command = ReleaseHold(key=KEY, fingerprint=bytes(32), instruction_id=REVERSAL_ID)
    return decide_release(state, command)


def reject(state: Snapshot) -> Decision:
    command = RejectHold(key=KEY, fingerprint=bytes(32), instruction_id=REVERSAL_ID)
    return decide_rejection(state, command)


@pytest.mark.parametrize("decide", [release, reject])
@pytest.mark.parametrize(
    ("code", "state"),
    [
        (ErrorCode.REVERSAL_UNKNOWN, snapshot()),
        *((ErrorCode.STATE_FORBIDS, in_state(state)) for state in State if state is not State.HELD),
    ],
)
def test_refused(code: ErrorCode, state: Snapshot, decide: Callable[[Snapshot], Decision]) -> None:
    assert refused(decide(state)) is code


@pytest.mark.parametrize("waiting", [Waiting.REVIEW, Waiting.UNDO_WINDOW])
def test_what_is_released_goes_on_at_once(waiting: Waiting) -> None:
    decision = release(in_state(State.HELD, waiting=waiting))
    one = only(decision)

    assert steps_of(decision) == [Step.RELEASE]
    assert (one.state, one.waiting) == (State.ACCEPTED, Waiting.NOTHING)
    assert (one.due_at, one.deadline_at) == (NOW, None)
    assert one.lease == 4
    assert paid(decision).reserved == 400


def test_what_is_rejected_gives_back_what_it_reserved() -> None:
    decision = reject(in_state(State.HELD))
    one = only(decision)

    assert steps_of(decision) == [Step.REJECT]
    assert (one.state, one.failure, one.due_at) == (State.FAILED, "rejected", None)
    assert (paid(decision).reserved, paid(decision).refunds) == (0, 0)
