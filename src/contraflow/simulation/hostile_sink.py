"""Somebody who wants to know everything in order, and who is down now and then."""

from __future__ import annotations

from contraflow.errors import InvariantBroken, OperationalError
from contraflow.simulation.faults import Fault
from contraflow.simulation.surroundings import Surroundings


class HostileSink:
    name = "hostile"

    def __init__(self, world: Surroundings) -> None:
        self.world = world
        self.told = 0  # A crash loses what was not flushed.

    def deliver(self, position: int, body: bytes) -> None:
        """At least once and in order: again after a crash, but never past a gap."""
        if self.world.faults.strike(Fault.SINK_DOWN, 0.02):
            raise OperationalError
        if position > max(self.told, self.world.told) + 1:
            raise InvariantBroken("I29", f"a sink misses what is before {position}: {body!r}")
        self.told = max(self.told, position)

    def flush(self) -> None:
        if self.world.faults.strike(Fault.SINK_DOWN, 0.02):
            self.told = 0
            raise OperationalError
        self.world.told = max(self.world.told, self.told)
