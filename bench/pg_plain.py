"""The way it is usually written on PostgreSQL: three transactions a refund, 8 connections.

Statements are prepared, check and write at once where that is natural, and know nothing of
batches. The rows are the engine's; the accounts are locked before all else, or after it.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

import asyncpg
import msgspec
from payments import CHANNEL
from plain_rows import (
    ACCEPTED_SIDES,
    SUCCEEDED_SIDES,
    accepted_facts,
    accounts_of,
    born,
    event_body,
    receipt_body,
    sent_facts,
    succeeded_facts,
)
from workload import (
    LEASE_MS,
    LEAVE_WITHIN_MS,
    is_repeated,
    is_repeated_later,
    neighbourly,
    request,
    said_of,
)

from contraflow.domain.commands import RequestRefund
from contraflow.domain.money import Money
from contraflow.store.postgres_schema import WRITER

CONNECTIONS = 8

LOCK = """
SELECT account FROM account WHERE account = ANY($1) AND currency = $2 AND slot = 0
ORDER BY account FOR UPDATE
"""
MOVE = """
UPDATE account SET balance = balance + CASE account WHEN $1 THEN $3::bigint ELSE -$3::bigint END
WHERE account IN ($1, $2) AND currency = $4 AND slot = 0
"""
TOLD = "SELECT fingerprint, body FROM receipt WHERE key = $1"
RESERVE = """
UPDATE payment SET version = version + 1, reserved = reserved + $2, refunds = refunds + 1
WHERE payment_id = $1 AND state = 'captured' AND currency = $3
  AND reserved + refunded + charged_back + $2 <= captured
RETURNING channel
"""
ACKNOWLEDGE = "INSERT INTO receipt VALUES ($1, $2, $3)"
SEND = """
UPDATE instruction SET version = version + 1, state = 'sent', sequence = sequence + 1,
    lease = lease + 1, attempt = attempt + 1, sent_at = $2, leave_by = $3, due_at = $4
WHERE instruction_id = $1 AND state = 'accepted'
RETURNING *
"""
SUCCEED = """
UPDATE instruction SET version = version + 1, state = 'succeeded', sequence = sequence + 1,
    lease = lease + 1, due_at = NULL, known_at = $2, final_at = $2, reference = $3
WHERE instruction_id = $1 AND state = 'sent' AND minor = $4 AND currency = $5
RETURNING *
"""
SETTLE = """
UPDATE payment SET version = version + 1, reserved = reserved - $2, refunded = refunded + $2
WHERE payment_id = $1
"""
EVENT = """
INSERT INTO event (event_id, object_id, sequence, body)
VALUES (nextval('event_block') * 65536, $1, $2, $3)
"""
# ruff: noqa: S608 the statements are made of our own words.
EVENT_WITH_ENTRY = f"""
WITH happened AS ({EVENT} RETURNING event_id, object_id, sequence)
INSERT INTO entry SELECT event_id, 1, object_id, sequence, $4, $5, $6, $7 FROM happened
"""

Clock = Callable[[], int]
Lock = Literal["first", "last"]


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[list[asyncpg.Connection]]:
    """asyncpg prepares a statement when it first sees it, and then keeps it."""
    settings = {"search_path": "contraflow"}
    connections = [await asyncpg.connect(dsn, server_settings=settings) for _ in range(CONNECTIONS)]
    try:
        for connection in connections:
            await connection.execute(f"SET ROLE {WRITER}")
        yield connections
    finally:
        for connection in connections:
            await connection.close()


async def live_plainly(
    connections: Sequence[asyncpg.Connection],
    numbers: Sequence[int],
    now: Clock,
    lock: Lock,
) -> None:
    """Each connection has one life cycle after the other."""
    left = iter(numbers)
    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(Plain(connection, now, lock).live(left))


@dataclass(frozen=True, slots=True)
class Plain:
    """What one connection does."""

    connection: asyncpg.Connection
    now: Clock
    lock: Lock

    async def live(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            asked = request(number, neighbourly(number))
            name = await self.accept(asked)
            if is_repeated(number):
                assert await self.accept(request(number, neighbourly(number))) == name
            await self.send(name)
            if is_repeated_later(number):
                assert await self.accept(request(number, neighbourly(number))) == name
            await self.succeed(name, asked.payment_id, asked.amount)

    async def accept(self, asked: RequestRefund) -> str:
        new = SimpleNamespace(**born(asked, CHANNEL, self.now()))
        accounts = accounts_of(new, ACCEPTED_SIDES)
        async with self.connection.transaction():
            if self.lock == "first":
                await self.lock_accounts(accounts, asked.amount)
            told = await self.connection.fetchrow(TOLD, asked.key)
            if told is not None:
                assert told["fingerprint"] == asked.fingerprint
                return str(msgspec.json.decode(told["body"])["legs"][0]["id"])
            channel = await self.connection.fetchval(
                RESERVE, asked.payment_id, asked.amount.minor, asked.amount.currency
            )
            assert channel == new.channel, "the payment is unknown or has no such amount left"
            await self.connection.execute(
                insert_into("instruction", *vars(new)), *vars(new).values()
            )
            body = receipt_body(new, self.now())
            await self.connection.execute(ACKNOWLEDGE, asked.key, asked.fingerprint, body)
            await self.book(new, accepted_facts(asked, new.mode), accounts)
        return str(new.instruction_id)

    async def send(self, name: str) -> None:
        now = self.now()
        async with self.connection.transaction():
            row = await self.connection.fetchrow(
                SEND, name, now, now + LEAVE_WITHIN_MS, now + LEASE_MS
            )
            sent = SimpleNamespace(**row)
            body = event_body(sent, sent_facts(sent.leave_by), now)
            await self.connection.execute(EVENT, name, sent.sequence, body)

    async def succeed(self, name: str, payment_id: str, amount: Money) -> None:
        now, number = self.now(), name.rpartition("/")[2]
        said = said_of(number, amount, payment_id)
        told = SimpleNamespace(payment_id=payment_id, channel=CHANNEL)
        accounts = accounts_of(told, SUCCEEDED_SIDES)
        async with self.connection.transaction():
            if self.lock == "first":
                await self.lock_accounts(accounts, amount)
            row = await self.connection.fetchrow(
                SUCCEED, name, now, said.reference, said.amount.minor, said.amount.currency
            )
            ended = SimpleNamespace(**row)
            assert said.payment_id == ended.payment_id
            await self.connection.execute(SETTLE, ended.payment_id, ended.minor)
            await self.book(ended, succeeded_facts(ended.leave_by, said.evidence), accounts)

    async def book(self, instruction: Any, facts: dict[str, Any], accounts: Any) -> None:
        """The event, its entry, and the two balances."""
        body = event_body(instruction, facts, self.now())
        of = (instruction.instruction_id, instruction.sequence)
        money = (instruction.minor, instruction.currency)
        await self.connection.execute(EVENT_WITH_ENTRY, *of, body, *accounts, *money)
        if self.lock == "last":
            await self.lock_accounts(accounts, Money(*money))
        done = await self.connection.execute(MOVE, *accounts, *money)
        assert done == "UPDATE 2"

    async def lock_accounts(self, accounts: Sequence[str], amount: Money) -> None:
        """Both, in the order of their names: nobody waits in a circle."""
        await self.connection.fetch(LOCK, accounts, amount.currency)


@functools.cache
def insert_into(table: str, *names: str) -> str:
    values = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"
