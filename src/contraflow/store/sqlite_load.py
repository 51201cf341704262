"""One query a table, and none for what no command of the batch needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import msgspec

from contraflow.domain.cases import Case
from contraflow.domain.commands import Command, Line
from contraflow.domain.decision import Receipt
from contraflow.domain.instruction import Instruction
from contraflow.domain.payment import Payment
from contraflow.store import Loaded
from contraflow.store import sqlite_statements as sql
from contraflow.store.reach import Reach, fall_through_keys, paying, reach_of, unsent_ids
from contraflow.store.rows import (
    Found,
    Row,
    cases_of,
    facts_of,
    instructions_of,
    payments_of,
)


def load(connection: apsw.Connection, now: int, commands: Sequence[Command]) -> Found:
    """Instructions first, then their payments; a second round of instructions is rare."""
    reach = reach_of(commands)
    numbers: dict[str, str] = dict(_among(connection, sql.NUMBERS, reach.numbers))
    named = [*reach.instruction_ids, *numbers.values()]
    rows = _among(connection, sql.INSTRUCTIONS, named)
    instruction_versions = {row[1]: row[0] for row in rows}
    instructions = instructions_of(rows)
    own = [instruction.payment_id for instruction in instructions.values()]
    rows = _among(connection, sql.PAYMENTS, [*reach.payment_ids, *own])
    payment_versions = {row[1]: row[0] for row in rows}
    payments = payments_of(rows)
    capturing = [*reach.capturing, *paying(instructions.values())]
    if reach.may_cancel or capturing:
        rows = _second_round(connection, reach, payments, capturing)
        instruction_versions.update((row[1], row[0]) for row in rows)
        instructions.update(instructions_of(rows))
    keys = reach.keys + (fall_through_keys(instructions.values()) if capturing else [])
    loaded = Loaded(
        now=now,
        payments=payments,
        instructions=instructions,
        numbers=numbers,
        receipts={row[0]: Receipt(*row) for row in _among(connection, sql.RECEIPTS, keys)},
        facts=facts_of(_among(connection, sql.FACTS, reach.fact_ids)),
        cases=_cases(connection, reach, instructions),
        holds={row[0] for row in connection.execute(sql.HOLDS)},
        quarantined={row[0] for row in connection.execute(sql.QUARANTINED)},
        lines=_lines(connection, reach.lines),
        nonces=dict(_among(connection, sql.NONCES, reach.nonces)),
    )
    return Found(loaded, payment_versions, instruction_versions)


def _second_round(
    connection: apsw.Connection,
    reach: Reach,
    payments: dict[str, Payment],
    capturing: list[str],
) -> list[Row]:
    unsent = _among(connection, sql.INSTRUCTIONS, unsent_ids(reach, payments))
    return unsent + _among(connection, sql.INSTRUCTIONS_OF, capturing)


def _cases(
    connection: apsw.Connection, reach: Reach, instructions: dict[str, Instruction]
) -> dict[str, Case]:
    """Closed ones, too: a contradiction that is told again is the same case for ever."""
    rows = _among(connection, sql.CASES, reach.case_ids)
    if reach.numbers:
        rows = rows + _among(connection, sql.CASES_OF, list(instructions))
    return cases_of(rows)


def _lines(connection: apsw.Connection, lines: Sequence[Line]) -> dict[Line, str]:
    if not lines:
        return {}
    wanted = as_json([(line.source, line.number) for line in lines])
    rows = connection.execute(sql.LINES, (wanted,))
    return {Line(source, number): answer for source, number, answer in rows}


def _among(connection: apsw.Connection, statement: str, ids: Sequence[str]) -> list[Any]:
    if not ids:
        return []
    return connection.execute(statement, (as_json(dict.fromkeys(ids)),)).fetchall()


def as_json(values: Iterable[object]) -> str:
    return msgspec.json.encode(list(values)).decode()
