"""Processes of ours: each alone in its group, so that none of it outlives the campaign."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Proc:
    name: str
    command: Sequence[str]
    environment: dict[str, str]
    log: Path  # What it says, of all its lives.
    popen: subprocess.Popen[bytes] | None = None
    is_stopped: bool = False  # By SIGSTOP.
    logged: int = 0  # Bytes of its earlier lives.

    @property
    def pid(self) -> int:
        assert self.popen is not None
        return self.popen.pid

    @property
    def is_alive(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def has_said(self, words: bytes) -> bool:
        """In this life."""
        with self.log.open("rb") as log:
            log.seek(self.logged)
            return words in log.read()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.logged = log.tell()
            self.popen = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 no threads here
            )
        self.is_stopped = False

    def send(self, what: signal.Signals) -> None:
        if self.is_alive:
            os.kill(self.pid, what)

    def kill(self) -> None:
        """At once, and whatever it has started with it.

        Not if it has ended: its number may be somebody else's by now.
        """
        if self.popen is None or not self.is_alive:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def end(self, within_s: float) -> float | None:
        """How long it took to end by itself; None if it had to be killed."""
        assert self.popen is not None
        begun = time.monotonic()
        self.send(signal.SIGTERM)
        try:
            self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        return time.monotonic() - begun


def die_with_parent() -> None:
    """Also where the campaign itself is killed and can end nothing."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """They stay free unless somebody is unlucky: nothing holds them."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
