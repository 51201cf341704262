"""Where commands wait for the next batch: what has happened first, what is wished for second."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from contraflow.domain.commands import Command, Keyed
from contraflow.domain.decision import Answer
from contraflow.engine.bell import Bell
from contraflow.engine.limits import BATCH_COMMANDS_MAX, REQUESTS_WAITING_MAX
from contraflow.errors import OperationalError, Overloaded
from contraflow.outside import Runtime, Ticket


@dataclass(frozen=True, slots=True)
class Waiting:
    command: Command
    ticket: Ticket[Answer]


@dataclass(slots=True)
class Intake:
    """Two queues: facts and internal commands are bounded by the calls in flight, requests here."""

    runtime: Runtime
    bell: Bell
    first: deque[Waiting] = field(default_factory=deque)
    requests: deque[Waiting] = field(default_factory=deque)


async def submit(intake: Intake, command: Command) -> Answer:
    """Hand a command in and wait until its batch is committed.

    Raises Overloaded for a request when too many wait, StoreUnwritable when the batch could not
    be written: in both cases nothing was stored.
    """
    waiting = Waiting(command, intake.runtime.ticket())
    if isinstance(command, Keyed):
        if len(intake.requests) >= REQUESTS_WAITING_MAX:
            raise Overloaded
        intake.requests.append(waiting)
    else:
        intake.first.append(waiting)
    intake.bell.ring()
    return await waiting.ticket


async def submit_all(
    intake: Intake, commands: Sequence[Command]
) -> list[Answer | OperationalError]:
    """Hand several requests in at once; of each the answer, or why nothing was stored of it.

    Raises Overloaded while half of the queue is taken: a file leaves room for everybody else.
    """
    if len(intake.requests) + len(commands) > REQUESTS_WAITING_MAX // 2:
        raise Overloaded
    waiting = [Waiting(command, intake.runtime.ticket()) for command in commands]
    intake.requests.extend(waiting)
    intake.bell.ring()
    answers: list[Answer | OperationalError] = []
    for each in waiting:
        try:
            answers.append(await each.ticket)
        except OperationalError as error:
            answers.append(error)
    return answers


async def take(intake: Intake, count_max: int = BATCH_COMMANDS_MAX) -> list[Waiting]:
    """The next batch; waits while there is nothing."""
    while not intake.first and not intake.requests:
        await intake.bell.wait()
    batch: list[Waiting] = []
    for queue in (intake.first, intake.requests):
        while queue and len(batch) < count_max:
            batch.append(queue.popleft())
    return batch
