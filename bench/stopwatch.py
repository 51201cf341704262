"""How long a run took, on the clock on the wall and on the processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds for one life cycle; `commits` where an arm counts them."""

    wall: float
    cpu: float
    commits: float = 0.0


def timed(work: Callable[[], None], life_cycles: int) -> Took:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Took(wall / life_cycles, cpu / life_cycles)


def best(took: list[Took]) -> Took:
    """The least of each: a machine that others use, too, is slow in phases."""
    return Took(
        min(t.wall for t in took), min(t.cpu for t in took), max(t.commits for t in took)
    )
