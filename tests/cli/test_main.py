"""The command line as a whole: its commands, its exit codes, and where its own faults end."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from contraflow.cli import main
from contraflow.cli.exits import MEANINGS, Exit
from contraflow.cli.main import COMMANDS, app

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "exit-codes.md"


def test_every_exit_code_is_in_the_help_and_on_its_page() -> None:
    told = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    page = PAGE.read_text(encoding="utf-8")

    assert set(MEANINGS) == set(Exit)
    for code, meaning in MEANINGS.items():
        assert f"{code.value} {meaning}" in told
        assert f"| {code.value} | {meaning}" in page


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_is_for(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])

    assert result.exit_code == 0
    assert f"contraflow {name}" in result.stdout or f" {name} " in result.stdout


def failing_with(error: Exception) -> Any:
    def run() -> None:
        raise error

    return run


def test_a_fault_of_our_own_is_logged_and_ends_with_seventy(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(main, "app", failing_with(RuntimeError("no idea")))
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as ended:
        main.main()

    assert ended.value.code == Exit.OUR_FAULT
    assert "no idea" in caplog.text


def test_a_broken_promise_ends_the_process_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "app", failing_with(AssertionError("I1")))
    with pytest.raises(AssertionError, match="I1"):
        main.main()
