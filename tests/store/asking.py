"""Requests of the engine to a store that several processes work on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from store.databases import Database

from contraflow.domain import commands as c
from contraflow.domain.decision import Accepted, Answer, Refused, Told
from contraflow.domain.instruction import Instruction
from contraflow.domain.money import Money
from contraflow.engine.commit import commit_batch
from contraflow.settings import Settings
from contraflow.store import Store
from contraflow.wire import canonical
from contraflow.wiring import read_policy

POLICY = read_policy(Settings(sinks={}))
COUNT = itertools.count()
POLL_S = 0.005
PATIENCE_S = 10.0
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def keyed(kind: Any, key: str = "", *, tenant: str = "main", **fields: Any) -> Any:
    """A client's command, under a key of its own unless one is given."""
    name = key or f"k{next(COUNT)}"
    fingerprint = canonical.fingerprint([kind.__name__, name, repr(fields)])
    return kind(key=f"{tenant}/{name}", fingerprint=fingerprint, **fields)


def recorded(
    payment_id: str = "main/pay_1", minor: int = 1_000, key: str = "", **fields: Any
) -> c.RecordPayment:
    tenant = payment_id.partition("/")[0]
    given = {"channel": "sandbox", "is_captured": True, **fields}
    command: c.RecordPayment = keyed(
        c.RecordPayment,
        key,
        tenant=tenant,
        payment_id=payment_id,
        amount=Money(minor, "GBP"),
        **given,
    )
    return command


def refund_of(
    payment_id: str = "main/pay_1", minor: int = 400, key: str = "", **fields: Any
) -> c.RequestRefund:
    tenant = payment_id.partition("/")[0]
    command: c.RequestRefund = keyed(
        c.RequestRefund,
        key,
        tenant=tenant,
        payment_id=payment_id,
        amount=Money(minor, "GBP"),
        **fields,
    )
    return command


def switched(scope: str = "all", *, is_on: bool = True) -> c.SwitchHold:
    command: c.SwitchHold = keyed(c.SwitchHold, scope=scope, is_on=is_on)
    return command


def marked(instruction: Instruction, now: int = 0) -> c.MarkSent:
    until = now + 60_000
    return c.MarkSent(fence=instruction.fence, leave_by=until, lease_until=until)


async def ask(store: Store, *commands: c.Command) -> list[Answer]:
    """In one batch."""
    return await commit_batch(store, POLICY, [], commands)


async def ask_one(store: Store, command: c.Command) -> Answer:
    [answer] = await ask(store, command)
    return answer


def accepted(answer: Answer) -> Accepted:
    decision = answer.decision if isinstance(answer, Told) else answer
    assert isinstance(decision, Accepted), answer
    return decision


def refused(answer: Answer) -> Refused:
    decision = answer.decision if isinstance(answer, Told) else answer
    assert isinstance(decision, Refused), answer
    return decision


async def until(is_so: Any, within_s: float = PATIENCE_S) -> None:
    """Look again and again; `is_so` may be a coroutine function."""
    async with asyncio.timeout(within_s):
        while True:
            answer = is_so()
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer:
                return
            await asyncio.sleep(POLL_S)


async def until_waiting(database: Database, count: int = 1) -> None:
    """So many sessions of the database wait for a lock."""

    async def are_waiting() -> bool:
        return bool(await database.value(WAITING) >= count)

    await until(are_waiting)


@asynccontextmanager
async def holding(
    connection: asyncpg.Connection, statement: str, *bindings: object
) -> AsyncIterator[None]:
    """The locks that this statement takes."""
    await connection.execute("BEGIN")
    await connection.fetch(statement, *bindings)
    try:
        yield
    finally:
        if connection.is_in_transaction():
            await connection.execute("ROLLBACK")


async def end_sessions(database: Database, where: str = "true") -> int:
    """Of the stores, as a failover does, not of the tests."""
    question = f"""
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'contraflow' AND {where}
    """  # noqa: S608 the words are ours
    count: int = await database.value(question)
    return count
