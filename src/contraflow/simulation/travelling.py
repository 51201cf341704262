"""A submission that its sender has given up, and that lands all the same."""

from __future__ import annotations

from dataclasses import dataclass

from contraflow.wire.exchange import Request


@dataclass(frozen=True, slots=True)
class Travelling:
    at: int  # When it lands, in milliseconds of the simulation.
    request: Request
