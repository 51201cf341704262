"""A program that runs beside us, away from our terminal, and dies when we die.

Linux only: the kernel is asked to kill it, so that it happens however we end.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

from contraflow.errors import StoreUnwritable

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Child:
    """It says nothing but what it complains of, on our own error stream."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._command, self._environment = command, environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """By a thread that stays: it is the thread whose end the kernel looks for.

        Raises StoreUnwritable.
        """
        try:
            self._process = subprocess.Popen(  # noqa: S603 its words are ours
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us, and we tell it.
                preexec_fn=die_with(os.getpid()),  # noqa: PLW1509 we have no second thread
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise StoreUnwritable(f"{self.name}: {error}") from error

    @property
    def exit_code(self) -> int | None:
        """As Popen has it: a signal is negative; None while it runs, or was never started."""
        return None if self._process is None else self._process.poll()

    def how_it_ended(self) -> str | None:
        code = self.exit_code
        if code is None:
            return None
        return f"was ended by {name_of(-code)}" if code < 0 else f"ended with exit code {code}"

    def terminate(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def await_end(self, seconds_max: float) -> None:
        """After so long it is killed."""
        if self._process is None:
            return
        try:
            self._process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def die_with(parent: int) -> Callable[[], None]:
    """What to do in the child: be killed with its parent, also if that is dead by now."""

    def prepare() -> None:
        failed = LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if failed or os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare


def name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # A real-time signal.
        return f"signal {number}"
