"""The command line on a database of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from contraflow.cli.main import app

Shell = Callable[..., Any]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@pytest.fixture
def shell(database: Path) -> Shell:
    """`shell("pay", "pay_1", ..., code=0)`: what the command prints as JSON."""

    def run(*words: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, [*words, "--json", "--db", str(database)])
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        return json.loads(result.stdout) if result.stdout else None

    return run


@pytest.fixture
def page(database: Path) -> Shell:
    """What the command prints for people, its complaints included."""

    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, [*words, "--db", str(database)])
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        return result.stdout + result.stderr

    return run


@pytest.fixture
def captured(shell: Shell) -> Shell:
    """A recorded payment of 10.50 GBP, with a script for what the sandbox does to its reversals."""

    def record(name: str = "pay_1", script: str = "ok") -> Any:
        amount = ("--minor", "1050", "--currency", "GBP")
        return shell("pay", name, *amount, "--captured", "--script", script)

    return record
