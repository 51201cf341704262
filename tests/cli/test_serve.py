"""The engine as a process with a door: it serves until it is told to stop, and lets go in order."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from contraflow.cli.main import app

PROGRAM = [sys.executable, "-c", "from contraflow.cli.main import main; main()"]
PATIENCE_S = 10
PAYMENT = {
    "id": "pay_1",
    "amount": 1_050,
    "currency": "GBP",
    "channel": "sandbox",
    "instrument": "tok_accept_then_succeed",
    "recorded": "captured",
}
REFUND = {"payment": "pay_1", "amount": 300, "currency": "GBP"}
Said = tuple[int, Any]
Start = Callable[..., tuple[subprocess.Popen[str], dict[str, Any]]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program that stays; what it says first."""
    processes: list[subprocess.Popen[str]] = []

    def run(*words: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        process = subprocess.Popen([*PROGRAM, *words, "--json"], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def ask(address: str, path: str, key: str = "", body: Any = None, prefer: str = "") -> Said:
    """A body is posted with an idempotency key that is the path; its preference is a header."""
    connection = HTTPConnection(address.removeprefix("http://"), timeout=PATIENCE_S)
    headers = {"Content-Type": "application/json", "Idempotency-Key": path.replace("/", "-")}
    headers |= {"Authorization": f"Bearer {key}", "Prefer": prefer}
    method, sent = ("GET", None) if body is None else ("POST", json.dumps(body))
    connection.request(method, path, sent, headers)
    reply = connection.getresponse()
    said = reply.read()
    connection.close()
    return reply.status, json.loads(said)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    told, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    said: dict[str, Any] = json.loads(told)
    return said


@pytest.mark.slow
@pytest.mark.parametrize("stopping", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(
    start: Start, shell: Any, database: Path, stopping: signal.Signals
) -> None:
    process, said = start("serve", "--db", str(database), "--door", "127.0.0.1:0")
    address = said["listening"]
    key = shell("keys", "create")["key"]
    ready, recorded = ask(address, "/readyz"), ask(address, "/v1/payments", key, PAYMENT)
    refunded = ask(address, "/v1/refunds", key, REFUND, "wait=10")
    in_use = shell("refund", "pay_1", "--minor", "1", "--currency", "GBP", code=4)
    process.send_signal(stopping)

    assert (ready[0], recorded[0], refunded[0]) == (200, 201, 201)
    assert refunded[1]["status"] == "succeeded"
    assert in_use["error"]["code"] == "database_in_use"
    assert ended(process) == {"stopped": True, "counts": {}}
    assert shell("doctor")["unresolved"] == 0


@pytest.mark.slow
def test_with_the_bank_as_a_process_its_notices_come_in_at_the_door(
    start: Start, shell: Any, tmp_path: Path, database: Path
) -> None:
    """No inquiry is due before a minute is over, so it is the notice that ends the refund."""
    settings = tmp_path / "settings.toml"
    bank, told = start("bank", "--book", str(tmp_path / "book"), "--port", "0", "--print-key")
    settings.write_text(
        f'database = "{database}"\nbank = "{told["listening"]}"\ndoor = "127.0.0.1:0"\n'
        f'[channels.sandbox]\nplugin = "sandbox"\n'
        f'credentials = {{ key = "{told["key"]}", inquire_after_ms = "60000" }}\n'
    )
    serving, said = start("serve", "--settings", str(settings))
    door = said["listening"]
    port = told["listening"].rpartition(":")[2]
    bank.terminate()
    ended(bank)
    bank, _ = start("bank", "--book", str(tmp_path / "book"), "--port", port, "--notify", door)
    key = shell("keys", "create")["key"]
    begun = time.monotonic()
    ask(door, "/v1/payments", key, PAYMENT)
    status, refunded = ask(door, "/v1/refunds", key, REFUND, "wait=10")

    assert status == 201
    assert refunded["status"] == "succeeded"
    assert time.monotonic() - begun < 5
    for process in (serving, bank):
        process.terminate()
        ended(process)


@pytest.mark.slow
def test_who_still_waits_is_answered_when_it_stops(
    start: Start, shell: Any, database: Path
) -> None:
    """The old line is first asked what became of a request after ten seconds."""
    process, said = start("serve", "--db", str(database), "--door", "127.0.0.1:0")
    address = said["listening"]
    key = shell("keys", "create")["key"]
    lost = {"channel": "sandbox_rail", "instrument": "tok_lose_reply"}
    ask(address, "/v1/payments", key, PAYMENT | lost)
    with ThreadPoolExecutor() as threads:
        asking = threads.submit(ask, address, "/v1/refunds", key, REFUND, "wait=30")
        time.sleep(0.5)
        begun = time.monotonic()
        process.terminate()
        status, reply = asking.result()
    ended(process)

    assert time.monotonic() - begun < PATIENCE_S
    assert status == 202
    assert reply["receipt"]["decision"] == "accepted"
    assert reply["status"] == "pending"


@pytest.mark.parametrize("door", ["8080", "127.0.0.1", "127.0.0.1:", "http://127.0.0.1:80"])
def test_a_door_that_is_no_address_is_named(database: Path, door: str) -> None:
    result = CliRunner().invoke(app, ["serve", "--db", str(database), "--door", door, "--json"])

    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["detail"].startswith("door: ")


@pytest.mark.slow
def test_a_door_that_is_taken_is_named(start: Start, database: Path, tmp_path: Path) -> None:
    _, said = start("serve", "--db", str(database), "--door", "127.0.0.1:0")
    place = said["listening"].removeprefix("http://")
    other = str(tmp_path / "other.db")
    result = CliRunner().invoke(app, ["serve", "--db", other, "--door", place, "--json"])

    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["detail"].startswith("door: ")


@pytest.mark.slow
def test_a_key_that_is_revoked_is_dead_within_a_second(
    start: Start, shell: Any, database: Path
) -> None:
    _, said = start("serve", "--db", str(database), "--door", "127.0.0.1:0")
    made = shell("keys", "create", "--role", "read")
    first = ask(said["listening"], "/v1/refunds/none", made["key"])
    shell("keys", "revoke", made["id"])
    begun = time.monotonic()
    while ask(said["listening"], "/v1/refunds/none", made["key"])[0] != 401:
        assert time.monotonic() - begun < 1

    assert first[0] == 404
