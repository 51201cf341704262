"""What does a person's decision change? One row per reason, in the order of ErrorCode."""

from typing import Any

import pytest
from cases import (
    KEY,
    NOW,
    REVERSAL_ID,
    accepted,
    in_state,
    only,
    paid,
    refused,
    snapshot,
    steps_of,
)

from contraflow.domain.cases import Case, CaseKind, open_case
from contraflow.domain.commands import Resolution, ResolveCase
from contraflow.domain.decide.case import decide_resolution
from contraflow.domain.decision import Accepted
from contraflow.domain.events import CaseClosed, InstructionMoved
from contraflow.domain.instruction import Waiting, Withdrawal
from contraflow.domain.lifecycle import State, Step
from contraflow.domain.outcome import Proof
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode

SEEN = "seen in the statement of 3 May"
CASE = open_case(CaseKind.OVER_REVERSAL, object_id=REVERSAL_ID, cause="c", now=NOW)
CLOSED = Case(CASE.case_id, CASE.kind, REVERSAL_ID, NOW, NOW, "", closed_at=NOW, closed_by="k")


def resolve(
    resolution: Resolution, evidence: str = SEEN, object_id: str = REVERSAL_ID
) -> ResolveCase:
    return ResolveCase(
        key=KEY,
        fingerprint=bytes(32),
        object_id=object_id,
        resolution=resolution,
        evidence=evidence,
    )


def close(evidence: str = SEEN, resolution: Resolution = Resolution.CLOSED) -> ResolveCase:
    return resolve(resolution, evidence, CASE.case_id)


ATTENTION = in_state(State.ATTENTION)
ON_RAIL = in_state(State.ATTENTION, channel="rail")
REDIRECT = resolve(Resolution.REDIRECT)


@pytest.mark.parametrize(
    ("code", "state", "command"),
    [
        (ErrorCode.CASE_UNKNOWN, snapshot(), resolve(Resolution.FAILED)),
        (ErrorCode.CASE_UNKNOWN, snapshot(), resolve(Resolution.FAILED, "")),
        (ErrorCode.CHANNEL_UNABLE, ON_RAIL, REDIRECT),
        (ErrorCode.CHANNEL_UNABLE, ON_RAIL, resolve(Resolution.REDIRECT, "")),
        (ErrorCode.CHANNEL_UNABLE, in_state(State.UNKNOWN, channel="rail"), REDIRECT),
        *(
            (ErrorCode.STATE_FORBIDS, in_state(state), resolve(Resolution.FAILED, ""))
            for state in State
            if state is not State.ATTENTION
        ),
        (ErrorCode.STATE_FORBIDS, ATTENTION, resolve(Resolution.CLOSED)),
        (ErrorCode.STATE_FORBIDS, snapshot(CLOSED), close("")),
        (ErrorCode.STATE_FORBIDS, snapshot(CASE), close(resolution=Resolution.FAILED)),
        (ErrorCode.STATE_FORBIDS, snapshot(CASE), close(resolution=Resolution.REDIRECT)),
        (ErrorCode.EVIDENCE_MISSING, ATTENTION, resolve(Resolution.SUCCEEDED, "")),
        (ErrorCode.EVIDENCE_MISSING, ATTENTION, resolve(Resolution.FAILED, " \n")),
        (ErrorCode.EVIDENCE_MISSING, ATTENTION, resolve(Resolution.REDIRECT, "")),
        (ErrorCode.EVIDENCE_MISSING, snapshot(CASE), close("")),
    ],
)
def test_refused_and_of_two_reasons_the_earlier_is_told(
    code: ErrorCode, state: Snapshot, command: ResolveCase
) -> None:
    assert refused(decide_resolution(state, command)) is code


@pytest.mark.parametrize(
    ("resolution", "step", "after", "refunded"),
    [
        (Resolution.SUCCEEDED, Step.RESOLVE_SUCCEEDED, State.SUCCEEDED, 400),
        (Resolution.FAILED, Step.RESOLVE_FAILED, State.FAILED, 0),
    ],
)
def test_a_person_settles_it_with_evidence_in_words(
    resolution: Resolution, step: Step, after: State, refunded: int
) -> None:
    decision = decide_resolution(ATTENTION, resolve(resolution))

    assert steps_of(decision) == [step]
    assert only(decision).state is after
    assert only(decision).lease == 4
    assert (paid(decision).reserved, paid(decision).refunded) == (0, refunded)
    [moved] = accepted(decision).events
    assert isinstance(moved, InstructionMoved)
    assert (moved.evidence.proof, moved.evidence.message) == (Proof.PERSON, SEEN)


@pytest.mark.parametrize("changes", [{}, {"in_doubt": True}, {"in_doubt": True, "attempt": 8}])
def test_a_redirect_stays_with_the_operator_until_the_next_mark(changes: dict[str, Any]) -> None:
    decision = decide_resolution(in_state(State.ATTENTION, **changes), REDIRECT)
    one = only(decision)

    assert (one.state, one.waiting) == (State.ATTENTION, Waiting.REDIRECT)
    assert (one.due_at, one.lease) == (NOW, 4)
    assert steps_of(decision) == []


@pytest.mark.parametrize("in_doubt", [True, False])
def test_what_could_act_twice_is_not_redirected_even_if_no_answer_was_lost(
    *, in_doubt: bool
) -> None:
    """It came here from `pending`, or by a contradiction: the channel has it."""
    state = in_state(State.ATTENTION, channel="rail", in_doubt=in_doubt)

    assert refused(decide_resolution(state, REDIRECT)) is ErrorCode.CHANNEL_UNABLE


def test_what_the_channel_did_after_all_answers_the_wish_to_take_it_back() -> None:
    state = in_state(State.ATTENTION, withdrawal=Withdrawal.ASKED)
    decision = decide_resolution(state, resolve(Resolution.SUCCEEDED))

    assert only(decision).withdrawal is Withdrawal.REFUSED


def test_a_case_is_closed_once_with_evidence_in_words() -> None:
    decision = decide_resolution(snapshot(CASE), close())
    [closed] = accepted(decision).cases
    told = CaseClosed(closed, SEEN, close().asked)

    assert decision == Accepted(cases=(closed,), events=(told,))
    assert (closed.closed_at, closed.closed_by) == (NOW, KEY)
