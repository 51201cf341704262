"""A private server with everything durable, fresh databases on it, and what it used of the machine.

A fresh database is a copy whose pages are all written to the WAL, so that no arm pays for whole
page images of its first touch, or for a checkpoint that another arm has filled.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
from payments import recording
from pg_lives import BATCH, decided, live
from workload import policy

from contraflow.outside.postgres_found import ENVIRONMENT, Binaries
from contraflow.outside.postgres_processes import processes_in
from contraflow.outside.postgres_server import PostgresServer, private_folder
from contraflow.store.postgres_opening import open_store

SETTINGS = {
    "shared_buffers": "256MB",
    "min_wal_size": "1GB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_connections": "60",
}
TOLD = (
    *SETTINGS,
    *("fsync", "full_page_writes", "synchronous_commit", "wal_sync_method", "commit_delay"),
    *("wal_compression", "autovacuum", "data_checksums"),
)
FDATASYNCS = 200
PAGE = 8_192
ADDED_S = 0.002
SLOW_FDATASYNC = """
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int fdatasync(int file) {
    struct timespec added = {0, 2000000};
    nanosleep(&added, 0);
    return syscall(SYS_fdatasync, file);
}
"""
SYNCS_OLD = "SELECT wal_sync FROM pg_stat_wal"
SYNCS = """
SELECT sum(fsyncs)::bigint FROM pg_stat_io
WHERE object = 'wal' AND context = 'normal' AND backend_type = 'client backend'
"""
LEAVE_S = 0.02
BEFORE = 10 * BATCH  # Life cycles: each merchant has some.


@contextmanager
def running_server(binaries: Binaries, more: Mapping[str, str]) -> Iterator[PostgresServer]:
    """Its data lie below the temporary folder, and are removed at the end."""
    server = PostgresServer(binaries, private_folder(), {**SETTINGS, **more})
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.delete()


async def settings_of(server: PostgresServer) -> str:
    async with superuser(server) as connection:
        said = [f"{name} {await connection.fetchval(f'SHOW {name}')}" for name in TOLD]
    return f"PostgreSQL {server.binaries.version}: {', '.join(said)}"


@asynccontextmanager
async def superuser(
    server: PostgresServer, database: str = "postgres"
) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.superuser_dsn(database))
    try:
        yield connection
    finally:
        await connection.close()


# Databases.


async def make_template(server: PostgresServer, name: str, payments: int, tenants: int) -> None:
    """With so many payments to refund, and some that were: all accounts are there by then."""
    async with superuser(server) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
    store, rules = await open_store(server.superuser_dsn(name)), policy()
    for start in range(0, payments + BEFORE, BATCH):
        numbers = range(start, min(start + BATCH, payments + BEFORE))
        await decided(store, rules, [recording(number, tenants) for number in numbers])
    await live(store, rules, range(payments, payments + BEFORE), tenants)
    await store.close()
    async with superuser(server, name) as connection:
        await connection.execute("VACUUM (ANALYZE)")


@asynccontextmanager
async def fresh_database(server: PostgresServer, template: str, name: str) -> AsyncIterator[str]:
    """How to log in to a copy of the template, which is dropped at the end."""
    async with superuser(server) as connection:
        await until_nobody_is_in(connection, template)
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log")
    try:
        yield server.superuser_dsn(name)
    finally:
        async with superuser(server) as connection:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def until_nobody_is_in(connection: asyncpg.Connection, database: str) -> None:
    """A connection that was closed may linger; and only as it ends it adds to the statistics."""
    while await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = $1", database
    ):
        await asyncio.sleep(LEAVE_S)


# What it used.


async def wal_syncs(connection: asyncpg.Connection, major: int) -> int:
    """By those who commit; before 18 those of the WAL writer, a few a second, are among them."""
    return int(await connection.fetchval(SYNCS if major >= 18 else SYNCS_OLD))


def cpu_s(server: PostgresServer) -> float:
    """Of the postmaster and all its processes, those included that have ended."""
    ticks = 0
    for pid in processes_in(server.data):
        try:
            text = Path("/proc", str(pid), "stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue  # Its postmaster has it by now.
        fields = text.rpartition(")")[2].split()
        user, system, ended_user, ended_system = (int(field) for field in fields[11:15])
        ticks += user + system
        if pid == server.pid:
            ticks += ended_user + ended_system
    return ticks / os.sysconf("SC_CLK_TCK")


# The disk.


def fdatasync_s(folder: Path) -> float:
    """The median of writing one page in the middle of a file and making it durable."""
    path = folder / "fdatasync"
    path.write_bytes(bytes(PAGE * FDATASYNCS))
    took = []
    with path.open("r+b", buffering=0) as file:
        for _ in range(FDATASYNCS):
            begun = time.perf_counter()
            file.write(b"\xff" * PAGE)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - begun)
    path.unlink()
    return statistics.median(took)


@contextmanager
def slower_disk(server: PostgresServer) -> Iterator[bool]:
    """Whether the server could be started again with 2 ms more for each of its fdatasync calls."""
    with tempfile.TemporaryDirectory(prefix="contraflow-slow-") as name:
        library = compiled(Path(name))
        if library is None:
            yield False
            return
        server.stop()
        ENVIRONMENT["LD_PRELOAD"] = str(library)
        try:
            server.start()
        finally:
            del ENVIRONMENT["LD_PRELOAD"]
        assert str(library) in Path("/proc", str(server.pid), "maps").read_text(encoding="utf-8")
        yield True


def compiled(folder: Path) -> Path | None:
    """None where there is no compiler, or what it makes does not take its time."""
    folder.chmod(0o755)
    source, library = folder / "slow.c", folder / "slow.so"
    source.write_text(SLOW_FDATASYNC, encoding="ascii")
    try:
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError):
        return None
    begun = time.perf_counter()
    ctypes.CDLL(str(library)).fdatasync(-1)
    return library if time.perf_counter() - begun >= ADDED_S else None
