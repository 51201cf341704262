"""What has happened goes before what is wished for, and only wishes are turned away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from house import House, recorded, refund_of

from contraflow.domain import commands as c
from contraflow.domain.decision import Accepted, Answer
from contraflow.domain.observation import Expired, Observation
from contraflow.engine.bell import Bell
from contraflow.engine.intake import Intake, Waiting, submit, take
from contraflow.engine.limits import BATCH_COMMANDS_MAX, REQUESTS_WAITING_MAX
from contraflow.errors import Overloaded
from contraflow.outside.virtual_time import VirtualTime

DONE: Answer = Accepted()
REQUEST = refund_of()


@pytest.fixture
def runtime() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def intake(runtime: VirtualTime) -> Intake:
    return Intake(runtime, Bell(runtime))


def fact(name: str) -> c.RecordFact:
    return c.RecordFact(channel="sandbox", observation=Observation(name, Expired("main/pay_1")))


def hand_in(runtime: VirtualTime, intake: Intake, *commands: c.Command) -> None:
    async def one(command: c.Command) -> None:
        await submit(intake, command)

    for command in commands:
        runtime.spawn(one(command))
    runtime.run_to(runtime.now())


def taken(runtime: VirtualTime, intake: Intake, count_max: int) -> list[c.Command]:
    batch: list[Waiting] = []

    async def one() -> None:
        batch.extend(await take(intake, count_max))

    runtime.spawn(one())
    runtime.run_to(runtime.now())
    return [waiting.command for waiting in batch]


def test_facts_go_before_requests_and_each_in_its_order(
    runtime: VirtualTime, intake: Intake
) -> None:
    requests = [refund_of(), refund_of()]
    facts = [fact("e1"), fact("e2")]
    hand_in(runtime, intake, requests[0], facts[0], requests[1], facts[1])

    assert taken(runtime, intake, 3) == [*facts, requests[0]]
    assert taken(runtime, intake, 3) == [requests[1]]


def test_a_batch_is_never_larger_than_its_limit(runtime: VirtualTime, intake: Intake) -> None:
    facts = [fact(f"e{n}") for n in range(BATCH_COMMANDS_MAX + 1)]
    hand_in(runtime, intake, *facts)

    assert taken(runtime, intake, BATCH_COMMANDS_MAX) == facts[:-1]
    assert taken(runtime, intake, BATCH_COMMANDS_MAX) == facts[-1:]


def test_whoever_takes_waits_while_there_is_nothing(runtime: VirtualTime, intake: Intake) -> None:
    batch: list[Waiting] = []

    async def one() -> None:
        batch.extend(await take(intake))

    runtime.spawn(one())
    runtime.run_to(60_000)
    hand_in(runtime, intake, REQUEST)

    assert [waiting.command for waiting in batch] == [REQUEST]


def test_who_handed_in_hears_the_answer(runtime: VirtualTime, intake: Intake) -> None:
    heard: list[Answer] = []

    async def one() -> None:
        heard.append(await submit(intake, REQUEST))

    runtime.spawn(one())
    runtime.run_to(60_000)
    assert heard == []
    [waiting] = intake.requests
    waiting.ticket.set_result(DONE)
    runtime.run_to(60_000)

    assert heard == [DONE]


def test_one_request_too_many_is_refused_and_a_fact_is_not(
    runtime: VirtualTime, intake: Intake
) -> None:
    hand_in(runtime, intake, *[REQUEST] * REQUESTS_WAITING_MAX)
    with pytest.raises(Overloaded):
        hand_in(runtime, intake, REQUEST)
    hand_in(runtime, intake, *[fact(f"e{n}") for n in range(10)])

    assert len(intake.requests) == REQUESTS_WAITING_MAX
    assert len(intake.first) == 10


def test_what_was_too_much_was_not_stored_and_its_key_is_free(
    build: Callable[..., House],
) -> None:
    house = build()
    waiting = Waiting(recorded("main/other"), house.runtime.ticket())
    house.parts.intake.requests.extend([waiting] * REQUESTS_WAITING_MAX)
    command = recorded()
    with pytest.raises(Overloaded):
        house.ask(command)
    house.parts.intake.requests.clear()
    house.start()
    house.ask(command)

    assert list(house.contents().payments) == ["main/pay_1"]
