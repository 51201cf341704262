"""All of contraflow by one command: it is there, survives its processes, and leaves nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from servers import found, guard
from typer.testing import CliRunner

from contraflow.cli.main import app
from contraflow.outside.child import die_with
from contraflow.outside.postgres_processes import processes_in
from contraflow.outside.postgres_server import PostgresServer, private_folder

PROGRAM = [sys.executable, "-c", "from contraflow.cli.main import main; main()"]
PATIENCE_S = 60
AMOUNT = ("--minor", "1050", "--currency", "GBP")
PART = ("--minor", "100", "--currency", "GBP")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One for all of them: what is in it stays. Not of pytest's, where only we may pass."""
    outer = private_folder()
    folder = outer / "d"
    guard(folder / "postgres")
    yield folder
    if folder.exists():
        PostgresServer(found()[0], folder / "postgres").delete()
    shutil.rmtree(outer)


@pytest.fixture
def door() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


class Up:
    """The command, and what it has said so far."""

    def __init__(self, folder: Path, door: str, *words: str) -> None:
        self.folder = folder
        self.complaints = folder.parent / "complaints"
        with self.complaints.open("w") as complaints:
            self.process = subprocess.Popen(
                [*PROGRAM, "up", "--folder", str(folder), "--door", door, *words],
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                preexec_fn=die_with(os.getpid()),  # noqa: PLW1509 no second thread forks
            )
        self.said = ""

    def ready(self, last: str = "Ctrl-C") -> Up:
        assert self.process.stdout is not None
        while last not in self.said:
            line = self.process.stdout.readline()
            assert line, (self.said, self.complaints.read_text())
            self.said += line
        return self

    def children(self) -> dict[str, int]:
        """By the last words of their command, and the server."""
        numbers = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        named = {}
        for number in numbers.split():
            words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
            name = next((w.decode() for w in words if w in (b"serve", b"work", b"bank")), "server")
            named[name] = int(number)
        return named

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        said, _ = self.process.communicate(timeout=PATIENCE_S)
        self.said += said


@pytest.fixture
def start(folder: Path, door: str) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def run(*words: str) -> Up:
        up = Up(folder, door, *words)
        started.append(up)
        return up

    yield run
    for each in started:
        each.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            each.process.communicate(timeout=20)
        each.process.kill()
        each.process.communicate()


def contraflow(folder: Path, *words: str, code: int = 0) -> Any:
    """From another shell, that knows nothing but the file."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["CONTRAFLOW_SETTINGS"] = str(folder / "settings.toml")
    command = [*PROGRAM, *words, "--json"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == code, (ran.stdout, ran.stderr)
    return json.loads(ran.stdout)


def secrets_in(folder: Path) -> list[str]:
    texts = [(folder / name).read_text() for name in ("settings.toml", "reader.toml")]
    addresses = re.findall(r'"(postgresql://[^"]+)"', "".join(texts))
    keys = re.findall(r'key = "(\w+)"', texts[0])
    own = (folder / "postgres" / "password").read_text().strip()
    return [own, *keys, *(urlsplit(each).password or "" for each in addresses)]


def wait_until(condition: Callable[[], bool]) -> float:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < PATIENCE_S, "it never came true"
        time.sleep(0.02)
    return time.monotonic() - begun


def is_alive(pid: int) -> bool:
    """What is dead and waits to be buried is not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def everybody(up: Up) -> list[int]:
    return [*up.children().values(), *processes_in(up.folder / "postgres" / "data")]


def test_a_payment_and_its_refund_and_nothing_left_behind(
    start: Callable[..., Up], folder: Path, door: str
) -> None:
    up = start("--serve", "2").ready()
    paid = contraflow(folder, "pay", "coffee", *AMOUNT, "--key", "paid", "--wait", "10")
    refunded = contraflow(folder, "refund", "coffee", *PART, "--key", "first", "--wait", "10")
    killed = up.children()["work"]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: up.children().get("work", killed) != killed)
    [kept] = contraflow(folder, "refund", "coffee", *PART, "--key", "second")["instructions"]
    wait_until(lambda: shown(folder, kept["id"])["status"] == "succeeded")
    checked, own = contraflow(folder, "doctor"), everybody(up)
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in own]
    surroundings = [Path(f"/proc/{pid}/environ").read_bytes().decode() for pid in own]
    up.end(signal.SIGTERM)

    assert f"door on http://{door}, http://" in up.said
    assert f"export CONTRAFLOW_SETTINGS={folder}/settings.toml\n" in up.said
    assert paid["payment"]["captured"]["minor"] == 1_050
    assert refunded["instructions"][0]["status"] == "succeeded"
    assert (checked["ok"], checked["unresolved"]) == (True, 0)
    told = [line.split(" ", 1) for line in up.complaints.read_text().splitlines()]
    assert all(re.fullmatch(r"2\d{3}-\d\d-\d\dT[\d:.]+Z", at) for at, _ in told)
    assert [what for _, what in told] == [
        "work 1 was ended by SIGKILL; it is started again in 0.25 s",
        "work 1 was started again",
        "stopping; calls under way may end",
    ]
    assert up.process.returncode == 0
    assert up.said.endswith("stopped\n")
    assert [pid for pid in own if is_alive(pid)] == []
    assert list((folder / "postgres" / "socket").iterdir()) == []
    for secret in secrets_in(folder):
        assert len(secret) >= 32
        assert secret not in "".join([*commands, *surroundings, up.said])


def shown(folder: Path, name: str) -> Any:
    return contraflow(folder, "show", name)["instructions"][0]


def test_what_is_kept_outlives_the_command_and_the_server(
    start: Callable[..., Up], folder: Path
) -> None:
    first = start("--json").ready("\n")
    contraflow(folder, "pay", "tea", *AMOUNT, "--key", "tea-paid", "--wait", "10")
    busy = CliRunner().invoke(app, ["up", "--folder", str(folder), "--json"])
    own, server = first.children(), first.children()["server"]
    first.process.kill()
    wait_until(lambda: not any(is_alive(own[name]) for name in ("serve", "work", "bank")))
    is_orphan = is_alive(server)
    second = start("--json").ready("\n")
    taken_over = PostgresServer(found()[0], folder / "postgres").pid
    os.kill(server, signal.SIGKILL)
    pause = wait_until(lambda: "PostgreSQL has ended" in second.complaints.read_text())
    wait_until(lambda: PostgresServer(found()[0], folder / "postgres").pid is not None)
    refund = ("refund", "tea", *PART, "--key", "tea-back", "--wait", "20")
    wait_until(lambda: asked(folder, *refund) == 0)
    own = everybody(second)
    second.end(signal.SIGINT)

    assert json.loads(first.said)["settings"] == str(folder / "settings.toml")
    assert busy.exit_code == 4
    assert json.loads(busy.stdout)["error"]["code"] == "database_in_use"
    assert is_orphan
    assert taken_over == server
    assert pause < 2
    assert json.loads(second.said.splitlines()[-1]) == {"stopped": True}
    assert [pid for pid in own if is_alive(pid)] == []


def asked(folder: Path, *words: str) -> int:
    """Its exit code: a command that begins while the server is away is refused."""
    command = [*PROGRAM, *words, "--settings", str(folder / "settings.toml")]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_a_door_that_is_taken_is_named_before_anything_is_made(door: str) -> None:
    outer = private_folder()
    with socket.create_server(("127.0.0.1", int(door.rpartition(":")[2]))):
        words = ["up", "--folder", str(outer / "d"), "--door", door, "--json"]
        taken = CliRunner().invoke(app, words)
    wrong = CliRunner().invoke(app, ["up", "--folder", str(outer / "d"), "--door", "80", "--json"])

    assert taken.exit_code == wrong.exit_code == 2
    assert json.loads(taken.stdout)["error"]["detail"] == f"door: {door}: Address already in use"
    assert json.loads(wrong.stdout)["error"]["code"] == "setting_invalid"
    outer.rmdir()


def test_settings_that_nobody_can_start_with_end_it_at_once(
    start: Callable[..., Up], folder: Path
) -> None:
    start("--json").ready("\n").end(signal.SIGTERM)
    file = folder / "settings.toml"
    before = file.read_text()
    file.write_text(before.replace('plugin = "sandbox"', 'plugin = "no_such"'))
    up = start("--json")
    said, _ = up.process.communicate(timeout=PATIENCE_S)
    file.write_text(before)

    assert up.process.returncode == 2
    assert json.loads(said)["error"]["detail"].endswith("before it was ready; see above")
    assert "plugin_invalid: " in up.complaints.read_text()
    assert processes_in(folder / "postgres" / "data") == []
