"""A program beside us: how it ends is said, and it does not outlive us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contraflow.errors import StoreUnwritable
from contraflow.outside.child import Child, name_of

PATIENCE_S = 10
STAY = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
# Says the number of its child, and waits to be killed.
PARENT = f"""
import sys, time
from contraflow.outside.child import Child
child = Child("stays", [sys.executable, "-c", {STAY!r}], {{}})
child.start()
print(child._process.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def started() -> Iterator[list[Child]]:
    children: list[Child] = []
    yield children
    for child in children:
        child.await_end(0)


def child_of(code: str, started: list[Child]) -> Child:
    child = Child("program", [sys.executable, "-c", code], {})
    child.start()
    started.append(child)
    return child


def end_of(child: Child) -> str | None:
    wait_until(lambda: child.exit_code is not None)
    return child.how_it_ended()


def wait_until(condition: object) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """What is dead and waits to be buried is not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_what_was_never_started_has_not_ended() -> None:
    child = Child("program", ["false"], {})
    child.terminate()
    child.await_end(0)

    assert child.how_it_ended() is None


def test_how_it_ended_is_said(started: list[Child]) -> None:
    staying = child_of(STAY, started)

    assert staying.how_it_ended() is None
    assert end_of(child_of("raise SystemExit(3)", started)) == "ended with exit code 3"
    os.kill(staying._process.pid, signal.SIGKILL)  # type: ignore[union-attr]
    assert end_of(staying) == "was ended by SIGKILL"
    assert name_of(40) == "signal 40"


@pytest.mark.slow
def test_it_is_asked_to_end_and_then_killed(started: list[Child]) -> None:
    willing, stubborn = child_of(STAY, started), child_of(STUBBORN, started)
    time.sleep(0.3)
    for child in (willing, stubborn):
        child.terminate()
        child.await_end(0.3)

    assert willing.how_it_ended() == "was ended by SIGTERM"
    assert stubborn.how_it_ended() == "was ended by SIGKILL"


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(StoreUnwritable, match=r"program: .*no such program"):
        Child("program", ["/no such program"], {}).start()


@pytest.mark.slow
def test_it_does_not_outlive_us_even_if_we_are_killed() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()

    wait_until(lambda: not is_alive(child))
