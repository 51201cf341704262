"""A road between a store and its server on which just the wrong message gets lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import quote

COMMIT = b"; COMMIT\0"  # Of a batch; what is done by the way says only COMMIT.
KILL = b"INSERT INTO commit_marker (batch_id, is_dead)"
BYTES_MAX = 1 << 16
LATE_S = 0.15


@dataclass(slots=True)
class Trip:
    """One connection of the store, and the one to the server that carries it on."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server_reader: asyncio.StreamReader
    server_writer: asyncio.StreamWriter
    is_about_to_kill: bool = False
    is_cut: bool = False

    def cut(self) -> None:
        """Towards the store alone: the server does not know."""
        self.is_cut = True
        self.writer.transport.abort()

    def end(self) -> None:
        self.cut()
        self.server_writer.transport.abort()


@dataclass(slots=True)
class Road:
    """What befalls the next COMMITs, and the next questions about their fate, in order."""

    socket: str
    at_commit: deque[str] = field(default_factory=deque)
    at_question: deque[str] = field(default_factory=deque)
    seen: list[str] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    is_silent: bool = False  # Whatever is said arrives, and no answer ever comes back.

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_unix_connection(self.socket)
        except OSError:
            writer.transport.abort()
            return
        trip = Trip(reader, writer, *there)
        self.trips.append(trip)
        for work in (self.carry(trip), self.carry_back(trip)):
            task = asyncio.get_running_loop().create_task(work)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def carry(self, trip: Trip) -> None:
        """From the store to the server."""
        with suppress(OSError):
            while message := await trip.reader.read(BYTES_MAX):
                if COMMIT in message and self.at_commit:
                    await self.befall(trip, message, self.at_commit.popleft())
                elif trip.is_about_to_kill and b"B" in message[:1] and self.at_question:
                    await self.befall(trip, message, self.at_question.popleft())
                else:
                    trip.server_writer.write(message)
                trip.is_about_to_kill = trip.is_about_to_kill or KILL in message
            if not trip.is_cut:
                trip.server_writer.close()

    async def carry_back(self, trip: Trip) -> None:
        with suppress(OSError):
            while answer := await trip.server_reader.read(BYTES_MAX):
                if not self.is_silent and not trip.writer.transport.is_closing():
                    trip.writer.write(answer)
            trip.writer.close()

    async def befall(self, trip: Trip, message: bytes, what: str) -> None:
        self.seen.append(what)
        if what == "arrives":
            trip.server_writer.write(message)
        elif what == "answer is lost":
            trip.cut()
            trip.server_writer.write(message)
        elif what == "both ends break":
            trip.server_writer.write(message)
            await trip.server_writer.drain()
            trip.end()
        elif what == "silence":
            self.is_silent = True
            trip.server_writer.write(message)
        elif what == "never arrives":
            trip.end()
        elif what == "arrives late":
            trip.cut()
            await asyncio.sleep(LATE_S)
            trip.server_writer.write(message)
        else:
            raise AssertionError(what)


@asynccontextmanager
async def bad_road(dsn: str, socket: str) -> AsyncIterator[tuple[Road, str]]:
    """The road to the server behind this socket, and the DSN of it."""
    folder = tempfile.mkdtemp(prefix="road-")
    road = Road(socket)
    door = await asyncio.start_unix_server(road.take, os.path.join(folder, ".s.PGSQL.5432"))
    host = quote(socket.rpartition("/")[0])
    assert host in dsn
    try:
        yield road, dsn.replace(host, quote(folder))
    finally:
        door.close()
        for trip in road.trips:
            trip.end()
        for task in list(road.tasks):
            task.cancel()
        shutil.rmtree(folder, ignore_errors=True)
