"""Many clients at once, each with one life cycle after the other, through the engine's own intake.

The event loop, the queues and the commit loop are those of production; nothing is dispatched.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

from stopwatch import Took, begin, since
from workload import (
    instruction_in,
    is_repeated,
    is_repeated_later,
    is_yes,
    mark,
    neighbourly,
    outcome,
    request,
)

from contraflow import wiring
from contraflow.domain.commands import Command
from contraflow.domain.decision import Answer
from contraflow.engine.intake import submit
from contraflow.engine.parts import Parts
from contraflow.engine.session import start_intake
from contraflow.settings import Settings
from contraflow.store.sqlite import SqliteStore


def run_clients(payments: Path, path: Path, *, clients: int, life_cycles: int) -> Took:
    shutil.copyfile(payments, path)

    async def work(embedded: wiring.Embedded) -> Took:
        return await crowd(embedded.parts, clients=clients, life_cycles=life_cycles)

    return wiring.run(Settings(database=str(path)), work, start=start_intake)


async def crowd(parts: Parts, *, clients: int, life_cycles: int) -> Took:
    assert isinstance(parts.store, SqliteStore)
    commits = 0

    def count_commit() -> bool:
        nonlocal commits
        commits += 1
        return False  # It may go on.

    parts.store.connection.set_commit_hook(count_commit)
    numbers = iter(range(life_cycles))  # All draw from one, so that neighbours meet.
    begun = begin()
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(be_a_client(parts, numbers))
    took = since(begun, life_cycles, commits)
    parts.store.connection.set_commit_hook(None)
    return took


async def be_a_client(parts: Parts, numbers: Iterator[int]) -> None:
    for number in numbers:
        accepted = instruction_in(await ask(parts, request(number, neighbourly(number))))
        if is_repeated(number):
            await ask(parts, request(number, neighbourly(number)))
        sent = instruction_in(await ask(parts, mark(accepted, parts.store.now())))
        if is_repeated_later(number):
            await ask(parts, request(number, neighbourly(number)))
        await ask(parts, outcome(sent, parts.store.now()))


async def ask(parts: Parts, command: Command) -> Answer:
    answer = await submit(parts.intake, command)
    assert is_yes(answer), answer
    return answer
