"""The engine as a process: it works until it is told to stop, and has the database alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = [sys.executable, "-c", "from contraflow.cli.main import main; main()"]
PART = ("--minor", "300", "--currency", "GBP")
PATIENCE_S = 10


@pytest.fixture
def worker(database: Path, captured: Any) -> Iterator[subprocess.Popen[str]]:
    """It has said that it works, and so has the database."""
    captured()
    words = [*PROGRAM, "work", "--db", str(database)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("working on ")
        yield process
        process.kill()


def wait_until(condition: Any) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("stopping", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_work_has_the_database_alone_and_stops_when_told(
    shell: Any, worker: subprocess.Popen[str], stopping: signal.Signals
) -> None:
    refused = shell("refund", "pay_1", *PART, code=4)
    shown = shell("show", "pay_1")
    worker.send_signal(stopping)
    told, _ = worker.communicate(timeout=PATIENCE_S)

    assert refused["error"]["code"] == "database_in_use"
    assert shown["payment"]["state"] == "captured"
    assert worker.returncode == 0
    assert told == "stopped\n"
    assert shell("refund", "pay_1", *PART, "--wait", "5")["payment"]["refunded"]["minor"] == 300


@pytest.mark.slow
def test_under_nohup_the_end_of_a_terminal_means_nothing(database: Path) -> None:
    words = ["nohup", *PROGRAM, "work", "--db", str(database)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"working on ")
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.terminate()
        told, _ = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, told) == (0, b"stopped\n")


@pytest.mark.slow
def test_work_does_what_was_only_kept(shell: Any, database: Path, captured: Any) -> None:
    captured()
    [kept] = shell("refund", "pay_1", *PART)["instructions"]
    words = [*PROGRAM, "work", "--json", "--db", str(database)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: shell("show", kept["id"])["instructions"][0]["status"] == "succeeded")
        process.terminate()
        told, _ = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    assert json.loads(told) == {"stopped": True, "counts": {}}
    assert shell("doctor")["unresolved"] == 0
