"""The PostgreSQL servers under the tests: every version found, each started once by a worker."""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import subprocess
import uuid
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from contraflow.outside.postgres_found import WHEEL, Binaries, find_servers
from contraflow.outside.postgres_server import PostgresServer, private_folder

SETTINGS = {"shared_buffers": "64MB", "max_connections": "60"}
# Waits for the end of the process that holds its input, however it ends; then tidies up after it.
GUARD = """
read -r _
process=/proc/$(head -n 1 "$0/data/postmaster.pid")
if [ "$process/cwd" -ef "$0/data" ]; then
    kill -INT "${process#/proc/}"
    for _ in $(seq 50); do [ "$process/cwd" -ef "$0/data" ] && sleep 0.1; done
fi
rm -rf "$0"
"""

_at_the_end = ExitStack()


@functools.cache
def found() -> tuple[Binaries, ...]:
    return tuple(find_servers())


def missing() -> list[str]:
    """The major versions that CONTRAFLOW_PG_MUST names, and that are not here."""
    return sorted(must() - {str(each.major) for each in found()})


def must() -> set[str]:
    """The major versions without which a run is worth nothing."""
    return set(os.environ.get("CONTRAFLOW_PG_MUST", "").replace(",", " ").split())


def described() -> str:
    return ", ".join(f"{each.version} ({origin(each)})" for each in found()) or "none"


def origin(binaries: Binaries) -> str:
    return "wheel" if WHEEL in binaries.folder.parts else str(binaries.folder)


@functools.cache
def running(major: int) -> PostgresServer:
    """Started when first asked for; shared by all tests of this process, so leave it running."""
    binaries = next(each for each in found() if each.major == major)
    server = PostgresServer(binaries, private_folder(), SETTINGS)
    guard(server.folder)
    _at_the_end.callback(server.delete)
    server.create()
    server.start()
    return server


def guard(folder: Path) -> None:
    quiet = subprocess.DEVNULL
    command = ["sh", "-c", GUARD, str(folder)]
    _at_the_end.enter_context(
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
        )
    )


def delete_all(process: int = os.getpid()) -> None:
    """Not from a fork of the process that has started them."""
    if os.getpid() == process:
        running.cache_clear()
        _at_the_end.close()


atexit.register(delete_all)


def fresh_database(server: PostgresServer) -> str:
    """An empty one; the superuser's DSN of it. Call it, and `drop_database`, outside of a loop."""
    name = f"test_{uuid.uuid4().hex}"
    asyncio.run(_execute(server.superuser_dsn(), f"CREATE DATABASE {name}"))
    return server.superuser_dsn(name)


def drop_database(dsn: str) -> None:
    """Even while somebody is connected to it."""
    address = urlsplit(dsn)
    statement = f"DROP DATABASE {address.path.removeprefix('/')} WITH (FORCE)"
    asyncio.run(_execute(address._replace(path="/postgres").geturl(), statement))


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
