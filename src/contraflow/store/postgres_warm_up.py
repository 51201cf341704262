"""Prepare every statement of a batch before the first lock is taken.

While a statement is being prepared the server waits for our next word and no time-out of its own
counts: a process that is stopped just then would keep what it has locked until it goes on.
"""

from __future__ import annotations

import asyncpg

from contraflow.store import postgres_statements as sql

READING = (
    sql.NUMBERS,
    sql.HOMES,
    sql.PAYMENTS,
    sql.NAMES_OF,
    sql.INSTRUCTIONS,
    sql.RECEIPTS,
    sql.FACTS,
    sql.CASES,
    sql.LINES,
    sql.NONCES,
    sql.SURROUNDINGS,
    sql.CLAIM,
)
WRITING = (
    sql.INSERT_PAYMENT,
    sql.UPDATE_PAYMENT,
    sql.INSERT_INSTRUCTION,
    sql.UPDATE_INSTRUCTION,
    sql.INSERT_OLD_NUMBER,
    sql.INSERT_RECEIPT,
    sql.INSERT_FACT,
    sql.UPDATE_FACT,
    sql.INSERT_CASE,
    sql.CLOSE_CASE,
    sql.PARK,
    sql.HOLD,
    sql.UNHOLD,
    sql.INSERT_LINE,
    sql.INSERT_REFERENCE,
    sql.INSERT_NONCE,
    sql.INSERT_EVENT,
    sql.INSERT_ENTRY,
    sql.OPEN_ACCOUNTS,
    sql.LOCK_ACCOUNTS,
    sql.ADD_TO_BALANCES,
)
NOTHING = {"text": "", "int8": 0}  # And an empty list for an array.


async def warm_up(connection: asyncpg.Connection) -> None:
    """Each is done once, to nothing, so that its plan is kept for as long as the connection."""
    await connection.execute("BEGIN")
    for statement in READING + WRITING:
        prepared = await connection.prepare(statement)
        bindings = [NOTHING.get(each.name, []) for each in prepared.get_parameters()]
        await connection.fetch(statement, *bindings)
    await connection.execute("ROLLBACK")
