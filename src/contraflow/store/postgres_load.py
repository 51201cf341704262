"""What a batch reads: payments are locked first, whatever the batch reached them through.

Everything about a payment is read by a later statement than its lock, so that it is as of now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
from msgspec.structs import replace

from contraflow.domain.cases import Case
from contraflow.domain.commands import Command, Line
from contraflow.domain.decision import Receipt
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import FINAL, UNSENT
from contraflow.store import Loaded
from contraflow.store import postgres_statements as sql
from contraflow.store.postgres_clock import ServerClock
from contraflow.store.postgres_link import refuse_forgetting
from contraflow.store.reach import (
    PAYMENT_COMMANDS,
    Reach,
    fall_through_keys,
    reach_of,
    unsent_ids,
)
from contraflow.store.rows import Found, cases_of, facts_of, instructions_of, payments_of

SETTLED = FINAL | UNSENT  # Nothing of it is on its way.


async def load(
    connection: asyncpg.Connection, clock: ServerClock, commands: Sequence[Command]
) -> tuple[Found, int]:
    """What the commands reach for, and the number of the batch."""
    reach = reach_of(commands)
    numbers = dict(await _among(connection, sql.NUMBERS, reach.numbers))
    homes = await _among(connection, sql.HOMES, [*reach.instruction_ids, *numbers.values()])
    own = [payment_id for _, payment_id, _ in homes]
    rows = await _among(connection, sql.PAYMENTS, [*reach.payment_ids, *own])
    payment_versions = {row[1]: row[0] for row in rows}
    payments = payments_of(rows)

    paying = [payment_id for _, payment_id, kind in homes if kind in PAYMENT_COMMANDS]
    capturing = [*reach.capturing, *paying]
    names = [name for name, _, _ in homes]
    names += [row[0] for row in await _among(connection, sql.NAMES_OF, capturing)]
    names += unsent_ids(reach, payments)
    rows = await _among(connection, sql.INSTRUCTIONS, names)
    instruction_versions = {row[1]: row[0] for row in rows}
    instructions = instructions_of(rows)

    keys = reach.keys + (fall_through_keys(instructions.values()) if capturing else [])
    receipts = await _among(connection, sql.RECEIPTS, keys)
    facts = await _among(connection, sql.FACTS, reach.fact_ids)
    cases = await _cases(connection, reach, instructions)
    lines = await _lines(connection, reach.lines)
    nonces = dict(await _among(connection, sql.NONCES, reach.nonces))
    asked_at = clock.monotonic()
    around = await connection.fetchrow(sql.SURROUNDINGS)
    refuse_forgetting(around["unsafe"])
    now = clock.note(around["now"], asked_at)
    moved_at = 0 if clock.given is not None else around["moved_at"]
    loaded = Loaded(
        now=now,
        payments=payments,
        instructions={name: _moved(each, moved_at) for name, each in instructions.items()},
        numbers=numbers,
        receipts={row[0]: Receipt(*row) for row in receipts},
        facts=facts_of(facts),
        cases=cases,
        holds=set(around["holds"]),
        quarantined=set(around["quarantined"]),
        lines=lines,
        nonces=nonces,
    )
    return Found(loaded, payment_versions, instruction_versions), around["block"]


def _moved(instruction: Instruction, moved_at: int) -> Instruction:
    """What left by another clock may travel as long from now on as if it had left at the move."""
    leave_by = instruction.leave_by
    if leave_by is None or leave_by >= moved_at or instruction.state in SETTLED:
        return instruction
    return replace(instruction, leave_by=moved_at)


async def _cases(
    connection: asyncpg.Connection, reach: Reach, instructions: dict[str, Instruction]
) -> dict[str, Case]:
    """Closed ones, too: a contradiction that is told again is the same case for ever."""
    about = list(instructions) if reach.numbers else []
    if not reach.case_ids and not about:
        return {}
    return cases_of(await connection.fetch(sql.CASES, reach.case_ids, about))


async def _lines(connection: asyncpg.Connection, lines: Sequence[Line]) -> dict[Line, str]:
    if not lines:
        return {}
    sources, numbers = [line.source for line in lines], [line.number for line in lines]
    rows = await connection.fetch(sql.LINES, sources, numbers)
    return {Line(source, number): answer for source, number, answer in rows}


async def _among(connection: asyncpg.Connection, statement: str, ids: Sequence[str]) -> list[Any]:
    if not ids:
        return []
    rows: list[Any] = await connection.fetch(statement, list(dict.fromkeys(ids)))
    return rows
