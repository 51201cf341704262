"""A PostgreSQL server of our own: private, behind a password, and gone when it is told to go."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

from contraflow.errors import StoreUnwritable
from contraflow.outside.postgres_found import Binaries, programs_for
from contraflow.outside.postgres_processes import (
    as_user,
    is_server_in,
    processes_in,
    send,
    wait_until,
)
from contraflow.outside.privileges import (
    first_closed_to,
    give,
    replace,
    sync_folder,
    unprivileged_user,
)

SUPERUSER = "postgres"
FOLDERS = ("data", "data.new", "socket", "programs")
FILES = ("password", "postgresql.conf", "log", "password.new")
PORT = 5432  # Of the socket's name, unless the server listens on the network, too.
INITDB = (
    f"--username={SUPERUSER}",
    "--auth=scram-sha-256",
    "--data-checksums",
    "--encoding=UTF8",
    "--locale=C",
)
CREATE_S_MAX = 120
START_S_MAX = 120  # A recovery is part of it.
STOP_S_MAX = 60  # The last checkpoint is part of it; then it is killed, and recovers next time.
DIE_S_MAX = 10
LOG_LINES_TOLD = 10
SOCKET_BYTES_MAX = 107  # Of its path; the kernel keeps no more.


def private_folder() -> Path:
    """A new folder that a server may be put in, whoever we are and whoever it runs as."""
    folder = Path(tempfile.mkdtemp(prefix="contraflow-pg-"))
    folder.chmod(0o711)
    return folder


class PostgresServer:
    """One server in one folder, by one supervisor at a time."""

    def __init__(
        self,
        binaries: Binaries,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        """Also listens on 127.0.0.1 if a port is given. Whoever sets `fsync` to off gets it."""
        self.binaries, self.folder, self.port = binaries, folder.resolve(), port
        self.settings = dict(settings or {})
        self.data, self._new_data, self._socket, self._programs = (
            self.folder / name for name in FOLDERS
        )
        self._password, self._settings_file, self._log, self._password_to_tell = (
            self.folder / name for name in FILES
        )
        self._lock_file = self.data / "postmaster.pid"
        self._postmaster: subprocess.Popen[bytes] | None = None
        self._logged_before = 0  # Bytes, of earlier programs.

    def create(self) -> None:
        """Make what is not there yet; data that exist stay. Raises StoreUnwritable."""
        user = unprivileged_user()
        try:
            self._refuse_bad_place(user)
            self._make_folders(user)
            if not self.data.exists():
                self._make_data(user)
            os.chown(self._password, os.geteuid(), -1)  # Once it was its user's.
        except OSError as error:
            raise StoreUnwritable(f"{self.folder}: {error}") from error

    def start(self) -> None:
        """Wait until it accepts connections, recovery included. Raises StoreUnwritable.

        A server that runs already, of an earlier supervisor, is taken over as it is.
        """
        if self.pid is None:
            self.kill()  # Of an earlier crash, backends may have outlived their postmaster.
            try:
                self._forget_the_dead()
                self._launch()
            except OSError as error:
                raise StoreUnwritable(f"PostgreSQL cannot run in {self.folder}: {error}") from error
        try:
            wait_until(lambda: self._is_ready() or self._has_ended(), START_S_MAX)
        except BaseException:
            self.kill()
            raise
        if not self._is_ready():
            self.kill()
            raise StoreUnwritable(self._complaint("did not start"))

    def stop(self) -> None:
        """Roll back what is open, write a checkpoint, end. No process is left."""
        if (pid := self.pid) is not None:
            send(pid, signal.SIGINT)
            wait_until(lambda: not processes_in(self.data), STOP_S_MAX)
        self.kill()

    def kill(self) -> None:
        """As a crash: everything dies at once, and nothing is tidied up."""
        if self._postmaster is not None:
            self._postmaster.kill()
        if (pid := self.pid) is not None:
            send(pid, signal.SIGKILL)  # Before its children, so that it starts no other.
        if not wait_until(lambda: not self._kill_processes(), DIE_S_MAX):
            raise StoreUnwritable(f"processes of PostgreSQL in {self.folder} do not die")
        if self._postmaster is not None:
            self._postmaster.wait()
            self._postmaster = None

    def delete(self) -> None:
        """Stop it, and remove the folder, in which nothing but the server may be."""
        self.stop()
        if self._lock_file.exists():
            # It has crashed, and only its next start gives its shared memory back.
            with suppress(StoreUnwritable):
                self.start()
                self.stop()
        if self.folder.exists():
            self._refuse_strangers()
            shutil.rmtree(self.folder)

    def is_running(self) -> bool:
        return self.pid is not None

    @property
    def pid(self) -> int | None:
        """The postmaster's, whoever has started it."""
        if self._postmaster is not None and self._postmaster.poll() is None:
            pid = self._postmaster.pid
        else:
            first = "".join(self._lock_lines()[:1])
            pid = int(first) if first.isdigit() else 0
        return pid if is_server_in(pid, self.data) else None

    def dsn(self, user: str, password: str, database: str) -> str:
        user, password, database = (quote(each, safe="") for each in (user, password, database))
        place = f"host={quote(str(self._socket))}&port={self.port or PORT}"
        return f"postgresql://{user}:{password}@/{database}?{place}"

    def superuser_dsn(self, database: str = "postgres") -> str:
        return self.dsn(SUPERUSER, self._password.read_text(encoding="ascii").strip(), database)

    # How it is made.

    def _refuse_bad_place(self, user: pwd.struct_passwd | None) -> None:
        socket = self._socket / f".s.PGSQL.{self.port or PORT}"
        if len(os.fsencode(socket)) > SOCKET_BYTES_MAX:
            raise StoreUnwritable(
                f"{socket}: a socket's path has at most {SOCKET_BYTES_MAX} bytes; "
                "choose a folder with a shorter path"
            )
        if self.folder.exists():
            self._refuse_strangers()
        obstacle = user and first_closed_to(user, self.folder.parent)
        if user and obstacle:
            raise StoreUnwritable(
                f"{self.folder}: the user {user.pw_name}, as whom PostgreSQL runs when we are "
                f"root, may not enter {obstacle}; choose a folder elsewhere"
            )

    def _refuse_strangers(self) -> None:
        names = set(os.listdir(self.folder))
        if not names <= {*FOLDERS, *FILES} or (self.data.exists() and not self._password.exists()):
            raise StoreUnwritable(f"{self.folder}: holds something else than a server of ours")

    def _make_folders(self, user: pwd.struct_passwd | None) -> None:
        """The folder stays ours; the server's user may pass, and owns what it must write to."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if user is not None:
            os.chown(self.folder, os.geteuid(), user.pw_gid)
        self.folder.chmod(0o700 if user is None else 0o710)
        self._socket.mkdir(mode=0o700, exist_ok=True)
        give(self._socket, user)

    def _make_data(self, user: pwd.struct_passwd | None) -> None:
        """Under another name until it is whole, so that data which exist are complete."""
        shutil.rmtree(self._new_data, ignore_errors=True)
        self._new_data.mkdir(mode=0o700)
        give(self._new_data, user)
        password = secrets.token_urlsafe(24) + "\n"
        replace(self._password, password, None)
        replace(self._password_to_tell, password, user)
        command = [
            str(programs_for(self.binaries, self._programs, user) / "initdb"),
            *INITDB,
            f"--pwfile={self._password_to_tell}",
            f"--pgdata={self._new_data}",
        ]
        with self._open_log() as log:
            try:
                made = subprocess.run(  # noqa: S603 its words are ours
                    command, check=False, timeout=CREATE_S_MAX, **as_user(user, self.folder, log)
                )
            except subprocess.TimeoutExpired:
                raise StoreUnwritable(self._complaint("took too long to be created")) from None
            finally:
                self._password_to_tell.unlink()
        if made.returncode != 0:
            raise StoreUnwritable(self._complaint("could not be created"))
        self._new_data.rename(self.data)
        sync_folder(self.folder)

    # How it is started.

    def _launch(self) -> None:
        user = unprivileged_user()
        self._write_settings(user)
        command = [
            str(programs_for(self.binaries, self._programs, user) / "postgres"),
            *("-D", str(self.data)),
            *("-c", f"config_file={self._settings_file}"),
        ]
        with self._open_log() as log:
            self._postmaster = subprocess.Popen(  # noqa: S603 its words are ours
                command, **as_user(user, self.data, log)
            )

    def _forget_the_dead(self) -> None:
        """The number of a postmaster may be another's by now, or of a body that nobody buries."""
        self._lock_file.unlink(missing_ok=True)
        for left in self._socket.glob(".s.PGSQL.*"):
            left.unlink()

    def _write_settings(self, user: pwd.struct_passwd | None) -> None:
        settings = {
            "listen_addresses": "" if self.port is None else "127.0.0.1",
            "port": str(self.port or PORT),
            "unix_socket_directories": str(self._socket),
            **self.settings,
        }
        lines = (f"{name} = {quoted(value)}\n" for name, value in settings.items())
        replace(self._settings_file, "".join(lines), user)

    def _has_ended(self) -> bool:
        if self._postmaster is not None:
            return self._postmaster.poll() is not None
        return self.pid is None

    def _is_ready(self) -> bool:
        """By the line that pg_ctl waits for, too."""
        lines = self._lock_lines()
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _lock_lines(self) -> list[str]:
        try:
            return self._lock_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _kill_processes(self) -> list[int]:
        left = processes_in(self.data)
        for pid in left:
            send(pid, signal.SIGKILL)
        return left

    def _open_log(self) -> IO[bytes]:
        descriptor = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._logged_before = os.fstat(descriptor).st_size
        return open(descriptor, "ab")

    def _complaint(self, what: str) -> str:
        with self._log.open("rb") as log:
            log.seek(self._logged_before)
            lines = log.read().decode(errors="replace").splitlines()
        said = "\n".join(lines[-LOG_LINES_TOLD:])
        return f"PostgreSQL {self.binaries.version} {what} in {self.folder}:\n{said}"


def quoted(value: str) -> str:
    """As postgresql.conf wants it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
