"""A value that PostgreSQL cannot store is refused by name, and what is beside it goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from contract.stores.samples import (
    CASE,
    CHANNELS,
    PARKED,
    PAYMENT,
    REFUND,
    Clock,
    fill,
    refund,
    rows_of,
    save,
)
from msgspec.structs import replace
from store.asking import accepted, ask, keyed, recorded, refund_of, refused, switched
from store.databases import Opened

from contraflow.domain import commands as c
from contraflow.domain import observation as told
from contraflow.domain import outcome as said
from contraflow.domain.cases import CaseKind, open_case
from contraflow.domain.commands import Command, Line
from contraflow.domain.decision import Answer, Receipt
from contraflow.domain.money import Money
from contraflow.engine import loops
from contraflow.engine.audit import audit
from contraflow.engine.intake import submit
from contraflow.engine.parts import Parts
from contraflow.errors import ChannelUnreachable, ErrorCode, ValueRefused
from contraflow.outside.event_loop import EventLoop
from contraflow.settings import Settings
from contraflow.store import Record
from contraflow.store.postgres import PostgresStore
from contraflow.wire.exchange import Reply, Request
from contraflow.wiring import assemble

# More than a page of an index holds, and too much by chance to be made smaller.
LONG = "".join(random.Random(1).choices([chr(n) for n in range(0x4E00, 0x9000)], k=10_000))
STRANGE = {"zero byte": "a\0b", "half a character": "\ud800", "10,000 characters": LONG}


@pytest.mark.parametrize(
    "parts",
    [
        {"payments": [replace(PAYMENT, payment_id="acme/p\0")]},
        {"payments": [replace(PAYMENT, payment_id="acme/p", labels='{"a":"\0"}')]},
        {"payments": [replace(PAYMENT, payment_id="acme/p", reference="\ud800")]},
        {"payments": [replace(PAYMENT, payment_id=f"acme/{LONG}")]},
        {"payments": [replace(PAYMENT, payment_id="acme/p", expires_at=2**63)]},
        {"instructions": [replace(REFUND, instruction_id="acme/r", number="\0")]},
        {"instructions": [replace(REFUND, instruction_id="acme/r", number=LONG)]},
        {"instructions": [replace(REFUND, instruction_id="acme/r", number="N", lease=2**64)]},
        {"receipts": [Receipt("acme/\0", bytes(32), b"")]},
        {"receipts": [Receipt(f"acme/{LONG}", bytes(32), b"")]},
        {"records": [Record("acme/\0", 1, b"")]},
        {"records": [Record(LONG, 1, b"")]},
        {"records": [Record("acme/x", 2**63, b"")]},
        {"cases": [replace(CASE, case_id="x", detail="\0")]},
        {"parked": [replace(PARKED, notice_id="\0")]},
        {"parked": [replace(PARKED, notice_id=LONG)]},
        {"holds": [("merchant:\0", True)]},
        {"lines": [(Line(LONG, 1), "ok")]},
        {"lines": [(Line("file", 2**63), "ok")]},
    ],
    ids=lambda parts: next(iter(parts)),
)
async def test_a_value_that_cannot_be_stored_changes_nothing(
    opened: Opened, parts: dict[str, Any]
) -> None:
    store = await opened.store()
    await fill(store)
    before = await rows_of(store)
    beside = {"receipts": [Receipt("acme/k", bytes(32), b"")]} | parts

    with pytest.raises(ValueRefused):
        await save(store, **beside)
    assert await rows_of(store) == before
    await save(store, receipts=[Receipt("acme/k", bytes(32), b"")])


@pytest.mark.parametrize("name", [*STRANGE.values(), "\0"], ids=[*STRANGE, "only a zero byte"])
async def test_a_name_that_cannot_be_asked_for_is_refused_or_not_found(
    opened: Opened, name: str
) -> None:
    store = await opened.store()
    try:
        loaded = await save(store, refund(key=name, payment_id=name))
    except ValueRefused:
        return

    assert dict(loaded.payments) == dict(loaded.receipts) == {}


async def test_a_bytes_value_may_be_anything(opened: Opened) -> None:
    body = bytes(range(256)) * 5_000
    store = await opened.store()
    await save(store, receipts=[Receipt("acme/k", bytes(32), body)], records=[Record("x", 1, body)])
    contents = await store.contents()

    assert contents.receipts["acme/k"].body == body
    assert contents.events == [(0, "x", 1, body)]


async def test_a_parked_fact_with_a_zero_byte_stops_nothing(opened: Opened) -> None:
    """Its channel said so; JSON can say it, and what reads JSON in the database cannot."""
    clock = Clock()
    store = await opened.store(clock)
    strange = said.Evidence(said.Proof.SIGNATURE, "ok", message="a\0b")
    parked = replace(PARKED, observation=replace(PARKED.observation, evidence=strange))
    try:
        await save(store, parked=[replace(PARKED, notice_id="n2"), parked])
    except ValueRefused:
        await save(store, parked=[replace(PARKED, notice_id="n2")])
    aside = open_case(CaseKind.QUARANTINED, object_id="acme/pay_2", cause="1", now=1)
    await save(store, cases=[aside])
    due = await store.due_parked(CHANNELS, 10)

    assert replace(PARKED, notice_id="n2") in due
    assert await store.next_due(CHANNELS) == PARKED.due_at


# Through the engine: a whole one, in real time.


class Nowhere:
    async def send(self, request: Request, leave_by: int) -> Reply:
        raise ChannelUnreachable(f"{request.url} before {leave_by}")


@asynccontextmanager
async def engine(store: PostgresStore) -> AsyncIterator[Parts]:
    async with asyncio.TaskGroup() as group:
        runtime = EventLoop(group)
        parts = assemble(Settings(sinks={}), store, runtime, Nowhere(), {"key": "5a" * 32})
        loops.start(parts)
        try:
            yield parts
        finally:
            runtime.stop()


async def all_at_once(parts: Parts, commands: list[Command]) -> list[Answer]:
    return await asyncio.gather(*(submit(parts.intake, command) for command in commands))


@pytest.mark.slow
@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
async def test_one_strange_request_stops_none_of_a_thousand(opened: Opened, strange: str) -> None:
    store = await opened.store()
    await ask(store, switched("all"), *(recorded(f"main/pay_{n}", 10_000) for n in range(100)))
    good: list[Command] = [refund_of(f"main/pay_{n % 100}", 10) for n in range(1_000)]
    bad = recorded(f"main/{strange}", instrument=strange)
    async with engine(store) as parts:
        answers = await all_at_once(parts, [*good[:617], bad, *good[617:]])
    contents = await store.contents()

    assert refused(answers.pop(617)).code is ErrorCode.VALUE_REFUSED
    assert all(accepted(answer).instructions for answer in answers)
    assert len(contents.instructions) == 1_000
    assert {payment.reserved for payment in contents.payments.values()} == {100}
    assert audit(contents) == []


@pytest.mark.slow
async def test_a_strange_label_is_refused_and_its_key_stays_free(opened: Opened) -> None:
    store = await opened.store()
    await ask(store, switched("all"), recorded())
    async with engine(store) as parts:
        bad = refund_of(minor=1, key="k", labels='{"reason":"\0"}')
        answers = await all_at_once(parts, [refund_of(minor=2), bad, refund_of(minor=3)])
        again = await submit(parts.intake, refund_of(minor=4, key="k"))

    assert [refused(answers[1]).code, accepted(again).instructions[0].minor] == [
        ErrorCode.VALUE_REFUSED,
        4,
    ]
    assert (await store.contents()).payments["main/pay_1"].reserved == 9


@pytest.mark.slow
@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
async def test_a_strange_fact_sets_its_payment_aside_and_no_other(
    opened: Opened, strange: str
) -> None:
    store = await opened.store()
    await ask(store, switched("all"), *(recorded(f"main/pay_{n}") for n in range(3)))
    fact = told.Captured("main/pay_1", strange, Money(1, "GBP"))
    bad = c.RecordFact(channel="sandbox", observation=told.Observation("evt", fact))
    async with engine(store) as parts:
        commands = [refund_of("main/pay_0", 1), bad, refund_of("main/pay_2", 1)]
        answers = await all_at_once(parts, commands)
        later = await all_at_once(parts, [refund_of("main/pay_1", 1), refund_of("main/pay_2", 1)])
    contents = await store.contents()
    aside = [each for each in contents.cases.values() if each.kind is CaseKind.QUARANTINED]

    assert refused(answers[1]).code is ErrorCode.VALUE_REFUSED
    assert accepted(answers[0]).instructions
    assert accepted(answers[2]).instructions
    assert [case.object_id for case in aside] == ["main/pay_1"]
    assert refused(later[0]).code is ErrorCode.QUARANTINED
    assert accepted(later[1]).instructions
    assert audit(contents) == []


@pytest.mark.slow
@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
async def test_a_fact_about_a_strange_name_does_not_stop_the_process(
    opened: Opened, strange: str
) -> None:
    """There is no case of it, since its name cannot be stored; the rest goes on."""
    store = await opened.store()
    await ask(store, switched("all"), recorded())
    fact = told.Captured(f"main/{strange}", "x", Money(1, "GBP"))
    bad = c.RecordFact(channel="sandbox", observation=told.Observation("evt", fact))
    async with engine(store) as parts:
        answers = await all_at_once(parts, [bad, refund_of(minor=1)])

    assert refused(answers[0]).code is ErrorCode.VALUE_REFUSED
    assert accepted(answers[1]).instructions


async def test_a_withdrawal_of_a_strange_name_is_refused(opened: Opened) -> None:
    store = await opened.store()
    with pytest.raises(ValueRefused):
        await ask(store, keyed(c.WithdrawReversal, instruction_id="main/\0"))
