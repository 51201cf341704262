"""The outside world: clock, tasks, sockets. Replaced wholesale by the simulation.

This page is the contract, and with the store's it is all that the engine awaits.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Protocol, TypeVar

from contraflow.wire.exchange import Reply, Request

T = TypeVar("T")


class Ticket(Protocol[T]):
    """A promise of one value; awaited once, by whoever asked."""

    def set_result(self, value: T, /) -> None: ...
    def set_exception(self, error: BaseException, /) -> None: ...
    def done(self) -> bool: ...
    def __await__(self) -> Generator[Any, None, T]: ...


class Runtime(Protocol):
    def now(self) -> int:
        """Milliseconds (UTC) of the clock that the store is given."""
        ...

    async def sleep(self, ms: int) -> None: ...
    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...
    def ticket(self) -> Ticket[Any]: ...


class Transport(Protocol):
    async def send(self, request: Request, leave_by: int) -> Reply:
        """Move the bytes, none of them after `leave_by` (milliseconds of the store's clock).

        Raises NotSent if it is certain that no byte left, ReplyLost if that is not certain.
        """
        ...
