"""Each fault meets each state, except for the pairs that are listed, each with its reason."""

import pytest

from contraflow.domain.lifecycle import State
from contraflow.simulation.faults import KINDS, Fault
from contraflow.simulation.pairs import (
    EXPECTED,
    IMPOSSIBLE,
    NOTICES,
    RARE,
    impossible_seen,
    never_seen,
)
from contraflow.simulation.run import run


def test_every_pair_is_expected_or_listed_once() -> None:
    every = {(kind, state) for kind in KINDS for state in State}

    assert set(IMPOSSIBLE) < every
    assert set(RARE) < every
    assert not set(RARE) & set(IMPOSSIBLE)
    assert every - set(IMPOSSIBLE) - set(RARE) == EXPECTED


def test_what_should_be_impossible_and_happened_is_named() -> None:
    assert impossible_seen(EXPECTED) == []
    assert impossible_seen({("two_workers", State.FAILED)}) == ["two_workers/failed"]


def test_every_listed_pair_has_its_reason() -> None:
    reasons = {*IMPOSSIBLE.values(), *RARE.values()}

    assert all(len(reason) > 20 and not reason.endswith(".") for reason in reasons)


def test_every_state_is_expected_to_meet_something() -> None:
    assert {state for _, state in EXPECTED} == set(State)


def test_a_crash_may_meet_every_state() -> None:
    assert {(Fault.CRASH_ANYWHERE, state) for state in State} <= EXPECTED


@pytest.mark.slow
def test_what_is_listed_as_impossible_does_not_happen() -> None:
    seen = {pair for seed in range(20) for pair in run(seed).pairs}

    assert not seen & set(IMPOSSIBLE)
    assert len(seen & EXPECTED) > len(EXPECTED) // 2


def test_what_was_never_seen_is_named() -> None:
    assert never_seen(EXPECTED) == []
    assert never_seen(EXPECTED - {(Fault.PAUSED, State.SENT)}) == ["paused/sent"]
    assert len(never_seen(set())) == len(EXPECTED)


def test_a_notice_may_tell_of_what_a_liar_has_denied() -> None:
    """So it did in seed 559: "not found" after every deadline, and a success was on its way."""
    told_of_failed = {(fault, State.FAILED) for fault in NOTICES}

    assert told_of_failed <= set(RARE)
