"""How long a run took, on the clock on the wall and on the processor."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds for one life cycle; for an arm that counts its commits, how many of them."""

    wall: float
    cpu: float
    commits: float = 0.0


@dataclass(frozen=True, slots=True)
class Moment:
    wall: float
    cpu: float


def begin() -> Moment:
    return Moment(time.perf_counter(), time.process_time())


def since(begun: Moment, life_cycles: int, commits: int = 0) -> Took:
    wall, cpu = time.perf_counter() - begun.wall, time.process_time() - begun.cpu
    return Took(wall / life_cycles, cpu / life_cycles, commits / life_cycles)


def timed(work: Callable[[], None], life_cycles: int) -> Took:
    begun = begin()
    work()
    return since(begun, life_cycles)


def best(took: Sequence[Took]) -> Took:
    """The least time of each clock, because a machine that others use is slow in phases.

    Of the commits, which no other user changes, the most.
    """
    return Took(
        min(one.wall for one in took),
        min(one.cpu for one in took),
        max(one.commits for one in took),
    )
