"""A whole small database as values, as of one moment, while others write."""

from __future__ import annotations

from typing import Any

import asyncpg

from contraflow.domain.decision import Receipt
from contraflow.store import Contents
from contraflow.store import postgres_questions as ask
from contraflow.store.rows import cases_of, facts_of, instructions_of, payments_of


async def contents_of(connection: asyncpg.Connection) -> Contents:
    """The position of an event is 0 as long as the feed has not got to it."""

    async def rows(statement: str) -> list[Any]:
        return [tuple(row) for row in await connection.fetch(statement)]

    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return Contents(
            now=await connection.fetchval(ask.NOW),
            payments=payments_of(await rows(ask.ALL_PAYMENTS)),
            instructions=instructions_of(await rows(ask.ALL_INSTRUCTIONS)),
            receipts={row[0]: Receipt(*row) for row in await rows(ask.ALL_RECEIPTS)},
            facts=facts_of(await rows(ask.ALL_FACTS)),
            cases=cases_of(await rows(ask.ALL_CASES)),
            events=await rows(ask.ALL_EVENTS),
            entries=await rows(ask.ALL_ENTRIES),
            balances={(row[0], row[1]): row[2] for row in await rows(ask.ALL_BALANCES)},
        )
