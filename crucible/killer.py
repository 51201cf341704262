"""Kills and pauses at random moments, while the load goes on; one of each kind stays awake."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from crucible.fleet import Fleet
from crucible.procs import Proc

BEGUN = b"Ctrl-C ends it"  # What a process says when it is there.
NO_DATABASE = 4  # What it ends with if it finds none at its start.
DATABASE_AWAY_S = (0.0, 2.0)


@dataclass(frozen=True, slots=True)
class Kill:
    at: float
    name: str


@dataclass(slots=True)
class Killer:
    fleet: Fleet
    chance: random.Random
    kills: list[Kill] = field(default_factory=list)
    database_kills: list[Kill] = field(default_factory=list)
    pauses: int = 0
    deaths: list[str] = field(default_factory=list)  # Those that nobody had killed.

    async def run(self) -> None:
        """Until all that was planned has been done."""
        async with asyncio.TaskGroup() as group:
            tending = group.create_task(self.tend())
            doing = [
                group.create_task(self.kill_all()),
                *(group.create_task(self.pause_all()) for _ in range(self.plan_of_pauses)),
            ]
            await asyncio.wait(doing)
            tending.cancel()

    @property
    def plan_of_pauses(self) -> int:
        return self.fleet.plan.pauses_at_once if self.fleet.plan.pauses else 0

    async def tend(self) -> None:
        """What has ended by itself is noted, and started again, as a supervisor would.

        Whoever finds no database at its start, or is stopped then, may give up.
        """
        while True:
            for proc in self.fleet.engine:
                if not proc.is_alive:
                    code = proc.popen.returncode if proc.popen else None
                    text = f"{proc.name} has ended by itself: {code}"
                    self.note(text)
                    if code != NO_DATABASE or proc.has_said(BEGUN):
                        self.deaths.append(text)
                        print(text, file=sys.stderr)
                    proc.start()
            await asyncio.sleep(0.25)

    def note(self, text: str) -> None:
        """For whoever wants to know what happened when."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"{time.monotonic():.3f} {text}\n")

    @property
    def log(self) -> Path:
        return self.fleet.folder / "killer.log"

    async def kill_all(self) -> None:
        plan = self.fleet.plan
        while len(self.kills) + len(self.database_kills) < plan.kills:
            await asyncio.sleep(self.chance.uniform(0.1, 2 * plan.kill_every_s - 0.1))
            if self.chance.random() < plan.database_share:
                await self.kill_database()
            else:
                self.kill_one()

    def kill_one(self) -> None:
        proc = self.choose()
        if proc is None:
            return
        self.kills.append(Kill(time.monotonic(), proc.name))
        self.note(f"{proc.name} is killed")
        proc.kill()
        proc.start()
        if len(self.kills) % 20 == 0:
            print(f"{len(self.kills)} kills, {self.pauses} pauses", file=sys.stderr)

    async def kill_database(self) -> None:
        database = self.fleet.database
        self.database_kills.append(Kill(time.monotonic(), "postgres"))
        self.note("postgres is killed")
        database.kill()
        await asyncio.sleep(self.chance.uniform(*DATABASE_AWAY_S))
        database.start()
        while not database.is_ready():
            await asyncio.sleep(0.05)
        self.note("postgres is back")

    async def pause_all(self) -> None:
        while self.pauses < self.fleet.plan.pauses:
            await asyncio.sleep(self.chance.uniform(0.1, 2.0))
            proc = self.choose()
            if proc is not None and self.pauses < self.fleet.plan.pauses:
                self.pauses += 1
                proc.is_stopped = True
                proc.send(signal.SIGSTOP)
                self.note(f"{proc.name} is stopped")
                await asyncio.sleep(self.chance.uniform(*self.fleet.plan.pause_s))
                proc.send(signal.SIGCONT)
                proc.is_stopped = False
                self.note(f"{proc.name} goes on")

    def choose(self) -> Proc | None:
        """One that is awake, if another of its kind is."""
        serves = [] if self.fleet.plan.spares_serves else self.fleet.serves
        crews = (serves, self.fleet.works)
        awake = [[proc for proc in crew if self.is_awake(proc)] for crew in crews]
        candidates = [proc for crew in awake if len(crew) > 1 for proc in crew]
        return self.chance.choice(candidates) if candidates else None

    def is_awake(self, proc: Proc) -> bool:
        return proc.is_alive and not proc.is_stopped and proc.has_said(BEGUN)
