"""A process that lives life cycles when it is told to: one job a line, and an answer for each step.

It is connected and has done a first wave before it says `ready`, and begins when it hears `go`;
so that several of them begin at once.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import pg_floor
import pg_plain
from msgspec import Struct
from pg_floor import Transaction
from pg_lives import BATCH, live
from workload import policy

from contraflow.outside.event_loop import wall_clock_ms
from contraflow.store.postgres_opening import open_store

WARM_PLAIN = 80  # Ten for each connection: by then it has its plans.
TRANSACTIONS = 3  # Of a wave.


class Job(Struct, frozen=True, kw_only=True):
    arm: str  # One of ARMS.
    dsn: str
    first: int  # Of its life cycles.
    warm: int  # First of those before the clock runs: a whole wave is there for it.
    count: int
    tenants: int = 1
    slot: int = 0
    writes: str = ""  # The file in which the floor's are.

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + self.count)


class Done(Struct, frozen=True):
    begun: float  # On a clock that all processes of the machine share.
    ended: float
    cpu: float


Work = Callable[[], Awaitable[None]]


@asynccontextmanager
async def engine(job: Job) -> AsyncIterator[Work]:
    store, rules = await open_store(job.dsn, slot=job.slot), policy()
    await live(store, rules, range(job.warm, job.warm + BATCH), job.tenants)
    try:
        yield lambda: live(store, rules, job.numbers, job.tenants)
    finally:
        await store.close()


@asynccontextmanager
async def floor(job: Job) -> AsyncIterator[Work]:
    """Its first wave is the one that the others have before the clock runs."""
    text = Path(job.writes).read_bytes()
    writes = msgspec.msgpack.decode(text, type=list[Transaction])
    async with pg_floor.connected(job.dsn) as connection:
        await pg_floor.replay(connection, writes[:TRANSACTIONS])
        yield lambda: pg_floor.replay(connection, writes[TRANSACTIONS:])


def plain(lock: pg_plain.Lock) -> Callable[[Job], AbstractAsyncContextManager[Work]]:
    @asynccontextmanager
    async def arm(job: Job) -> AsyncIterator[Work]:
        warm = range(job.warm, job.warm + WARM_PLAIN)
        async with pg_plain.connected(job.dsn) as connections:
            await pg_plain.live_plainly(connections, warm, wall_clock_ms, lock)
            yield lambda: pg_plain.live_plainly(connections, job.numbers, wall_clock_ms, lock)

    return arm


ARMS = {
    "engine": engine,
    "floor": floor,
    "plain_first": plain("first"),
    "plain_last": plain("last"),
}


async def do(job: Job) -> None:
    async with ARMS[job.arm](job) as work:
        gc.collect()
        gc.freeze()  # What was made so far is nobody's garbage.
        tell("ready")
        hear("go")
        begun, cpu = time.monotonic(), time.process_time()
        await work()
        tell(Done(begun, time.monotonic(), time.process_time() - cpu))
        hear("close")
    tell("closed")
    gc.unfreeze()


def tell(what: str | Done) -> None:
    print(msgspec.json.encode(what).decode(), flush=True)


def hear(word: str) -> None:
    line = sys.stdin.readline().strip()
    assert line == word, line


def main() -> None:
    for line in sys.stdin:
        asyncio.run(do(msgspec.json.decode(line, type=Job)))


if __name__ == "__main__":
    main()
