"""A switch is over when it is answered; and nobody who has stopped holds up the rest."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import asyncpg
import pytest
from store.asking import (
    POLICY,
    accepted,
    ask,
    ask_one,
    holding,
    keyed,
    marked,
    recorded,
    refund_of,
    refused,
    switched,
    until,
    until_waiting,
)
from store.databases import Opened

from contraflow.domain import commands as c
from contraflow.domain.decision import Accepted, Answer, Told
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import State
from contraflow.engine.audit import audit
from contraflow.engine.commit import plan
from contraflow.errors import ErrorCode
from contraflow.store import Commit, Loaded, postgres
from contraflow.store import postgres_statements as sql
from contraflow.store.postgres import PostgresStore
from contraflow.store.postgres_link import SESSION
from contraflow.store.postgres_warm_up import READING, WRITING

LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
FIRST_PAYMENT = "SELECT * FROM payment WHERE payment_id = 'main/pay_1' FOR UPDATE"


async def two_refunds(store: PostgresStore) -> tuple[Instruction, Instruction]:
    await ask(store, recorded("main/pay_1"), recorded("main/pay_2"))
    answers = await ask(store, refund_of("main/pay_1"), refund_of("main/pay_2"))
    one, two = (accepted(answer).instructions[0] for answer in answers)
    return one, two


ALONE = [
    switched("all"),
    c.Quarantine(object_id="main/pay_2", detail="x"),
]


@pytest.mark.parametrize("alone", ALONE, ids=lambda command: type(command).__name__)
async def test_a_switch_waits_for_what_has_not_seen_it_and_all_others_see_it(
    opened: Opened, alone: c.Command
) -> None:
    """Whoever marks something as sent has either committed before the answer, or is refused."""
    stores = [await opened.store() for _ in range(3)]
    first, second = await two_refunds(stores[0])
    order: list[str] = []

    async def noting(name: str, store: PostgresStore, command: c.Command) -> Answer:
        """When it is decided: two answers may pass each other on their way."""

        def decide(loaded: Loaded) -> Commit:
            order.append(name)
            return plan(POLICY, [], [command], loaded)

        return (await store.commit([command], decide)).answers[0]

    async with holding(await opened.connection(), FIRST_PAYMENT):
        before = asyncio.ensure_future(noting("before", stores[0], marked(first)))
        await until_waiting(opened.database, 1)
        switch = asyncio.ensure_future(noting("switch", stores[1], alone))
        await until_waiting(opened.database, 2)
        after = asyncio.ensure_future(noting("after", stores[2], marked(second)))
        await until_waiting(opened.database, 3)
        assert order == []
    await asyncio.gather(before, switch, after)

    assert order == ["before", "switch", "after"]
    assert accepted(before.result()).instructions[0].state is State.SENT
    accepted(switch.result())
    assert refused(after.result()).code in {ErrorCode.STATE_FORBIDS, ErrorCode.QUARANTINED}
    assert audit(await stores[0].contents()) == []


@pytest.mark.slow
async def test_nothing_is_marked_after_the_answer_to_a_hold(opened: Opened) -> None:
    stores = [await opened.store() for _ in range(4)]
    payments = [f"main/pay_{n}" for n in range(30)]
    await ask(stores[0], *(recorded(payment_id) for payment_id in payments))
    await ask(stores[0], *(refund_of(p, 1) for p in payments for _ in range(3)))
    counts: Counter[str] = Counter()
    is_done = False

    async def mark(store: PostgresStore) -> None:
        while not is_done:
            due = await store.due("sandbox", 4)
            counts["marked"] += len(due)
            if due:
                await ask(store, *(marked(each) for each in due))

    async def sent() -> int:
        question = "SELECT count(*) FROM instruction WHERE state = 'sent'"
        return int(await opened.database.value(question))

    async with asyncio.TaskGroup() as group:
        for store in stores[1:]:
            group.create_task(mark(store))
        await until(lambda: counts["marked"] > 10)
        await ask(stores[0], switched("all"))
        at_once = await sent()
        await asyncio.sleep(0.1)
        later = await sent()
        is_done = True

    assert at_once == later > 0


async def test_a_hold_and_its_end_are_idempotent_in_two_processes(opened: Opened) -> None:
    stores = [await opened.store() for _ in range(4)]
    for is_on in (True, False, True):
        await asyncio.gather(
            *(
                ask_one(store, switched(f"merchant:m{n % 2}", is_on=is_on))
                for n, store in enumerate(stores)
            )
        )
        found = await opened.database.ask("SELECT scope FROM hold ORDER BY scope")
        assert found == ([("merchant:m0",), ("merchant:m1",)] if is_on else [])


async def test_a_case_is_resolved_once(opened: Opened) -> None:
    one, two = await opened.store(), await opened.store()
    await ask(one, recorded(), c.Quarantine(object_id="main/pay_1", detail="x"))
    [case_id] = (await one.contents()).cases
    fields = {"object_id": case_id, "resolution": c.Resolution.CLOSED, "evidence": "seen"}
    both = [keyed(c.ResolveCase, **fields) for _ in range(2)]
    async with holding(await opened.connection(), "SELECT * FROM operator_case FOR UPDATE"):
        asked = asyncio.gather(ask_one(one, both[0]), ask_one(two, both[1]))
        await until_waiting(opened.database, 2)
    decisions = [answer.decision for answer in await asked if isinstance(answer, Told)]
    [closer] = [
        command.key
        for command, decision in zip(both, decisions, strict=True)
        if isinstance(decision, Accepted)
    ]
    [case] = (await one.contents()).cases.values()

    assert case.closed_by == closer
    assert audit(await one.contents()) == []


# Whoever has stopped.


async def as_a_process(opened: Opened, **settings: str) -> asyncpg.Connection:
    """A session as every process of ours has it."""
    connection = await asyncpg.connect(opened.database.dsn, server_settings={**SESSION, **settings})
    opened.connections.append(connection)
    await connection.execute("SET ROLE contraflow_writer")
    return connection


@pytest.mark.slow
async def test_a_process_that_stops_in_a_batch_loses_its_locks_soon(opened: Opened) -> None:
    store = await opened.store()
    await ask(store, recorded())
    stopped = await as_a_process(opened)
    begin = sql.BEGIN.format(batch="00000000-0000-4000-8000-000000000000")
    await stopped.execute(begin)
    await stopped.fetch(sql.PAYMENTS, ["main/pay_1"])
    begun = time.monotonic()
    accepted(await ask_one(store, refund_of()))
    accepted(await ask_one(store, switched("all")))
    took = time.monotonic() - begun

    assert 0.5 < took < 5
    with pytest.raises(LOST):
        await stopped.execute("COMMIT")
    assert audit(await store.contents()) == []


@pytest.mark.slow
async def test_a_switch_does_not_wait_for_ever_for_who_has_stopped(opened: Opened) -> None:
    store = await opened.store()
    stopped = await as_a_process(opened)
    await stopped.execute(sql.BEGIN.format(batch="00000000-0000-4000-8000-000000000001"))
    begun = time.monotonic()
    async with asyncio.timeout(5):
        accepted(await ask_one(store, switched("all")))
    took = time.monotonic() - begun

    assert took > 0.5  # It had to wait.
    assert await opened.database.ask("SELECT scope FROM hold") == [("all",)]
    with pytest.raises(LOST):
        await stopped.execute("COMMIT")


async def test_a_process_that_stops_while_it_gets_ready_holds_up_nobody(opened: Opened) -> None:
    """In the middle of preparing a statement it keeps the locks of its tables."""
    store, stopped = await opened.store(), await opened.connection()
    await stopped.execute("SET ROLE contraflow_writer")
    await stopped.execute("BEGIN")
    for statement in READING + WRITING:
        await stopped.prepare(statement)
    async with asyncio.timeout(1):
        accepted(await ask_one(store, switched("all")))
        accepted(await ask_one(store, recorded()))
    await stopped.execute("ROLLBACK")


@pytest.mark.slow
async def test_a_batch_that_was_stopped_too_long_is_decided_again(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own plan took longer than a transaction may stand idle."""
    monkeypatch.setattr(postgres, "RECONNECT_S", 0.02)
    monkeypatch.setitem(SESSION, "idle_in_transaction_session_timeout", "50ms")
    store = await opened.store()
    await ask(store, recorded())
    original, times = postgres.save, Counter[str]()

    async def slow_save(*given: Any) -> Any:
        times["saves"] += 1
        if times["saves"] == 1:
            time.sleep(0.3)  # The whole process stands still.
        return await original(*given)

    monkeypatch.setattr(postgres, "save", slow_save)
    accepted(await ask_one(store, refund_of(minor=400)))

    assert times["saves"] == 2
    assert (await store.contents()).payments["main/pay_1"].reserved == 400
    assert audit(await store.contents()) == []
