"""The sandbox's bank as a process: it listens, is told to stop, and has its book alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from contraflow.cli.main import app

PROGRAM = [sys.executable, "-c", "from contraflow.cli.main import main; main()"]
PATIENCE_S = 10


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return tmp_path / "bank.book"


@pytest.fixture
def bank(book: Path) -> Iterator[subprocess.Popen[str]]:
    words = [*PROGRAM, "bank", "--book", str(book), "--port", "0", "--print-key", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def told(*words: str) -> tuple[int, Any]:
    result = CliRunner().invoke(app, [*words, "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.slow
def test_it_says_where_it_listens_and_has_its_book_alone(
    bank: subprocess.Popen[str], book: Path
) -> None:
    assert bank.stdout is not None
    first = json.loads(bank.stdout.readline())
    code, refused = told("bank", "--book", str(book), "--port", "0")
    port = first["listening"].rpartition(":")[2]
    other = str(book.with_name("other"))
    busy_code, busy = told("bank", "--book", other, "--port", port)
    bank.terminate()
    rest, _ = bank.communicate(timeout=PATIENCE_S)

    assert first["book"] == str(book)
    assert len(first["key"]) == 64
    assert (code, refused["error"]["code"]) == (4, "database_in_use")
    assert (busy_code, busy["error"]["code"]) == (2, "setting_invalid")
    assert busy["error"]["detail"].startswith("port: ")
    assert bank.returncode == 0
    assert json.loads(rest) == {"stopped": True}


@pytest.mark.slow
def test_the_key_stays_and_is_printed_only_when_asked_for(book: Path) -> None:
    def first_lines(*words: str, count: int) -> list[str]:
        command = [*PROGRAM, "bank", "--book", str(book), "--port", "0", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(count)]
            process.terminate()
            lines += process.communicate(timeout=PATIENCE_S)[0].splitlines()
        return lines

    quiet, open_ones = first_lines(count=1), first_lines("--print-key", count=2)
    key = json.loads(first_lines("--json", "--print-key", count=1)[0])["key"]
    told = json.loads(first_lines("--json", count=1)[0])

    assert set(told) == {"listening", "book"}
    assert quiet[0].startswith("bank on http://127.0.0.1:")
    assert key not in "".join(quiet)
    assert open_ones[1] == f"key {key}\n"


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "http://127.0.0.1:8080/notices", "ftp://x", "http://a b"]
)
def test_where_notices_go_is_an_address_without_a_path(book: Path, url: str) -> None:
    code, refused = told("bank", "--book", str(book), "--notify", url)

    assert code == 2
    assert refused["error"]["detail"].startswith("notify: ")
    assert not book.exists()
