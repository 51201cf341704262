"""The checks are really made: what is false is found, and a run without a canary is none."""

import pytest

from contraflow.errors import InvariantBroken
from contraflow.simulation import run as hostile
from contraflow.simulation.many import run_many, run_seeds
from contraflow.simulation.world import World

SEED = 3


def test_the_canary_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its check, at the end of a history in which something was written."""
    dead_after: list[int] = []

    def check_canary(world: World) -> None:
        dead_after.append(world.commits)
        raise InvariantBroken(hostile.CANARY, "dead")

    monkeypatch.setattr(hostile, "check_canary", check_canary)
    hostile.run_canary(SEED)

    assert len(dead_after) == 1
    assert dead_after[0] > 0


def test_a_run_begins_with_its_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile, "check_canary", lambda _: None)

    with pytest.raises(AssertionError, match="canary lives"):
        next(run_many(SEED, SEED + 1, jobs=1))


def test_a_broken_invariant_ends_its_history_and_is_told_with_its_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hostile, "check_at_rest", lambda world, _: hostile.check_canary(world))

    with pytest.raises(InvariantBroken, match="canary"):
        hostile.run(SEED)
    [(seed, said)] = run_seeds([SEED]).violations
    assert (seed, said[:6]) == (SEED, "canary")


def test_an_error_that_is_no_invariant_is_a_violation_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(_: World) -> None:
        raise LookupError("nothing there")

    monkeypatch.setattr(hostile, "check", stumble)

    assert run_seeds([SEED]).violations == [(SEED, "LookupError: nothing there")]
