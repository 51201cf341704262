"""As whom we run a program if we are root: where that user may go, and what it may read."""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

from contraflow.errors import StoreUnwritable

UNPRIVILEGED = ("postgres", "nobody")


def unprivileged_user() -> pwd.struct_passwd | None:
    """As whom the server runs if we are root, which PostgreSQL refuses; nobody is added."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise StoreUnwritable(
        f"PostgreSQL refuses root, and there is no user {' or '.join(UNPRIVILEGED)}"
    )


def first_closed_to(user: pwd.struct_passwd, folder: Path) -> Path | None:
    """The outermost folder on the way that this user may not enter, by its mode."""
    for each in (*reversed(folder.parents), folder):
        if each.exists() and not may_enter(user, each.stat()):
            return each
    return None


def may_enter(user: pwd.struct_passwd, folder: os.stat_result) -> bool:
    if folder.st_uid == user.pw_uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == user.pw_gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)


def give(path: Path, user: pwd.struct_passwd | None) -> None:
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def replace(path: Path, text: str, user: pwd.struct_passwd | None) -> None:
    """By a file that only the server's user, or root, may read."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    give(path, user)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
