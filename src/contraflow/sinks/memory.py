"""Keeps the latest events in a list; for tests, the demo and a first look."""

from __future__ import annotations

from collections import deque

KEPT = 1_000


class Memory:
    name = "memory"

    def __init__(self) -> None:
        self.bodies: deque[bytes] = deque(maxlen=KEPT)
        self.position = 0

    def deliver(self, position: int, body: bytes) -> None:
        assert position > self.position, "events come in order"
        self.position = position
        self.bodies.append(body)


def open_sink() -> Memory:
    return Memory()
