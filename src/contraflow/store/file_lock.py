"""A lock of the operating system, so that one process at a time works on a database file."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from contraflow.errors import DatabaseInUse, StoreUnwritable


@dataclass(slots=True)
class FileLock:
    """Held until it is released or the process ends, however it ends."""

    descriptor: int | None

    def release(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def lock_file(database: Path) -> FileLock:
    """Lock `<database>.lock`, which stays: removing it would let two processes lock two files."""
    path = database.with_name(database.name + ".lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnwritable(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise DatabaseInUse(
            f"{database}: process {holder} works on it (database_in_use); stop that one first, "
            "or wait until it has ended: what only reads goes on"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return FileLock(descriptor)
