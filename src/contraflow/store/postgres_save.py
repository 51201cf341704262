"""Everything one batch writes, table by table, each in the order of its names; accounts last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from operator import attrgetter

import asyncpg
from msgspec import Struct
from msgspec.structs import astuple

from contraflow.domain.cases import Parked
from contraflow.store import Commit, Record
from contraflow.store import postgres_statements as sql
from contraflow.store.rows import Found, Row, row_of_parked

EVENTS_MAX = 1 << 16  # Of one batch.
AccountKey = tuple[str, str]  # Account, currency.


class Place(Struct, frozen=True):
    """Where a batch books."""

    batch: int  # Its number, drawn after its locks.
    slot: int  # Of the accounts.
    accounts: Collection[AccountKey]  # Those that are known to exist.


async def save(
    connection: asyncpg.Connection, commit: Commit, found: Found, place: Place
) -> set[AccountKey]:
    """The accounts that exist from now on."""
    await _save_payments(connection, commit, found)
    await _save_instructions(connection, commit, found)
    await write(connection, sql.INSERT_RECEIPT, sorted(astuple(r) for r in commit.receipts))
    if commit.facts:
        await _save_facts(connection, commit, found)
    if commit.cases:
        await _save_cases(connection, commit, found)
    await write(connection, sql.PARK, sorted(_parked(each) for each in commit.parked))
    for scope, is_on in commit.holds:
        await connection.execute(sql.HOLD if is_on else sql.UNHOLD, scope)
    await write(connection, sql.INSERT_REFERENCE, sorted(commit.references))
    now = found.loaded.now
    nonces = sorted((each.nonce_id, each.digest, now) for each in commit.nonces)
    await write(connection, sql.INSERT_NONCE, nonces)
    lines = [(line.source, line.number, answer) for line, answer in commit.lines]
    await write(connection, sql.INSERT_LINE, sorted(lines))
    return await _save_records(connection, commit.records, place)


async def write(
    connection: asyncpg.Connection, statement: str, rows: Sequence[Row], *more: object
) -> None:
    """Write every row, or stop: a row that changed nothing was loaded in another version."""
    if not rows:
        return
    done = await connection.execute(statement, *zip(*rows, strict=True), *more)
    assert int(done.rpartition(" ")[2]) == len(rows), f"{done} of {len(rows)}: {statement}"


def _parked(parked: Parked) -> Row:
    """Its payment has its own column: JSON may hold what PostgreSQL cannot take out of it."""
    notice_id, channel, body, due_at = row_of_parked(parked)
    fact = parked.observation.fact
    return (notice_id, channel, getattr(fact, "payment_id", ""), body, due_at)


async def _save_payments(connection: asyncpg.Connection, commit: Commit, found: Found) -> None:
    versions = found.payment_versions
    born, changed = [], []
    for payment in sorted(commit.payments, key=attrgetter("payment_id")):
        row = astuple(payment)
        version = versions.get(payment.payment_id)
        if version is None:
            born.append(row)
        else:
            changed.append((row[0], version, *row[10:]))
    await write(connection, sql.INSERT_PAYMENT, born)
    await write(connection, sql.UPDATE_PAYMENT, changed)


async def _save_instructions(connection: asyncpg.Connection, commit: Commit, found: Found) -> None:
    versions, before = found.instruction_versions, found.loaded.instructions
    born: list[Row] = []
    changed: list[Row] = []
    old_numbers: list[Row] = []
    for instruction in sorted(commit.instructions, key=attrgetter("instruction_id")):
        name, row = instruction.instruction_id, astuple(instruction)
        version = versions.get(name)
        if version is None:
            born.append(row)
            continue
        changed.append((name, version, *row[13:]))
        if instruction.generation != before[name].generation:
            old_numbers.append((before[name].number, name))
    await write(connection, sql.INSERT_INSTRUCTION, born)
    await write(connection, sql.UPDATE_INSTRUCTION, changed)
    await write(connection, sql.INSERT_OLD_NUMBER, sorted(old_numbers))


async def _save_facts(connection: asyncpg.Connection, commit: Commit, found: Found) -> None:
    known = found.loaded.facts
    facts = sorted(commit.facts, key=attrgetter("fact_id"))
    born = [astuple(fact) for fact in facts if fact.fact_id not in known]
    ended = [(f.fact_id, f.state, f.booked_at) for f in facts if f.fact_id in known]
    await write(connection, sql.INSERT_FACT, born)
    await write(connection, sql.UPDATE_FACT, ended)


async def _save_cases(connection: asyncpg.Connection, commit: Commit, found: Found) -> None:
    known = found.loaded.cases
    cases = sorted(commit.cases, key=attrgetter("case_id"))
    born = [astuple(case) for case in cases if case.case_id not in known]
    closed = [(c.case_id, c.closed_at, c.closed_by) for c in cases if c.case_id in known]
    await write(connection, sql.INSERT_CASE, born)
    await write(connection, sql.CLOSE_CASE, closed)


async def _save_records(
    connection: asyncpg.Connection, records: Sequence[Record], place: Place
) -> set[AccountKey]:
    assert len(records) < EVENTS_MAX, "a batch makes a bounded number of events"
    events: list[Row] = []
    entries: list[Row] = []
    sums: defaultdict[AccountKey, int] = defaultdict(int)
    for event_id, record in enumerate(records, place.batch * EVENTS_MAX):
        object_id, sequence = record.object_id, record.sequence
        events.append((event_id, object_id, sequence, record.body))
        for line, entry in enumerate(record.entries, 1):
            debit, credit, minor, currency = astuple(entry)
            entries.append((event_id, line, object_id, sequence, debit, credit, minor, currency))
            sums[debit, currency] += minor
            sums[credit, currency] -= minor
    await write(connection, sql.INSERT_EVENT, events)
    await write(connection, sql.INSERT_ENTRY, entries)
    if sums:
        await _add_to_balances(connection, dict(sorted(sums.items())), place)
    return set(sums)


async def _add_to_balances(
    connection: asyncpg.Connection, sums: dict[AccountKey, int], place: Place
) -> None:
    """Opened, then locked, by statements of their own in the order of their names; then changed."""
    unknown = [key for key in sums if key not in place.accounts]
    if unknown:
        await connection.execute(sql.OPEN_ACCOUNTS, *zip(*unknown, strict=True), place.slot)
    names = [account for account, _ in sums]
    await connection.fetch(sql.LOCK_ACCOUNTS, place.slot, names)
    changes = [(account, currency, minor) for (account, currency), minor in sums.items()]
    await write(connection, sql.ADD_TO_BALANCES, changes, place.slot)
