"""What is due is given to one process at a time, and claiming it stands in nobody's way."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from contract.stores.samples import CHANNELS, PAYMENT, Clock, names, reaching, save, waiting
from msgspec.structs import replace
from store.asking import (
    accepted,
    ask,
    ask_one,
    holding,
    marked,
    recorded,
    refund_of,
    refused,
    until_waiting,
)
from store.databases import Opened

from contraflow.domain.decision import Accepted
from contraflow.domain.lifecycle import State
from contraflow.engine.audit import audit
from contraflow.errors import ErrorCode
from contraflow.store.postgres import CLAIM_MS, PostgresStore

COUNT = 60


async def fill(store: PostgresStore, count: int = COUNT) -> None:
    rows = [waiting(f"i{n:03}", due_at=n) for n in range(count)]
    await save(store, payments=[PAYMENT], instructions=rows)


async def test_two_processes_never_get_the_same(opened: Opened) -> None:
    clock = Clock()
    stores = [await opened.store(clock) for _ in range(4)]
    await fill(stores[0])
    asked = (store.due("rail", 7) for _ in range(4) for store in stores)
    given = [instruction for part in await asyncio.gather(*asked) for instruction in part]

    assert Counter(names(given)) == Counter(f"i{n:03}" for n in range(COUNT))


async def test_a_claim_is_over_after_a_while(opened: Opened) -> None:
    """With another fence, so that whoever slept over it finds its own stale."""
    clock = Clock()
    one, two = await opened.store(clock), await opened.store(clock)
    await fill(one, 1)
    [first] = await one.due("rail", 9)
    clock.at += CLAIM_MS - 1
    assert await two.due("rail", 9) == []
    assert await one.next_due(CHANNELS) == clock.at + 1
    clock.at += 1
    [second] = await two.due("rail", 9)
    assert await one.due("rail", 9, {first.fence}) == []
    clock.at += CLAIM_MS
    [third] = await one.due("rail", 9, {first.fence})

    assert first.due_at == 1_000 + CLAIM_MS
    assert len({first.fence, second.fence, third.fence}) == 3
    assert replace(third, lease=0, due_at=0) == replace(first, lease=0, due_at=0)


async def test_a_mark_of_who_slept_over_its_claim_is_stale(opened: Opened) -> None:
    one, two = await opened.store(), await opened.store()
    await ask(one, recorded())
    await ask(one, refund_of())
    [slow] = await one.due("sandbox", 9)
    await opened.database.execute("UPDATE instruction SET due_at = 0")
    [quick] = await two.due("sandbox", 9)

    assert refused(await ask_one(one, marked(slow))).code is ErrorCode.LEASE_STALE
    assert accepted(await ask_one(two, marked(quick))).instructions[0].state is State.SENT
    assert audit(await one.contents()) == []


async def test_a_claimed_instruction_can_be_marked_by_its_claimant_alone(opened: Opened) -> None:
    one = await opened.store()
    await ask(one, recorded())
    [born] = accepted(await ask_one(one, refund_of())).instructions
    [claimed] = await one.due("sandbox", 9)

    assert refused(await ask_one(one, marked(born))).code is ErrorCode.LEASE_STALE
    [sent] = accepted(await ask_one(one, marked(claimed))).instructions
    assert sent.state is State.SENT


async def test_what_a_batch_has_in_its_hands_is_passed_over(opened: Opened) -> None:
    store, other = await opened.store(), await opened.connection()
    await fill(store, 3)
    locked = "SELECT * FROM instruction WHERE instruction_id = 'acme/i001' FOR NO KEY UPDATE"
    async with holding(other, locked), asyncio.timeout(1):
        assert names(await store.due("rail", 9)) == ["i000", "i002"]

    assert names(await store.due("rail", 9)) == ["i001"]


async def test_a_batch_waits_for_a_claim_and_then_sees_it(opened: Opened) -> None:
    store, other = await opened.store(), await opened.connection()
    await fill(store, 1)
    [seen] = (await store.contents()).instructions.values()
    claim = "UPDATE instruction SET version = version + 1, lease = lease + 1 RETURNING *"
    await other.execute("BEGIN")
    await other.fetch(claim)
    asked = asyncio.ensure_future(save(store, reaching(seen)))
    await until_waiting(opened.database, 1)
    await other.execute("COMMIT")
    [loaded] = (await asked).instructions.values()

    assert loaded.lease == seen.lease + 1


async def test_a_payment_that_is_locked_keeps_nobody_from_claiming(opened: Opened) -> None:
    store, other = await opened.store(), await opened.connection()
    await fill(store, 3)
    async with holding(other, "SELECT * FROM payment FOR UPDATE"), asyncio.timeout(1):
        assert len(await store.due("rail", 9)) == 3


async def test_the_same_payments_and_parked_facts_may_be_given_to_two(opened: Opened) -> None:
    """They are not claimed: whoever is second finds nothing to do."""
    clock = Clock()
    one, two = await opened.store(clock), await opened.store(clock)
    unpaid = replace(PAYMENT, state="pending", expires_at=5)
    await save(one, payments=[unpaid])

    assert await one.due_payments(CHANNELS, 9) == await two.due_payments(CHANNELS, 9)


@pytest.mark.slow
async def test_a_crowd_marks_everything_once(opened: Opened) -> None:
    """Claims by four processes beside batches that change the same instructions."""
    stores = [await opened.store() for _ in range(4)]
    await ask(stores[0], *(recorded(f"main/pay_{n}", 100) for n in range(40)))
    for _ in range(5):
        await ask(stores[0], *(refund_of(f"main/pay_{n}", 10) for n in range(40)))
    chance, sent = random.Random(4), Counter[str]()

    async def work(store: PostgresStore) -> None:
        while due := await store.due("sandbox", 6):
            chance.shuffle(due)
            marks = [marked(each, store.now()) for each in due]
            more = [refund_of(f"main/pay_{chance.randrange(40)}", 1) for _ in range(3)]
            answers = await ask(store, *marks, *more)
            for answer in answers[: len(marks)]:
                assert isinstance(answer, Accepted), "nobody else had it"
                sent.update(i.instruction_id for i in answer.instructions)
            if sent.total() > 300:
                return

    await asyncio.gather(*(work(store) for store in stores))
    contents = await stores[0].contents()

    assert set(sent.values()) == {1}
    assert sent.total() >= 200
    assert audit(contents) == []
