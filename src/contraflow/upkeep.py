"""Run all of contraflow on a private PostgreSQL, and start again whatever ends by itself."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from contraflow.errors import SettingInvalid, StoreUnwritable
from contraflow.household import Household, open_household, own_environment, secret_in
from contraflow.outside.child import Child
from contraflow.outside.keeper import Keeper, Kept
from contraflow.outside.ports import places_from, refuse_taken
from contraflow.outside.postgres_server import PostgresServer
from contraflow.outside.stopping import Stop, stop_signals

PROGRAM = (sys.executable, "-P", "-m", "contraflow.cli.main")
POLL_S = 0.1
READY_WITHIN_S = 60
ANSWER_S_MAX = 3
STOP_S_MAX = 10
READY = 200
BAD_INPUT = 2  # With what a command ends that was given a bad setting.

Say = Callable[[str], None]


class Wish(Struct, frozen=True, kw_only=True):
    folder: Path
    door: str | None  # Else as the settings say.
    serve: int  # How many of them.
    work: int


class Standing(Struct, frozen=True, kw_only=True):
    """What runs, for who wants to use it."""

    postgresql: str  # Its version.
    doors: tuple[str, ...]
    bank: str
    settings: str  # The file.


class KeptServer:
    """It has a way of its own to be stopped, and may be an earlier supervisor's."""

    name = "PostgreSQL"

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def start(self) -> None:
        self._server.start()

    def how_it_ended(self) -> str | None:
        return None if self._server.is_running() else "has ended"


def keep_up(wish: Wish, when_ready: Callable[[Standing], None], say: Say) -> None:
    """Until SIGTERM, SIGINT or SIGHUP; then nothing of it runs. Raises as open_household does."""
    with stop_signals() as stop:
        if wish.door is not None:  # Before it is written down.
            refuse_taken("door", places_from(wish.door, wish.serve))
        household = open_household(wish.folder, wish.door, wish.serve, wish.work)
        try:
            keep(household, wish, stop, when_ready, say)
        finally:
            household.close()


def keep(
    household: Household,
    wish: Wish,
    stop: Stop,
    when_ready: Callable[[Standing], None],
    say: Say,
) -> None:
    doors = places_from(wish.door or household.settings.door, wish.serve)
    engines, banks = engines_of(household, doors, wish.work), banks_of(household, doors)
    children = (*banks, *engines)
    now = time.monotonic()
    kept: list[Kept] = [KeptServer(household.server), *children]
    keepers = [Keeper(each, say, now) for each in kept]
    waiting_for = [door_address(each) for each in doors]
    try:
        for child in children:
            child.start()
        while not stop.is_told:
            if waiting_for:
                refuse_failed(children, time.monotonic() - now)
                waiting_for = [each for each in waiting_for if not is_ready(each)]
                if not waiting_for:
                    when_ready(standing_of(household, doors))
            for keeper in keepers:
                keeper.look(time.monotonic())
            time.sleep(POLL_S)
        say("stopping; calls under way may end")
    finally:
        stop_all(engines)
        stop_all(banks)


def engines_of(household: Household, doors: Sequence[str], workers: int) -> list[Child]:
    refuse_taken("door", doors)
    environment = own_environment(os.environ)
    environment["CONTRAFLOW_SETTINGS"] = str(household.settings_file)
    environment["CONTRAFLOW_SECRET_FILE"] = str(secret_in(household.folder))
    serves = [
        Child(f"serve {turn}", [*PROGRAM, "serve", "--door", door], environment)
        for turn, door in enumerate(doors, 1)
    ]
    works = [
        Child(f"work {turn}", [*PROGRAM, "work"], environment) for turn in range(1, workers + 1)
    ]
    return serves + works


def banks_of(household: Household, doors: Sequence[str]) -> list[Child]:
    """The sandbox's, unless the settings say that it is elsewhere, or that there is none."""
    address = urlsplit(household.settings.bank)
    if address.hostname != "127.0.0.1" or not address.port:
        return []
    refuse_taken("bank", [address.netloc])
    words = ["bank", "--book", str(household.book), "--port", str(address.port)]
    for door in doors:
        words += ["--notify", door_address(door)]
    return [Child("bank", [*PROGRAM, *words], own_environment(os.environ))]


def door_address(door: str) -> str:
    """For who is on this machine."""
    host, _, port = door.rpartition(":")
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 compared only


def standing_of(household: Household, doors: Sequence[str]) -> Standing:
    return Standing(
        postgresql=household.server.binaries.version,
        doors=tuple(door_address(each) for each in doors),
        bank=household.settings.bank,
        settings=str(household.settings_file),
    )


def refuse_failed(children: Sequence[Child], waited_s: float) -> None:
    """What does not even begin will not do so later: it has said why on the error stream."""
    for child in children:
        if child.exit_code is not None and child.exit_code > 0:
            error = SettingInvalid if child.exit_code == BAD_INPUT else StoreUnwritable
            raise error(f"{child.name} {child.how_it_ended()} before it was ready; see above")
    if waited_s > READY_WITHIN_S:
        raise StoreUnwritable(f"the door does not open within {READY_WITHIN_S} s")


def is_ready(address: str) -> bool:
    connection = HTTPConnection(urlsplit(address).netloc, timeout=ANSWER_S_MAX)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == READY
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def stop_all(children: Sequence[Child]) -> None:
    until = time.monotonic() + STOP_S_MAX
    for child in children:
        child.terminate()
    for child in children:
        child.await_end(max(0, until - time.monotonic()))
