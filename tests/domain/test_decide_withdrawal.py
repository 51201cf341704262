"""May its owner have this instruction back? One row per reason, in the order of ErrorCode."""

import pytest
from cases import KEY, NOW, REVERSAL_ID, accepted, in_state, only, paid, refused, snapshot, steps_of

from contraflow.domain.commands import WithdrawReversal
from contraflow.domain.decide.withdrawal import decide_withdrawal
from contraflow.domain.decision import Accepted
from contraflow.domain.events import InstructionNoted, Note
from contraflow.domain.instruction import Withdrawal
from contraflow.domain.lifecycle import State, Step
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode

WITHDRAW = WithdrawReversal(key=KEY, fingerprint=bytes(32), instruction_id=REVERSAL_ID)
SENT = [State.SENT, State.PENDING, State.UNKNOWN, State.ATTENTION]


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (ErrorCode.REVERSAL_UNKNOWN, snapshot()),
        (ErrorCode.STATE_FORBIDS, in_state(State.WITHDRAWN)),
        (ErrorCode.STATE_FORBIDS, in_state(State.FAILED)),
        (ErrorCode.TOO_LATE, in_state(State.SUCCEEDED)),
        (ErrorCode.TOO_LATE, in_state(State.BOUNCED)),
    ],
)
def test_refused(code: ErrorCode, state: Snapshot) -> None:
    assert refused(decide_withdrawal(state, WITHDRAW)) is code


@pytest.mark.parametrize("before", [State.HELD, State.ACCEPTED])
def test_before_it_is_sent_it_is_withdrawn_at_once(before: State) -> None:
    decision = decide_withdrawal(in_state(before), WITHDRAW)
    one = only(decision)

    assert steps_of(decision) == [Step.WITHDRAW]
    assert (one.state, one.withdrawal, one.final_at) == (State.WITHDRAWN, Withdrawal.DONE, NOW)
    assert one.due_at is None
    assert one.lease == 4
    assert (paid(decision).reserved, paid(decision).refunds) == (0, 0)


@pytest.mark.parametrize("before", SENT)
def test_after_that_the_wish_is_kept_and_nothing_is_forgotten(before: State) -> None:
    state = in_state(before)
    decision = accepted(decide_withdrawal(state, WITHDRAW))
    one = only(decision)

    assert decision.events == (InstructionNoted(Note.WITHDRAWAL_ASKED, one, asked=WITHDRAW.asked),)
    assert (one.state, one.withdrawal) == (before, Withdrawal.ASKED)
    assert one.sequence == 5
    assert decision.payment in (None, *state.payments.values())


@pytest.mark.parametrize("before", SENT)
def test_whoever_waits_for_the_answer_of_the_channel_is_still_heard(before: State) -> None:
    state = in_state(before)

    assert only(decide_withdrawal(state, WITHDRAW)).fence == state.instructions[REVERSAL_ID].fence


@pytest.mark.parametrize(("before", "due_at"), [(State.SENT, NOW + 9), (State.PENDING, NOW)])
def test_the_channel_is_asked_at_once_unless_somebody_waits_for_it(
    before: State, due_at: int
) -> None:
    assert only(decide_withdrawal(in_state(before, due_at=NOW + 9), WITHDRAW)).due_at == due_at


@pytest.mark.parametrize("before", SENT)
def test_asking_twice_is_asking_once(before: State) -> None:
    state = in_state(before, withdrawal=Withdrawal.ASKED)
    decision = decide_withdrawal(state, WITHDRAW)

    assert decision == Accepted(instructions=(state.instructions[REVERSAL_ID],))


def test_after_a_refusal_it_may_be_asked_again() -> None:
    state = in_state(State.PENDING, withdrawal=Withdrawal.REFUSED)

    assert only(decide_withdrawal(state, WITHDRAW)).withdrawal is Withdrawal.ASKED
