"""PostgreSQL databases, emptied for each test, and what is opened on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import found
from store.databases import Database, Opened, close_all, own_of, shared
from store.on_one_loop import pytest_pyfunc_call, run

__all__ = ["pytest_pyfunc_call"]

MAJORS = [each.major for each in found()]


def pytest_sessionfinish() -> None:
    close_all()


@pytest.fixture(params=MAJORS, ids=str)
def major(request: pytest.FixtureRequest) -> int:
    """Each test runs on every PostgreSQL; `@on_newest` where one must do."""
    major: int = request.param
    return major


@pytest.fixture
def database(major: int) -> Database:
    """With all tables and no rows; as good as fresh."""
    database = shared(major)
    run(database.empty())
    return database


@pytest.fixture
def opened(database: Database) -> Iterator[Opened]:
    opened = Opened(database)
    yield opened
    run(opened.close())


@pytest.fixture
def own(request: pytest.FixtureRequest, major: int) -> Database:
    """One for the tests of a file, which change its settings, and change them back."""
    database = own_of(major, request.path.stem)
    run(database.empty())
    return database


@pytest.fixture
def opened_own(own: Database) -> Iterator[Opened]:
    opened = Opened(own)
    yield opened
    run(opened.close())
