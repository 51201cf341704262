"""The runtime of production: asyncio, told in the engine's four words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import uvloop


def new_loop() -> asyncio.AbstractEventLoop:
    """libuv's, which moves bytes at half the price."""
    return uvloop.new_event_loop()


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class EventLoop:
    """In a task group, because half an engine is worse than none: one failure stops them all."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun_at = wall_clock_ms() - time.monotonic_ns() // 1_000_000

    def now(self) -> int:
        """The wall clock as it was at the start, and from there on a clock that never jumps."""
        return self._begun_at + time.monotonic_ns() // 1_000_000

    async def sleep(self, ms: int) -> None:
        await asyncio.sleep(ms / 1_000)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def ticket(self) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()
