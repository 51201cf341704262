"""Houses that are looked over and closed when a test is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from house import House

from contraflow.settings import Settings


@pytest.fixture
def build() -> Iterator[Callable[..., House]]:
    """`build(undo_window_s=5)`: a house with these settings. Its loops do not run yet."""
    houses: list[House] = []

    def one(**settings: Any) -> House:
        houses.append(House(Settings(**{"sinks": {}} | settings)))
        return houses[-1]

    yield one
    for each in houses:
        each.close_with_books_in_order()


@pytest.fixture
def house(build: Callable[..., House]) -> House:
    """With the settings as they come, and its loops at work."""
    return build().start()
