"""A store on a server, for a runtime without sockets: everybody stands until it has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from inspect import iscoroutinefunction
from typing import Any, TypeVar, cast

from contraflow.store import Store

T = TypeVar("T")
DAY_MS = 24 * 3_600_000


class StandingStore:
    """Of a share of a file, whose instructions nobody else works on."""

    poll_ms = DAY_MS

    def __init__(self, store: Store, wait_for: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._store = store
        self._wait_for = wait_for

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not iscoroutinefunction(method):
            return method

        async def call(*args: Any, **more: Any) -> Any:
            return self._wait_for(method(*args, **more))

        return call


def standing(store: Store, runner: asyncio.Runner) -> Store:
    return cast(Store, StandingStore(store, runner.run))
