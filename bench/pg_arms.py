"""One turn of an arm: a fresh database, its processes started together, and what it took."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from pg_lives import BATCH
from pg_server import cpu_s, fresh_database, superuser, until_nobody_is_in, wal_syncs
from pg_worker import Done, Job

from contraflow.outside.postgres_server import PostgresServer

PROGRAM = Path(__file__).with_name("pg_worker.py")
MARKERS = "SELECT count(*) FROM contraflow.commit_marker"
HOT, SPREAD = 1, 1_000  # Merchants.
TEMPLATES = {HOT: "hot", SPREAD: "spread"}
WORKERS = 4
NAME = "turn"


@dataclass(frozen=True, slots=True)
class Arm:
    name: str
    kind: str  # One of the worker's.
    tenants: int = HOT
    processes: int = 1
    own_slots: int = 0  # 1: each process books on a slot of its own.


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds for one life cycle; CPU of the clients and of the server."""

    wall: float
    client: float
    server: float
    syncs_per_commit: float

    @property
    def cpu(self) -> float:
        return self.client + self.server

    def __str__(self) -> str:
        return (
            f"{1 / self.wall:.0f} life cycles/s, {self.wall * 1e6:.0f} us; of CPU "
            f"{self.client * 1e6:.0f} us client, {self.server * 1e6:.0f} us server"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where the turns are: a server, its processes, and how much each arm does."""

    server: PostgresServer
    workers: Sequence[Worker]
    writes: Path
    side_by_side: int
    one_by_one: int

    def count_of(self, arm: Arm) -> int:
        return self.one_by_one if arm.kind.startswith("plain") else self.side_by_side

    async def turn(self, arm: Arm) -> Turn:
        async with fresh_database(self.server, TEMPLATES[arm.tenants], NAME) as dsn:
            async with superuser(self.server, NAME) as connection:
                markers = -await connection.fetchval(MARKERS)
            async with superuser(self.server) as connection:
                syncs = -await wal_syncs(connection, self.server.binaries.major)
                client, server, wall = await self._run(arm, dsn)
                await until_nobody_is_in(connection, NAME)
                syncs += await wal_syncs(connection, self.server.binaries.major)
            async with superuser(self.server, NAME) as connection:
                markers += await connection.fetchval(MARKERS)
        count = self.count_of(arm)
        return Turn(wall / count, client / count, server / count, syncs / max(markers, 1))

    async def _run(self, arm: Arm, dsn: str) -> tuple[float, float, float]:
        workers = self.workers[: arm.processes]
        jobs = [self._job(arm, dsn, number) for number in range(arm.processes)]
        for worker, job in zip(workers, jobs, strict=True):
            worker.tell(msgspec.json.encode(job).decode())
        for worker in workers:
            assert await worker.hear() == b'"ready"'
        server = -cpu_s(self.server)
        for worker in workers:
            worker.tell("go")
        done = [msgspec.json.decode(await worker.hear(), type=Done) for worker in workers]
        server += cpu_s(self.server)
        for worker in workers:
            worker.tell("close")
        for worker in workers:
            assert await worker.hear() == b'"closed"'
        wall = max(one.ended for one in done) - min(one.begun for one in done)
        return sum(one.cpu for one in done), server, wall

    def _job(self, arm: Arm, dsn: str, number: int) -> Job:
        share = self.count_of(arm) // arm.processes
        return Job(
            arm=arm.kind,
            dsn=dsn,
            first=number * share,
            warm=self.side_by_side + number * BATCH,
            count=share,
            tenants=arm.tenants,
            slot=number * arm.own_slots,
            writes=str(self.writes),
        )


@dataclass(frozen=True, slots=True)
class Worker:
    process: Process

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")

    async def hear(self) -> bytes:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        assert line, "a worker has ended; see its complaint above"
        return line.strip()


@asynccontextmanager
async def started_workers() -> AsyncIterator[list[Worker]]:
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, PROGRAM, stdin=PIPE, stdout=PIPE)
        for _ in range(WORKERS)
    ]
    try:
        yield [Worker(process) for process in processes]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
