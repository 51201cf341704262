"""What is kept up, and when it is given up: the parts that need no server."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from msgspec.structs import replace

from contraflow.errors import SettingInvalid, StoreUnwritable
from contraflow.household import Household
from contraflow.outside.child import Child
from contraflow.outside.postgres_found import Binaries
from contraflow.outside.postgres_server import PostgresServer
from contraflow.settings import Settings
from contraflow.store.file_lock import FileLock
from contraflow.upkeep import banks_of, door_address, engines_of, is_ready, refuse_failed, stop_all

SETTINGS = Settings(bank="http://127.0.0.1:1009", door="127.0.0.1:1007")


class Answering(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        assert self.path == "/readyz"
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def door() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def household_of(folder: Path, settings: Settings = SETTINGS) -> Household:
    server = PostgresServer(Binaries(folder, "18.6", 18), folder / "postgres")
    return Household(folder, server, settings, FileLock(None))


def command_of(child: Child) -> list[str]:
    assert list(child._command[:4]) == [sys.executable, "-P", "-m", "contraflow.cli.main"]
    return list(child._command[4:])


def ended_with(code: int) -> Child:
    child = Child("serve 1", [sys.executable, "-c", f"raise SystemExit({code})"], {})
    child.start()
    child.await_end(10)
    return child


def test_the_engines_learn_the_settings_by_the_name_of_the_file(tmp_path: Path) -> None:
    engines = engines_of(household_of(tmp_path), ["127.0.0.1:1007", "127.0.0.1:1008"], 2)

    assert [each.name for each in engines] == ["serve 1", "serve 2", "work 1", "work 2"]
    assert [command_of(each) for each in engines] == [
        ["serve", "--door", "127.0.0.1:1007"],
        ["serve", "--door", "127.0.0.1:1008"],
        ["work"],
        ["work"],
    ]
    for each in engines:
        assert each._environment["CONTRAFLOW_SETTINGS"] == str(tmp_path / "settings.toml")


def test_the_bank_tells_its_notices_at_every_door(tmp_path: Path) -> None:
    [bank] = banks_of(household_of(tmp_path), ["127.0.0.1:1007", "0.0.0.0:1008"])

    assert command_of(bank) == [
        *("bank", "--book", str(tmp_path / "sandbox.bank"), "--port", "1009"),
        *("--notify", "http://127.0.0.1:1007", "--notify", "http://127.0.0.1:1008"),
    ]


@pytest.mark.parametrize("bank", ["", "http://bank.example:9090"])
def test_a_bank_that_is_elsewhere_is_left_there(tmp_path: Path, bank: str) -> None:
    assert banks_of(household_of(tmp_path, replace(SETTINGS, bank=bank)), []) == []


def test_what_is_taken_is_named_before_anything_starts(tmp_path: Path, door: HTTPServer) -> None:
    taken = f"127.0.0.1:{door.server_port}"

    with pytest.raises(SettingInvalid, match=f"door: {taken}: Address already in use"):
        engines_of(household_of(tmp_path), [taken], 1)
    with pytest.raises(SettingInvalid, match=f"bank: {taken}: Address already in use"):
        banks_of(household_of(tmp_path, replace(SETTINGS, bank=f"http://{taken}")), [])


def test_a_door_is_ready_when_it_says_so(door: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    address = door_address(f"0.0.0.0:{door.server_port}")

    assert is_ready(address)
    monkeypatch.setattr(Answering, "status", 503)
    assert not is_ready(address)
    assert not is_ready("http://127.0.0.1:1")


def test_who_does_not_even_begin_is_given_up() -> None:
    refuse_failed([Child("work 1", [], {}), ended_with(0)], 0)
    with pytest.raises(SettingInvalid, match="serve 1 ended with exit code 2 before it was ready"):
        refuse_failed([ended_with(2)], 0)
    with pytest.raises(StoreUnwritable, match="serve 1 ended with exit code 70 before"):
        refuse_failed([ended_with(70)], 0)
    with pytest.raises(StoreUnwritable, match="does not open within 60 s"):
        refuse_failed([], 61)


@pytest.mark.slow
def test_all_are_told_at_once_to_end() -> None:
    code = "import signal, time; signal.signal(15, lambda *_: (time.sleep(0.5), exit(0))); "
    children = [Child("c", [sys.executable, "-c", code + "time.sleep(60)"], {}) for _ in range(3)]
    for child in children:
        child.start()
    time.sleep(0.5)
    begun = time.monotonic()
    stop_all(children)

    assert time.monotonic() - begun < 1.2
    assert [child.exit_code for child in children] == [0, 0, 0]
