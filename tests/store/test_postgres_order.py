"""Whatever two batches both lock or insert, they come to it in the same order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from store.asking import ask, holding, keyed, recorded, refund_of, until_waiting
from store.databases import Database, Opened

from contraflow.domain import commands as c
from contraflow.domain import observation as told
from contraflow.domain.commands import Command, Line
from contraflow.domain.facts import notice_id_for
from contraflow.domain.money import Money
from contraflow.engine.audit import audit
from contraflow.store.postgres_trouble import TryAgain

THREE = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two batches that meet at three things, the second in the other order.

    Somebody holds the one in the middle until both have come as far as they can: whoever comes
    from the wrong end then has what the other one waits for.
    """

    held: str
    one: list[Command]
    two: list[Command]

    @property
    def backwards(self) -> list[Command]:
        return self.two[::-1]


def of_line(payment_id: str, number: int) -> Command:
    line = Line("file", number)
    return keyed(c.RequestRefund, payment_id=payment_id, amount=Money(1, "GBP"), line=line)


def about_nobody(number: int) -> Command:
    fact = told.Captured(f"main/nobody_{number}", "x", Money(1, "GBP"))
    return c.RecordFact(channel="sandbox", observation=told.Observation(f"evt_{number}", fact))


NOTICE = notice_id_for(channel="sandbox", event_id="evt_2")
NEW_PAYMENT = """
INSERT INTO payment SELECT version, 'main/new_2', channel, method, instrument, currency, amount,
    capturing, pay_number, created_at, labels, state, authorized, capture_in_flight, captured,
    void_in_flight, voided, reserved, refunded, charged_back, excess, refunds, unknown, closing,
    paid_at, captured_at, refund_sent_at, expires_at, reference, sequence FROM payment LIMIT 1
"""
NEW_ACCOUNTS = """
INSERT INTO account SELECT 'u2/sandbox/' || name, 'GBP', 0, 0
FROM unnest(ARRAY['channel.receivable', 'merchant.payable']) AS name
"""
MEETINGS = {
    "payments": Meeting(
        "SELECT * FROM payment WHERE payment_id = 't2/a' FOR UPDATE",
        [refund_of(f"t{n}/a", 1) for n in THREE],
        [refund_of(f"t{n}/a", 1) for n in THREE],
    ),
    "new payments": Meeting(
        NEW_PAYMENT,
        [recorded(f"main/new_{n}", 1) for n in THREE],
        [recorded(f"main/new_{n}", 2) for n in THREE],
    ),
    "keys": Meeting(
        "INSERT INTO receipt VALUES ('t1/key_2', decode(repeat('00', 32), 'hex'), '')",
        [refund_of(f"t1/a{n}", 1, key=f"key_{n}") for n in THREE],
        [refund_of(f"t1/b{n}", 1, key=f"key_{n}") for n in THREE],
    ),
    "accounts": Meeting(
        "SELECT * FROM account WHERE account LIKE 't2/%' FOR UPDATE",
        [refund_of(f"t{n}/a", 1) for n in THREE],
        [refund_of(f"t{n}/b", 1) for n in THREE],
    ),
    "new accounts": Meeting(
        NEW_ACCOUNTS,
        [recorded(f"u{n}/a", 1) for n in THREE],
        [recorded(f"u{n}/b", 1) for n in THREE],
    ),
    "notices": Meeting(
        f"INSERT INTO fact VALUES ('{NOTICE}', 'notice', '', 0, '', 'booked', 1)",  # noqa: S608
        [about_nobody(n) for n in THREE],
        [about_nobody(n) for n in THREE],
    ),
    "lines": Meeting(
        "INSERT INTO line VALUES ('file', 2, 'ok')",
        [of_line(f"t1/a{n}", n) for n in THREE],
        [of_line(f"t1/b{n}", n) for n in THREE],
    ),
}


@pytest.mark.parametrize("name", MEETINGS)
async def test_two_batches_that_meet_do_not_wait_for_each_other(
    database: Database, opened: Opened, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    dsn = f"{database.dsn}&deadlock_timeout=50ms"
    one, two = await opened.store(dsn=dsn), await opened.store(dsn=dsn)
    meeting = MEETINGS[name]
    await ask(one, *(recorded(f"t{n}/{who}") for n in THREE for who in "ab"))
    await ask(one, *(recorded(f"t1/{who}{n}") for n in THREE for who in "ab"))
    stranger = await opened.connection()
    monkeypatch.setattr(TryAgain, "times_max", 1)  # A deadlock would be told.
    async with holding(stranger, meeting.held):
        first = asyncio.ensure_future(ask(one, *meeting.one))
        await until_waiting(database, 1)
        second = asyncio.ensure_future(ask(two, *meeting.backwards))
        await until_waiting(database, 2)
    await asyncio.gather(first, second)

    assert audit(await one.contents()) == []
