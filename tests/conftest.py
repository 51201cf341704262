"""PostgreSQL for the tests: which versions are here, and whether they are those that must be."""

from __future__ import annotations

import re
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


RAN: set[str] = set()  # Major versions on which a test of the stores has passed.


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed and "store" in report.nodeid:
        RAN.update(re.findall(r"\[(\d\d)[]-]", report.nodeid))


def pytest_sessionfinish(session: pytest.Session) -> None:
    servers.delete_all()
    is_worker = hasattr(session.config, "workerinput")
    if not is_worker and servers.must() - RAN:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"stores: SQLite, PostgreSQL {', '.join(sorted(RAN)) or 'not'}")
    for major in sorted(servers.must() - RAN):
        terminalreporter.write_line(f"CONTRAFLOW_PG_MUST: nothing passed on PostgreSQL {major}")


@pytest.fixture(scope="session")
def postgres_servers() -> Iterator[list[PostgresServer]]:
    """One of each version, running."""
    yield [servers.running(each.major) for each in servers.found()]
    servers.delete_all()
