"""A unit of CPU time that can be compared between machines; the simulation counts in it too."""

from __future__ import annotations

from contraflow.simulation.unit import unit_s

__all__ = ["unit_s"]  # One loop, so that figures agree.
