"""The way it is usually written: an ORM session and a commit for each step, on the same schema.

It leaves the same rows as the engine: receipt, instruction, events, entries and balances. It
checks what such code checks, reads what it needs and knows nothing of batches.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from payments import copy_of
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
from same_rows import assert_same_rows, bytes_of_bodies
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.declarative import DeferredReflection
from sqlalchemy.orm import DeclarativeBase, Session
from stopwatch import Took, timed
from workload import (
    LEASE_MS,
    LEAVE_WITHIN_MS,
    frozen_clock,
    is_repeated,
    is_repeated_later,
    live,
    neighbourly,
    policy,
    request,
    said_of,
)

from contraflow.domain.commands import RequestRefund
from contraflow.domain.money import Money
from contraflow.outside.virtual_time import result_of
from contraflow.store import sqlite_statements as sql

LENGTHS_APART_MAX = 0.15  # Its own JSON, of the same facts, is about as long.


class Table(DeferredReflection, DeclarativeBase):
    """Its columns are read from the database."""

    __abstract__ = True


class Payment(Table):
    __tablename__ = "payment"


class Instruction(Table):
    __tablename__ = "instruction"


class Receipt(Table):
    __tablename__ = "receipt"


class Event(Table):
    __tablename__ = "event"


class Entry(Table):
    __tablename__ = "entry"


class Account(Table):
    __tablename__ = "account"


def run_plain(payments: Path, path: Path, numbers: Sequence[int]) -> Took:
    result_of(copy_of(payments, path).close())
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", lambda raw, _: raw.executescript(sql.HARDEN))
    Table.prepare(engine)
    took = timed(lambda: live_plainly(engine, numbers), len(numbers))
    engine.dispose()
    return took


def live_plainly(engine: Engine, numbers: Sequence[int]) -> None:
    for number in numbers:
        asked = request(number, neighbourly(number))
        name = accept(engine, asked)
        if is_repeated(number):
            assert accept(engine, request(number, neighbourly(number))) == name
        send(engine, name)
        if is_repeated_later(number):
            assert accept(engine, request(number, neighbourly(number))) == name
        succeed(engine, name)


def accept(engine: Engine, asked: RequestRefund) -> str:
    with Session(engine) as session, session.begin():
        told: Any = session.get(Receipt, asked.key)
        if told is not None:
            assert told.fingerprint == asked.fingerprint
            return str(json.loads(told.body)["legs"][0]["id"])
        payment: Any = session.get(Payment, asked.payment_id)
        assert payment is not None
        assert payment.state == "captured"
        assert payment.currency == asked.amount.currency
        gone = payment.reserved + payment.refunded + payment.charged_back
        assert asked.amount.minor <= payment.captured - gone
        payment.reserved += asked.amount.minor
        payment.refunds += 1
        payment.version += 1
        instruction: Any = Instruction(**born(asked, payment.channel, frozen_clock()))
        session.add(instruction)
        receipt: Any = Receipt  # Its columns are unknown to the type checker.
        body = receipt_body(instruction, frozen_clock())
        session.add(receipt(key=asked.key, fingerprint=asked.fingerprint, body=body))
        book(session, instruction, accepted_facts(asked, instruction.mode), ACCEPTED_SIDES)
        return str(instruction.instruction_id)


def send(engine: Engine, name: str) -> None:
    with Session(engine) as session, session.begin():
        instruction: Any = session.get(Instruction, name)
        assert instruction.state == "accepted"
        now = frozen_clock()
        instruction.state = "sent"
        instruction.sequence += 1
        instruction.version += 1
        instruction.lease += 1
        instruction.attempt += 1
        instruction.sent_at = now
        instruction.leave_by = now + LEAVE_WITHIN_MS
        instruction.due_at = now + LEASE_MS
        book(session, instruction, sent_facts(instruction.leave_by), None)


def succeed(engine: Engine, name: str) -> None:
    with Session(engine) as session, session.begin():
        instruction: Any = session.get(Instruction, name)
        assert instruction.state == "sent"
        payment: Any = session.get(Payment, instruction.payment_id)
        amount = Money(instruction.minor, instruction.currency)
        said = said_of(instruction.number, amount, instruction.payment_id)
        assert said.amount == amount
        assert said.payment_id == instruction.payment_id
        instruction.state = "succeeded"
        instruction.sequence += 1
        instruction.version += 1
        instruction.lease += 1
        instruction.due_at = None
        instruction.known_at = instruction.final_at = frozen_clock()
        instruction.reference = said.reference
        payment.reserved -= instruction.minor
        payment.refunded += instruction.minor
        payment.version += 1
        facts = succeeded_facts(instruction.leave_by, said.evidence)
        book(session, instruction, facts, SUCCEEDED_SIDES)


def book(
    session: Session, instruction: Any, facts: dict[str, Any], sides: tuple[str, str] | None
) -> None:
    """The event, and where money moves its entry and the two balances."""
    of = {"object_id": instruction.instruction_id, "sequence": instruction.sequence}
    happened: Any = Event(**of, body=event_body(instruction, facts, frozen_clock()))
    session.add(happened)
    if sides is None:
        return
    session.flush()  # The entry needs the position of the event.
    debit, credit = accounts_of(instruction, sides)
    money = {"minor": instruction.minor, "currency": instruction.currency}
    position = happened.position
    session.add(Entry(position=position, line=1, **of, debit=debit, credit=credit, **money))
    for account, minor in ((debit, instruction.minor), (credit, -instruction.minor)):
        kept: Any = session.get(Account, (account, instruction.currency))
        if kept is None:
            session.add(Account(account=account, currency=instruction.currency, balance=minor))
        else:
            kept.balance += minor


def assert_plain_is_even(
    payments: Path, by_plain: Path, path: Path, numbers: Sequence[int]
) -> None:
    """The engine leaves the same rows; only their bodies are each one's own JSON."""
    store = copy_of(payments, path)
    live(store, policy(), numbers)
    result_of(store.close())
    assert_same_rows(path, by_plain, but=("position", "version", "body"))
    engine_bytes, plain_bytes = bytes_of_bodies(path), bytes_of_bodies(by_plain)
    assert abs(engine_bytes - plain_bytes) < LENGTHS_APART_MAX * engine_bytes
