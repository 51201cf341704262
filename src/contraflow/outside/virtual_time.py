"""Drives coroutines in virtual time, in one thread; nothing here ever waits.

The simulation draws the order by a seed, a replay takes them as they come.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

Work = Coroutine[Any, Any, None]
T = TypeVar("T")


def result_of(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits, as every call of an embedded store."""
    try:
        work.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    raise AssertionError("it waits")


def first_come(waiting: int) -> int:
    assert waiting > 0
    return 0


@dataclass(slots=True, eq=False)
class VirtualTicket:
    ready: list[Work]
    is_filled: bool = False
    value: Any = None
    error: BaseException | None = None
    waiting: Work | None = None

    def set_result(self, value: Any, /) -> None:
        assert not self.is_filled
        self.is_filled, self.value = True, value
        self._wake()

    def set_exception(self, error: BaseException, /) -> None:
        assert not self.is_filled
        self.is_filled, self.error = True, error
        self._wake()

    def done(self) -> bool:
        return self.is_filled

    def _wake(self) -> None:
        if self.waiting is not None:
            self.ready.append(self.waiting)

    def __await__(self) -> Generator[VirtualTicket, None, Any]:
        if not self.is_filled:
            yield self
        if self.error is not None:
            raise self.error
        return self.value


@dataclass(slots=True)
class VirtualTime:
    time: int = 0  # Milliseconds.
    pick: Callable[[int], int] = first_come  # Which of so many goes next.
    turns: int = 0
    ready: list[Work] = field(default_factory=list)
    alive: dict[Work, None] = field(default_factory=dict)  # Ordered, unlike a set.
    timers: list[tuple[int, int, VirtualTicket]] = field(default_factory=list)
    ticks: count[int] = field(default_factory=count)

    def now(self) -> int:
        return self.time

    async def sleep(self, ms: int) -> None:
        ticket = self.ticket()
        heapq.heappush(self.timers, (self.time + max(ms, 0), next(self.ticks), ticket))
        await ticket

    def spawn(self, work: Work) -> None:
        self.alive[work] = None
        self.ready.append(work)

    def ticket(self) -> VirtualTicket:
        return VirtualTicket(self.ready)

    def run(self, until: Callable[[], bool]) -> None:
        """One coroutine at a time; time moves only when all of them wait."""
        while not until():
            if self.ready:
                self.turn()
            else:
                assert self.timers, "everybody waits, and nobody is to come"
                self._tick()

    def run_to(self, time: int) -> None:
        """Everything that happens until then, and at that very millisecond."""
        while self.ready or (self.timers and self.timers[0][0] <= time):
            if self.ready:
                self.turn()
            else:
                self._tick()
        self.time = max(self.time, time)

    def turn(self) -> None:
        self.turns += 1
        work = self.ready.pop(self.pick(len(self.ready)))
        try:
            awaited = work.send(None)
        except StopIteration:
            del self.alive[work]
        else:
            awaited.waiting = work

    def drop(self) -> None:
        """A crash: every coroutine ends where it stands. Their `finally` blocks do run."""
        dropped = list(self.alive)
        self.alive.clear()
        self.ready.clear()
        self.timers.clear()
        for work in dropped:
            work.close()
        self.ready.clear()
        self.alive.clear()

    def _tick(self) -> None:
        self.time, _, ticket = heapq.heappop(self.timers)
        ticket.set_result(None)
