"""What once broke an invariant, each history named after what it taught us."""

from collections.abc import Iterable

import pytest

from contraflow.domain.lifecycle import State
from contraflow.simulation.faults import Fault, Faults
from contraflow.simulation.run import run

SEEDS = {
    "an operator redirects what its owner wants back, and its mark is refused for ever": 73,
    "a parked fact is applied in a batch that runs twice": 5314,
    "a void of the rest cancels a payment whose capture is withdrawn later": 2058,
    "only the network has brought a payment before an operator": 366,
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS)
def test_a_history_that_once_went_wrong_goes_well(seed: int) -> None:
    assert run(seed).commits > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_an_outage_of_minutes_uses_up_no_attempts(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """What never left stayed accepted for ever, and its mark was refused for ever."""
    strike = Faults.strike

    def strike_often(
        faults: Faults, fault: Fault, chance: float, states: Iterable[State] = ()
    ) -> bool:
        return strike(faults, fault, 1.0 if fault is Fault.UNREACHABLE else chance, states)

    monkeypatch.setattr(Faults, "strike", strike_often)

    assert run(seed).faults[Fault.UNREACHABLE] > 10
