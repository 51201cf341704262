"""Keeps the latest events in a list; for tests, the demo and a first look."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from contraflow.errors import SettingInvalid

KEPT = 1_000


class Memory:
    def __init__(self, name: str) -> None:
        self.name = name
        self.bodies: deque[bytes] = deque(maxlen=KEPT)
        self.position = 0

    def deliver(self, position: int, body: bytes) -> None:
        if position > self.position:
            self.position = position
            self.bodies.append(body)

    def flush(self) -> None:
        """It is gone with the process, whatever is done."""


def open_sink(name: str, options: Mapping[str, str]) -> Memory:
    if options:
        raise SettingInvalid(f"sinks.{name}.options: memory has none")
    return Memory(name)
