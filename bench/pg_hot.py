"""Where the time of a wave goes on PostgreSQL, statement by statement.

    python bench/pg_hot.py [WAVES]

First as the engine waits for it, in the order of a wave; then as the server counts it, if it has
pg_stat_statements. Python's own functions are in what is left beside the statements.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from pg_lives import BATCH, live
from pg_server import cpu_s, make_template, running_server, superuser
from workload import policy

from contraflow.outside.postgres_found import find_servers
from contraflow.outside.postgres_server import PostgresServer
from contraflow.store.postgres import PostgresStore
from contraflow.store.postgres_link import Link
from contraflow.store.postgres_opening import open_store

WAVES = 30
DATABASE = "hot"
SHOWN = 30
WIDTH = 88
LIBRARY = "pg_stat_statements"
COUNTED = f"""
SELECT query, calls, total_exec_time AS ms, toplevel, wal_bytes, shared_blks_hit AS hits
FROM {LIBRARY} WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY total_exec_time DESC LIMIT {SHOWN}
"""  # noqa: S608 our own words


@dataclass(slots=True)
class Timing(Link):
    """Notes each statement, by the transaction that it is in, and how long its answer took."""

    ms: defaultdict[tuple[int, str], float] = field(default_factory=lambda: defaultdict(float))
    calls: Counter[tuple[int, str]] = field(default_factory=Counter)
    batch: int = 0  # Of the wave: requests, a claim, marks, outcomes.

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        async with self.pool.acquire() as connection:
            with connection.query_logger(self.note):
                yield connection

    def note(self, query: Any) -> None:
        text = " ".join(query.query.split())
        if text.startswith("BEGIN"):
            self.batch = self.batch % 4 + 1
            text = text.partition(" VALUES")[0]  # The marker is another one every time.
        name = (self.batch, text[:WIDTH])
        self.ms[name] += query.elapsed * 1e3
        self.calls[name] += 1


def main() -> None:
    waves = int(sys.argv[1]) if len(sys.argv) > 1 else WAVES
    newest = find_servers()[0]
    is_counting = (newest.folder.parent / "lib" / f"{LIBRARY}.so").exists()
    more = {"shared_preload_libraries": LIBRARY, f"{LIBRARY}.track": "all"}
    with running_server(newest, more if is_counting else {}) as server:
        asyncio.run(measure(server, range(waves * BATCH)))


async def measure(server: PostgresServer, numbers: Sequence[int]) -> None:
    await make_template(server, DATABASE, len(numbers), 1)
    async with superuser(server, DATABASE) as connection:
        is_counting = await connection.fetchval("SHOW shared_preload_libraries") == LIBRARY
        if is_counting:
            await connection.execute(f"CREATE EXTENSION {LIBRARY}")
            await connection.execute(f"SELECT {LIBRARY}_reset()")
    half = len(numbers) // BATCH // 2 * BATCH
    store = await open_store(server.superuser_dsn(DATABASE))
    gc.collect()
    gc.freeze()
    await unwatched(server, store, numbers[:half])
    store.link = timing = Timing(store.link.pool)
    await live(store, policy(), numbers[half:])
    report(timing, (len(numbers) - half) // BATCH)
    if is_counting:
        async with superuser(server, DATABASE) as connection:
            report_server(await connection.fetch(COUNTED), len(numbers) // BATCH)
    await store.close()


async def unwatched(server: PostgresServer, store: PostgresStore, numbers: Sequence[int]) -> None:
    on_server, client, wall = cpu_s(server), time.process_time(), time.perf_counter()
    await live(store, policy(), numbers)
    took = (time.perf_counter() - wall, time.process_time() - client, cpu_s(server) - on_server)
    each, client_us, server_us = (one / len(numbers) * 1e6 for one in took)
    print(
        f"{each:.0f} us a life cycle; of CPU {client_us:.0f} us client, {server_us:.0f} us server"
    )


def report(timing: Timing, waves: int) -> None:
    print(f"\nmilliseconds of a wave of {BATCH}, and calls, as the engine waits for them")
    for (batch, text), ms in timing.ms.items():
        print(f"{ms / waves:8.3f} {timing.calls[batch, text] / waves:5.1f}  {batch} {text}")
    print(f"{sum(timing.ms.values()) / waves:8.3f} in all")


def report_server(rows: Sequence[asyncpg.Record], waves: int) -> None:
    print("\nas the server counts them: milliseconds of a wave, calls; of a call WAL in kB, pages")
    for row in rows:
        wal, pages = int(row["wal_bytes"]) / row["calls"] / 1024, row["hits"] / row["calls"]
        inner = "" if row["toplevel"] else "(within) "
        text = inner + " ".join(row["query"].split())[:WIDTH]
        print(
            f"{row['ms'] / waves:8.3f} {row['calls'] / waves:5.1f} {wal:7.1f} {pages:6.0f}  {text}"
        )


if __name__ == "__main__":
    main()
