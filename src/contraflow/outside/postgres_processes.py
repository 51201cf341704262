"""The processes of a PostgreSQL server: how one is run, how they are found and told.

Linux only: what belongs to a server is recognised by its working directory, in /proc.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from contraflow.outside.postgres_found import ENVIRONMENT

POLL_S = 0.01


def as_user(user: pwd.struct_passwd | None, folder: Path, log: IO[bytes]) -> dict[str, Any]:
    """How to run a program: away from our terminal, our environment and our privileges."""
    how = {
        "cwd": folder,
        "env": ENVIRONMENT,
        "stdin": subprocess.DEVNULL,
        "stdout": log,
        "stderr": subprocess.STDOUT,
        "start_new_session": True,
    }
    if user is None:
        return how
    return {**how, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}


def processes_in(data: Path) -> list[int]:
    """The postmaster and all its children, orphans included: they live in the data."""
    numbers = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return [pid for pid in numbers if is_server_in(pid, data)]


def is_server_in(pid: int, data: Path) -> bool:
    """A shell that somebody has taken there is none.

    One that ends gives back its memory before its working directory, so that whoever waits for
    this to be untrue may start the next.
    """
    process = Path("/proc", str(pid))
    try:
        is_there = os.readlink(process / "cwd") == str(data)
        return is_there and (process / "comm").read_bytes() == b"postgres\n"
    except OSError:
        return False


def send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_until(is_so: Callable[[], bool], seconds_max: float) -> bool:
    deadline = time.monotonic() + seconds_max
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
