"""PostgreSQL for the tests: which versions are here, and whether they are those that must be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import servers

from contraflow.outside.postgres_server import PostgresServer


def pytest_configure() -> None:
    if missing := servers.missing():
        raise pytest.UsageError(
            f"CONTRAFLOW_PG_MUST asks for PostgreSQL {', '.join(missing)}; "
            f"found: {servers.described()}"
        )


def pytest_report_header() -> str:
    return f"PostgreSQL: {servers.described()}"


def pytest_sessionfinish() -> None:
    servers.delete_all()


@pytest.fixture(scope="session")
def postgres_servers() -> Iterator[list[PostgresServer]]:
    """One of each version, running."""
    yield [servers.running(each.major) for each in servers.found()]
    servers.delete_all()
