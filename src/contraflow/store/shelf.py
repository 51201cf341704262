"""Rows beside the business: one SQL that both databases understand, and one way to run it.

For keys, endpoints, deliveries and batches, which are few and in no hurry; see decisions/0024.
Parameters are `$1`, `$2`; a text, a whole number, bytes or None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

Value: TypeAlias = str | int | bytes | None
Row: TypeAlias = tuple[Any, ...]  # Of values.
Step: TypeAlias = tuple[str, Sequence[Row]]  # A statement, and once for each what it is given.


class Shelf(Protocol):
    """Raises StoreUnwritable or ValueRefused, and then has changed nothing."""

    async def close(self) -> None: ...

    async def now(self) -> int:
        """Milliseconds of the clock that all processes of this database share."""
        ...

    async def rows(self, statement: str, *values: Value) -> list[Row]:
        """Of one statement, which is its own transaction; it may write and return."""
        ...

    async def write(self, *steps: Step) -> None:
        """All of them, in this order, or nothing."""
        ...
