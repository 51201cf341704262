"""Several processes decide about the same things at the same moment, as if one after another."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from store.asking import (
    accepted,
    ask,
    ask_one,
    holding,
    recorded,
    refund_of,
    refused,
    until_waiting,
)
from store.databases import Database, Opened

from contraflow.domain.decision import Refused, Told
from contraflow.engine.audit import audit
from contraflow.errors import ErrorCode, StoreUnwritable
from contraflow.store.postgres_link import SESSION

ALL_ACCOUNTS = "SELECT * FROM account ORDER BY account, currency, slot FOR UPDATE"
ALL_PAYMENTS = "SELECT * FROM payment ORDER BY payment_id FOR UPDATE"


async def test_the_same_request_in_two_processes_at_once_has_one_receipt(opened: Opened) -> None:
    one, two = await opened.store(), await opened.store()
    await ask(one, recorded())
    command = refund_of(minor=400)
    async with holding(await opened.connection(), ALL_PAYMENTS):
        both = asyncio.gather(ask_one(one, command), ask_one(two, command))
        await until_waiting(opened.database, 2)
    first, second = await both
    contents = await one.contents()

    assert isinstance(first, Told)
    assert isinstance(second, Told)
    assert first.receipt == second.receipt
    assert sorted([first.is_replayed, second.is_replayed]) == [False, True]
    assert contents.payments["main/pay_1"].reserved == 400
    assert audit(contents) == []


async def test_a_key_used_for_two_payments_at_once_is_taken_by_one(opened: Opened) -> None:
    """No payment is locked by both, so that only the index of keys can tell."""
    one, two = await opened.store(), await opened.store()
    await ask(one, recorded("main/pay_1"), recorded("main/pay_2"))
    commands = [refund_of(f"main/pay_{n}", minor=100, key="shared") for n in (1, 2)]
    async with holding(await opened.connection(), ALL_ACCOUNTS):
        both = asyncio.gather(ask_one(one, commands[0]), ask_one(two, commands[1]))
        await until_waiting(opened.database, 2)
    answers = await both
    contents = await one.contents()
    told = [answer for answer in answers if isinstance(answer, Told)]
    reused = [answer for answer in answers if isinstance(answer, Refused)]

    assert [refusal.code for refusal in reused] == [ErrorCode.KEY_REUSED]
    assert contents.receipts["main/shared"] == told[0].receipt
    assert sum(payment.reserved for payment in contents.payments.values()) == 100
    assert audit(contents) == []


async def test_a_batch_that_lost_the_race_for_one_key_keeps_all_the_others(opened: Opened) -> None:
    one, two = await opened.store(), await opened.store()
    await ask(one, *(recorded(f"main/pay_{n}") for n in range(21)))
    mine = [refund_of(f"main/pay_{n}", minor=n + 1) for n in range(10)]
    others = [refund_of(f"main/pay_{n}", minor=n + 1) for n in range(10, 20)]
    shared_a = refund_of("main/pay_20", 500, key="shared", for_review=True)
    shared_b = refund_of("main/pay_1", 500, key="shared")
    async with holding(await opened.connection(), ALL_ACCOUNTS):
        both = asyncio.gather(ask(one, *mine, shared_a), ask(two, *others, shared_b))
        await until_waiting(opened.database, 2)
    first, second = await both
    contents = await one.contents()

    assert all(isinstance(answer, Told) for answer in (*first[:10], *second[:10]))
    assert sorted(isinstance(answer, Told) for answer in (first[10], second[10])) == [False, True]
    assert sum(payment.reserved for payment in contents.payments.values()) == 500 + sum(range(21))
    assert audit(contents) == []


async def test_one_payment_never_gives_more_than_it_has(opened: Opened) -> None:
    stores = [await opened.store() for _ in range(4)]
    await ask(stores[0], recorded(minor=1_000))
    async with holding(await opened.connection(), ALL_PAYMENTS):
        asked = asyncio.gather(
            *(ask_one(stores[n % 4], refund_of(minor=300)) for n in range(12)),
        )
        await until_waiting(opened.database, 4)
    codes = Counter(
        answer.decision.code
        if isinstance(answer, Told) and isinstance(answer.decision, Refused)
        else "ok"
        for answer in await asked
    )
    contents = await stores[0].contents()

    assert codes == {"ok": 3, ErrorCode.AMOUNT_EXCEEDS_REFUNDABLE: 9}
    assert contents.payments["main/pay_1"].reserved == 900
    assert audit(contents) == []


async def test_whoever_waited_for_a_payment_sees_all_that_was_done_to_it(opened: Opened) -> None:
    """Its instructions, too: not the new payment with the old children."""
    one, two = await opened.store(), await opened.store()
    await ask(one, recorded())
    async with holding(await opened.connection(), ALL_PAYMENTS):
        first = asyncio.ensure_future(ask_one(one, refund_of(minor=600)))
        await until_waiting(opened.database, 1)
        second = asyncio.ensure_future(ask_one(two, refund_of(minor=600)))
        await until_waiting(opened.database, 2)
    accepted(await first)

    assert refused(await second).code is ErrorCode.AMOUNT_EXCEEDS_REFUNDABLE
    assert refused(await second).detail == "400"


async def test_a_payment_that_two_clients_make_at_once_exists_once(opened: Opened) -> None:
    one, two = await opened.store(), await opened.store()
    await ask(one, recorded("main/pay_0"))
    async with holding(await opened.connection(), ALL_ACCOUNTS):
        both = asyncio.gather(
            ask_one(one, recorded(minor=100)),
            ask_one(two, recorded(minor=200)),
        )
        await until_waiting(opened.database, 2)
    answers = await both
    contents = await one.contents()
    exists = [a for a in answers if isinstance(a, Told) and isinstance(a.decision, Refused)]
    [made] = [a for a in answers if a not in exists]

    assert [refused(answer).code for answer in exists] == [ErrorCode.PAYMENT_EXISTS]
    assert contents.payments["main/pay_1"] == accepted(made).payment
    assert len(contents.receipts) == 3
    assert audit(contents) == []


async def test_a_lock_that_is_not_given_back_is_waited_for_so_often_and_then_told(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SESSION, "lock_timeout", "20ms")
    store = await opened.store()
    await ask(store, recorded())
    async with holding(await opened.connection(), ALL_PAYMENTS):
        with pytest.raises(StoreUnwritable, match="55P03"):
            await ask_one(store, refund_of())
    accepted(await ask_one(store, refund_of()))

    assert audit(await store.contents()) == []


async def test_a_deadlock_with_a_stranger_is_met_by_deciding_again(
    database: Database, opened: Opened
) -> None:
    """Somebody with psql locks what we lock, in another order."""
    store = await opened.store(dsn=f"{database.dsn}&deadlock_timeout=20ms")
    await ask(store, recorded("main/pay_1"), recorded("main/pay_2"))
    stranger = await opened.connection(deadlock_timeout="5s")
    await stranger.execute(
        "BEGIN; SELECT * FROM payment WHERE payment_id = 'main/pay_2' FOR UPDATE"
    )
    asked = asyncio.ensure_future(ask(store, refund_of("main/pay_1"), refund_of("main/pay_2")))
    await until_waiting(database, 1)
    await stranger.execute("SELECT * FROM payment WHERE payment_id = 'main/pay_1' FOR UPDATE")
    await stranger.execute("ROLLBACK")

    assert [accepted(answer).payment is None for answer in await asked] == [False, False]
    assert audit(await store.contents()) == []
