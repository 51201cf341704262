"""What ends is started again, and the longer it is in trouble the longer is the pause."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from contraflow.errors import StoreUnwritable
from contraflow.outside.keeper import CALM_S, PAUSE_S_MAX, PAUSE_S_MIN, Keeper


@dataclass
class Toy:
    name: str = "toy"
    end: str | None = None
    starts: list[float] = field(default_factory=list)
    is_broken: bool = False
    now: float = 0

    def start(self) -> None:
        self.starts.append(self.now)
        if self.is_broken:
            raise StoreUnwritable("it is broken")
        self.end = None

    def how_it_ended(self) -> str | None:
        return self.end


def watched(toy: Toy, until: float) -> list[str]:
    """What is said while it is looked at ten times a second."""
    said: list[str] = []
    keeper = Keeper(toy, said.append, toy.now)
    while toy.now < until:
        keeper.look(toy.now)
        toy.now = round(toy.now + 0.1, 1)
    return said


def test_what_runs_is_left_alone() -> None:
    toy = Toy()

    assert watched(toy, until=5) == []
    assert toy.starts == []


def test_what_ends_is_started_again_and_it_is_said() -> None:
    toy = Toy(end="fell over")

    assert watched(toy, until=5) == [
        "toy fell over; it is started again in 0.25 s",
        "toy was started again",
    ]
    assert toy.starts == [0.3]


def test_the_pause_grows_while_it_does_not_start() -> None:
    toy = Toy(end="fell over", is_broken=True)
    said = watched(toy, until=60)
    pauses = [round(later - earlier, 1) for earlier, later in pairwise(toy.starts)]

    assert said[1] == "toy does not start: it is broken; it is started again in 0.5 s"
    assert pauses == sorted(pauses)
    assert pauses[-1] == PAUSE_S_MAX


def test_the_pause_grows_when_it_falls_over_soon_and_not_when_it_has_lived_long() -> None:
    toy, said = Toy(), list[str]()
    keeper = Keeper(toy, said.append, 0)
    for end, expected in ((1.0, 0.25), (2.0, 0.5), (3.0, 1.0), (4.0 + CALM_S, PAUSE_S_MIN)):
        toy.end = "fell over"
        keeper.look(end)
        keeper.look(end + keeper.pause_s)

        assert keeper.pause_s == expected
        assert toy.how_it_ended() is None
