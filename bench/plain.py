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
from contraflow.domain.ids import number_for, tenant_of
from contraflow.domain.money import Money
from contraflow.outside.virtual_time import result_of
from contraflow.store import sqlite_statements as sql

LENGTHS_APART_MAX = 0.15  # Its own JSON, of the same facts, is about as long.
ACCEPTED_SIDES = ("merchant.payable", "refunds.in_flight")
EVIDENCE = ("proof", "code", "status", "request_sha256", "reply_sha256")
SUCCEEDED_SIDES = ("refunds.in_flight", "channel.receivable")


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
        number = number_for(payment_id=payment.payment_id, key=asked.key)
        instruction: Any = Instruction(**born(asked, payment, number))
        session.add(instruction)
        session.add(receipt_of(asked, instruction))
        labels = json.loads(asked.labels)
        facts = {"key": asked.key, "labels": labels, "mode": instruction.mode, "step": "request"}
        book(session, instruction, facts, ACCEPTED_SIDES)
        return str(instruction.instruction_id)


def born(asked: RequestRefund, payment: Any, number: str) -> dict[str, Any]:
    now = frozen_clock()
    return {
        "version": 1,
        "instruction_id": f"{tenant_of(payment.payment_id)}/{number}",
        "payment_id": payment.payment_id,
        "channel": payment.channel,
        "kind": "refund",
        "mode": "asynchronous_refund",
        "minor": asked.amount.minor,
        "currency": payment.currency,
        "key": asked.key,
        "leg": 0,
        "is_fallback": 0,
        "capture_id": "",
        "requested_at": now,
        "labels": asked.labels,
        "state": "accepted",
        "number": number,
        "generation": 0,
        "withdrawal": "none",
        "waiting": "",
        "fruitless": 0,
        "sequence": 1,
        "due_at": now,
        "lease": 0,
        "attempt": 0,
        "in_doubt": 0,
        "reference": "",
        "failure": "",
    }


def receipt_of(asked: RequestRefund, instruction: Any) -> Receipt:
    body = {
        "at": frozen_clock(),
        "currency": instruction.currency,
        "decision": "accepted",
        "legs": [
            {
                "id": instruction.instruction_id,
                "kind": instruction.kind,
                "minor": instruction.minor,
                "number": instruction.number,
            }
        ],
        "payment": instruction.payment_id,
        "v": 1,
    }
    receipt: Any = Receipt
    made: Receipt = receipt(key=asked.key, fingerprint=asked.fingerprint, body=json_of(body))
    return made


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
        book(session, instruction, {"step": "send", "leave_by": instruction.leave_by}, None)


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
        told = {name: getattr(said.evidence, name) for name in EVIDENCE}
        facts = {"step": "succeed", "leave_by": instruction.leave_by, "evidence": told}
        book(session, instruction, facts, SUCCEEDED_SIDES)


def book(
    session: Session, instruction: Any, facts: dict[str, Any], sides: tuple[str, str] | None
) -> None:
    """The event, and where money moves its entry and the two balances."""
    body = {
        "at": frozen_clock(),
        "attempt": instruction.attempt,
        "channel": instruction.channel,
        "currency": instruction.currency,
        "id": instruction.instruction_id,
        "kind": instruction.kind,
        "minor": instruction.minor,
        "number": instruction.number,
        "payment": instruction.payment_id,
        "reference": instruction.reference,
        "sequence": instruction.sequence,
        "state": instruction.state,
        "type": f"{instruction.kind}.{instruction.state}",
        "v": 1,
        **facts,
    }
    of = {"object_id": instruction.instruction_id, "sequence": instruction.sequence}
    happened: Any = Event(**of, body=json_of(body))
    session.add(happened)
    if sides is None:
        return
    session.flush()  # The entry needs the position of the event.
    tenant = tenant_of(instruction.payment_id)
    debit, credit = (f"{tenant}/{instruction.channel}/{side}" for side in sides)
    money = {"minor": instruction.minor, "currency": instruction.currency}
    position = happened.position
    session.add(Entry(position=position, line=1, **of, debit=debit, credit=credit, **money))
    for account, minor in ((debit, instruction.minor), (credit, -instruction.minor)):
        kept: Any = session.get(Account, (account, instruction.currency))
        if kept is None:
            session.add(Account(account=account, currency=instruction.currency, balance=minor))
        else:
            kept.balance += minor


def json_of(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


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
