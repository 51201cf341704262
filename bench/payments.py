"""The payments that are there before any clock runs, and fresh copies of the file they are in."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
from msgspec.structs import astuple
from workload import BATCH, decided, frozen_clock, labels_of, payment_name, policy

from contraflow.domain.commands import RecordPayment
from contraflow.domain.ids import qualified, tenant_of
from contraflow.domain.lifecycle import PAYMENT_BIRTHS
from contraflow.domain.money import Money
from contraflow.domain.payment import Capturing, Payment
from contraflow.outside.virtual_time import result_of
from contraflow.store import sqlite_statements as sql
from contraflow.store.sqlite import SqliteStore, open_store
from contraflow.wire import canonical

CHANNEL, METHOD = "sandbox", "card"
PAID = Money(10_000, "CNY")
BULK = 50_000


def record_payments(path: Path, count: int) -> None:
    """Through the door, as commands: each has its event, entry, capture and receipt."""
    store = open_store(path, frozen_clock)
    rules = policy()
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        decided(store, rules, [recording(number) for number in numbers])
    settle(store)


def insert_payments(path: Path, count: int) -> None:
    """Past the door, in bulk: only the rows of the payments, as if their events were long ago."""
    store = open_store(path, frozen_clock)
    for start in range(0, count, BULK):
        numbers = range(start, min(start + BULK, count))
        with store.connection:
            rows = (astuple(captured(number)) for number in numbers)
            store.connection.executemany(sql.INSERT_PAYMENT, rows)
    settle(store)


def settle(store: SqliteStore) -> None:
    """Everything into the main file: it can be copied alone, and no arm pays for it later."""
    store.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    result_of(store.close())


def copy_of(original: Path, path: Path) -> SqliteStore:
    shutil.copyfile(original, path)
    return open_store(path, frozen_clock)


def remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def recording(number: int, tenants: int = 1) -> RecordPayment:
    payment_id = payment_name(number, tenants)
    return RecordPayment(
        key=qualified(tenant_of(payment_id), f"paid_{number:012}"),
        fingerprint=canonical.fingerprint({"payment": payment_id, "minor": PAID.minor}),
        labels=labels_of(number),
        payment_id=payment_id,
        channel=CHANNEL,
        method=METHOD,
        instrument=f"tok_{number:016x}",
        amount=PAID,
        is_captured=True,
    )


def captured(number: int) -> Payment:
    now = frozen_clock()
    return Payment(
        payment_id=payment_name(number),
        channel=CHANNEL,
        method=METHOD,
        instrument=f"tok_{number:016x}",
        currency=PAID.currency,
        amount=PAID.minor,
        capturing=Capturing.MANUAL,
        pay_number="",
        created_at=now,
        labels=labels_of(number),
        state=PAYMENT_BIRTHS["record_captured"],
        authorized=PAID.minor,
        captured=PAID.minor,
        paid_at=now,
        captured_at=now,
    )
