"""Between the engine and PostgreSQL: `python -m crucible.proxy`, which cuts what it carries.

The worst cut is that of a COMMIT: the engine has lost its answer, while the server has not yet
begun with it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
from contextlib import suppress
from dataclasses import dataclass

CHUNK = 1 << 16
COMMIT = b"COMMIT"


@dataclass(frozen=True, slots=True)
class Chances:
    cut_per_s: float  # Of each connection, at any moment.
    commit: float  # Of each COMMIT: its answer is lost.
    commit_late: float  # Of those: it is also carried late.
    late_s: float
    answer_late_s: float  # Of every other COMMIT: so long its answer is on the way.
    random: random.Random


@dataclass(slots=True)
class Pipe:
    """One connection of the engine: its own way, and the server's."""

    client: asyncio.StreamReader
    back: asyncio.StreamWriter
    answers: asyncio.StreamReader
    forth: asyncio.StreamWriter
    is_committing: bool = False


async def carry(
    client: asyncio.StreamReader, back: asyncio.StreamWriter, server: int, chances: Chances
) -> None:
    try:
        answers, forth = await asyncio.open_connection("127.0.0.1", server)
    except OSError:
        back.transport.abort()
        return
    pipe = Pipe(client, back, answers, forth)
    tasks = [
        asyncio.create_task(carry_forth(pipe, chances)),
        asyncio.create_task(carry_back(pipe, chances)),
    ]
    if chances.cut_per_s:
        life_s = chances.random.expovariate(chances.cut_per_s)
        tasks.append(asyncio.create_task(asyncio.sleep(life_s)))
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for writer in (back, forth):
        writer.transport.abort()


async def carry_forth(pipe: Pipe, chances: Chances) -> None:
    with suppress(OSError):
        while chunk := await pipe.client.read(CHUNK):
            pipe.is_committing = COMMIT in chunk
            is_cut = pipe.is_committing and chances.random.random() < chances.commit
            if is_cut:
                pipe.back.transport.abort()
                if chances.random.random() < chances.commit_late:
                    await asyncio.sleep(chances.random.uniform(0, chances.late_s))
            pipe.forth.write(chunk)
            await pipe.forth.drain()
            if is_cut:
                # What was carried last must arrive: close, do not abort.
                pipe.forth.close()
                await pipe.forth.wait_closed()
                return


async def carry_back(pipe: Pipe, chances: Chances) -> None:
    with suppress(OSError):
        while chunk := await pipe.answers.read(CHUNK):
            if pipe.is_committing and chances.answer_late_s:
                pipe.is_committing = False
                await asyncio.sleep(chances.answer_late_s)
            pipe.back.write(chunk)
            await pipe.back.drain()


async def serve(asked: argparse.Namespace) -> None:
    chances = Chances(
        cut_per_s=asked.cut_per_s,
        commit=asked.commit,
        commit_late=asked.commit_late,
        late_s=asked.late_s,
        answer_late_s=asked.answer_late_s,
        random=random.Random(asked.seed),
    )
    server = await asyncio.start_server(
        lambda reader, writer: carry(reader, writer, asked.server, chances),
        "127.0.0.1",
        asked.port,
        backlog=512,
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with server:
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--server", type=int, required=True)
    parser.add_argument("--cut-per-s", type=float, default=0.0)
    parser.add_argument("--commit", type=float, default=0.0)
    parser.add_argument("--commit-late", type=float, default=0.5)
    parser.add_argument("--late-s", type=float, default=0.3)
    parser.add_argument("--answer-late-s", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
