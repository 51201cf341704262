"""Each fault meets each state, except for the pairs that are listed as impossible."""

import pytest

from contraflow.domain.lifecycle import State
from contraflow.simulation.faults import KINDS, Fault
from contraflow.simulation.pairs import EXPECTED, IMPOSSIBLE, never_seen
from contraflow.simulation.run import run


def test_every_pair_is_either_expected_or_impossible() -> None:
    every = {(kind, state) for kind in KINDS for state in State}

    assert set(IMPOSSIBLE) < every
    assert every - set(IMPOSSIBLE) == EXPECTED


def test_every_impossible_pair_has_its_reason() -> None:
    assert all(reason.strip() and not reason.endswith(".") for reason in IMPOSSIBLE.values())


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
