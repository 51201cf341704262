"""One event loop under all tests of stores: a pool of connections belongs to the loop it is of."""

from __future__ import annotations

import asyncio
import atexit
import inspect
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
TEST_S_MAX = 90  # Something waits for what will never come.

RUNNER = asyncio.Runner()
atexit.register(RUNNER.close)


def run(work: Coroutine[Any, Any, T]) -> T:
    return RUNNER.run(work)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test that is a coroutine runs in that loop. A conftest imports this to have it so."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    run(_in_time(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})))
    return True


async def _in_time(work: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(TEST_S_MAX):
        await work
