"""Every store there is: SQLite in memory and in a file, and each PostgreSQL that was found."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.stores.samples import Clock, fill
from servers import found
from store.databases import close_all, emptied_store, shared
from store.on_one_loop import pytest_pyfunc_call, run

from contraflow.store import Store, Views
from contraflow.store.places import open_views
from contraflow.store.postgres_trouble import Taken
from contraflow.store.sqlite import open_store

__all__ = ["pytest_pyfunc_call"]

COUNT = itertools.count()
MAJORS = [each.major for each in found()]


def pytest_sessionfinish() -> None:
    close_all()


@pytest.fixture(params=["memory", "file", *MAJORS], ids=str)
def kind(request: pytest.FixtureRequest) -> str | int:
    """Another database adds its name here, and below where it is and how it is opened."""
    kind: str | int = request.param
    return kind


@pytest.fixture
def place(kind: str | int, tmp_path: Path) -> str:
    if isinstance(kind, int):
        return shared(kind).dsn
    if kind == "memory":
        return f"file:/contract-{next(COUNT)}?vfs=memdb"
    return str(tmp_path / "contraflow.db")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(
    kind: str | int, place: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """An empty one."""
    if isinstance(kind, int):
        monkeypatch.setattr(Taken, "times_max", 3)  # Nobody else is there.
        yield emptied_store(kind, clock)
        return
    opened = open_store(place, clock)
    yield opened
    run(opened.close())


@pytest.fixture
def store(queue: Store) -> Store:
    """With something in every table."""
    run(fill(queue))
    return queue


@pytest.fixture
def views(place: str, queue: Store) -> Iterator[Views]:
    assert queue.poll_ms  # It is there before one looks into it.
    opened = run(open_views(place))
    yield opened
    run(opened.close())
