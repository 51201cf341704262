"""Everything one batch writes, table by table; a row in another version than loaded stops it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import apsw
from msgspec.structs import astuple

from contraflow.domain.commands import Nonce
from contraflow.store import NONCE_KEPT_MS, Commit, Record
from contraflow.store import sqlite_statements as sql
from contraflow.store.rows import Found, Row, row_of_parked


def save(connection: apsw.Connection, commit: Commit, found: Found) -> None:
    _save_payments(connection, commit, found)
    _save_instructions(connection, commit, found)
    write(connection, sql.INSERT_RECEIPT, [astuple(receipt) for receipt in commit.receipts])
    if commit.records:
        _save_records(connection, commit.records)
    if commit.facts:
        _save_facts(connection, commit, found)
    if commit.cases:
        _save_cases(connection, commit, found)
    write(connection, sql.PARK, [row_of_parked(parked) for parked in commit.parked])
    for scope, is_on in commit.holds:
        connection.execute(sql.HOLD if is_on else sql.UNHOLD, (scope,))
    write(connection, sql.INSERT_REFERENCE, commit.references)
    if commit.nonces:
        _save_nonces(connection, commit.nonces, found.loaded.now)
    lines = [(line.source, line.number, answer) for line, answer in commit.lines]
    write(connection, sql.INSERT_LINE, lines)


def write(connection: apsw.Connection, statement: str, rows: Sequence[Row]) -> None:
    """Write every row, or stop: a row that changed nothing was loaded in another version."""
    if not rows:
        return
    before = connection.total_changes()
    connection.executemany(statement, rows)
    assert connection.total_changes() - before == len(rows), statement


def _save_payments(connection: apsw.Connection, commit: Commit, found: Found) -> None:
    versions = found.payment_versions
    born, changed = [], []
    for payment in commit.payments:
        version = versions.get(payment.payment_id)
        if version is None:
            born.append(astuple(payment))
        else:
            changed.append((*astuple(payment), version))
    write(connection, sql.INSERT_PAYMENT, born)
    write(connection, sql.UPDATE_PAYMENT, changed)


def _save_instructions(connection: apsw.Connection, commit: Commit, found: Found) -> None:
    versions, before = found.instruction_versions, found.loaded.instructions
    born, changed, renumbered, old_numbers = [], [], [], []
    for instruction in commit.instructions:
        name = instruction.instruction_id
        version = versions.get(name)
        if version is None:
            born.append(astuple(instruction))
            continue
        changed.append((*astuple(instruction), version))
        if instruction.generation != before[name].generation:
            renumbered.append((instruction.number, instruction.generation, name))
            old_numbers.append((before[name].number, name))
    write(connection, sql.INSERT_INSTRUCTION, born)
    write(connection, sql.UPDATE_INSTRUCTION, changed)
    write(connection, sql.RENUMBER, renumbered)
    write(connection, sql.INSERT_OLD_NUMBER, old_numbers)


def _save_records(connection: apsw.Connection, records: Sequence[Record]) -> None:
    """Positions are dense; the balances of a batch are added once for each account."""
    last: Any
    [[last]] = connection.execute(sql.LAST_POSITION).fetchall()
    events: list[Row] = []
    entries: list[Row] = []
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for position, record in enumerate(records, last + 1):
        object_id, sequence = record.object_id, record.sequence
        events.append((position, object_id, sequence, record.body))
        for line, entry in enumerate(record.entries, 1):
            debit, credit, minor, currency = astuple(entry)
            entries.append((position, line, object_id, sequence, debit, credit, minor, currency))
            sums[debit, currency] += minor
            sums[credit, currency] -= minor
    write(connection, sql.INSERT_EVENT, events)
    write(connection, sql.INSERT_ENTRY, entries)
    balances = [(account, currency, minor) for (account, currency), minor in sorted(sums.items())]
    write(connection, sql.ADD_TO_BALANCE, balances)


def _save_nonces(connection: apsw.Connection, nonces: Sequence[Nonce], now: int) -> None:
    write(connection, sql.INSERT_NONCE, [(each.nonce_id, each.digest, now) for each in nonces])
    connection.execute(sql.FORGET_NONCES, (now - NONCE_KEPT_MS, 2 * len(nonces)))


def _save_facts(connection: apsw.Connection, commit: Commit, found: Found) -> None:
    known = found.loaded.facts
    born = [astuple(fact) for fact in commit.facts if fact.fact_id not in known]
    ended = [fact for fact in commit.facts if fact.fact_id in known]
    write(connection, sql.INSERT_FACT, born)
    write(connection, sql.UPDATE_FACT, [astuple(fact) for fact in ended])


def _save_cases(connection: apsw.Connection, commit: Commit, found: Found) -> None:
    known = found.loaded.cases
    born = [astuple(case) for case in commit.cases if case.case_id not in known]
    closed = [astuple(case) for case in commit.cases if case.case_id in known]
    write(connection, sql.INSERT_CASE, born)
    write(connection, sql.CLOSE_CASE, closed)
