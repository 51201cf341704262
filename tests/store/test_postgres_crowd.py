"""Many processes do everything to the same payments at once: no deadlock, and books that add up."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from store.asking import ask, keyed, marked, recorded, refund_of, switched, until
from store.databases import Database, Opened

from contraflow.domain import commands as c
from contraflow.domain import observation as told
from contraflow.domain import outcome as said
from contraflow.domain.decision import Accepted, Receipt, Told
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import State
from contraflow.domain.money import Money
from contraflow.engine.audit import audit
from contraflow.store.postgres import PostgresStore

TENANTS = 10  # With three accounts each.
PAYMENTS = [f"t{tenant}/pay_{n}" for tenant in range(TENANTS) for n in range(4)]
BATCH_MAX = 8
SECONDS = 2.0
PROVEN = said.Evidence(said.Proof.SIGNATURE, "ok")

pytestmark = pytest.mark.slow


@dataclass(slots=True)
class Worker:
    """One process: batches of whatever comes to its mind, in an order that is nobody's."""

    store: PostgresStore
    chance: random.Random
    told: dict[str, Receipt] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    known: list[Instruction] = field(default_factory=list)

    async def run(self, until_s: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < until_s:
            if self.chance.random() < 0.3:
                await self.work_on_what_is_due()
            size = self.chance.randint(1, BATCH_MAX)
            await self.ask([self.something() for _ in range(size)])
            if self.chance.random() < 0.05:
                await self.store.suspect(self.chance.sample(PAYMENTS, 3), is_proven=True)
            if self.chance.random() < 0.2:
                seen = await self.store.undelivered("sink", 50)
                if seen:
                    await self.store.advance("sink", seen[-1][0])

    async def work_on_what_is_due(self) -> None:
        due = await self.store.due("sandbox", 8)
        marks = await self.ask([marked(each, self.store.now()) for each in due])
        sent = [i for mark in marks for i in mark.instructions if i.state is State.SENT]
        self.chance.shuffle(sent)
        await self.ask([self.outcome_of(each) for each in sent])

    def outcome_of(self, sent: Instruction) -> c.Command:
        now = self.store.now()
        outcome: said.Outcome = self.chance.choice(
            [
                said.Succeeded(sent.amount, sent.payment_id, "r", PROVEN),
                said.Declined(said.Retry.NEVER, evidence=PROVEN),
                said.Unknown(),
            ]
        )
        return c.RecordOutcome(fence=sent.fence, outcome=outcome, asked_at=now, again_at=now)

    def something(self) -> c.Command:
        payment_id, minor = self.chance.choice(PAYMENTS), self.chance.randint(1, 300)
        name = f"n{self.chance.randint(0, 400)}"  # Of a fact or a key, so that some come twice.
        amount = Money(minor, "GBP")
        match self.chance.randrange(10):
            case 0:
                fact: told.Fact = told.ChargedBack(payment_id, name, told.Dispute.OPENED, amount)
            case 1:
                fact = told.ChargedBack(payment_id, name, told.Dispute.WON, amount)
            case 2:
                fact = told.RefundedElsewhere(payment_id, name, amount)
            case 3:
                fact = told.Captured(payment_id, name, amount)
            case 4 if self.known:
                fact = told.Answered(self.chance.choice(self.known).number, said.Unknown())
            case 5 if self.known:
                tenant = payment_id.partition("/")[0]
                chosen = self.chance.choice(self.known).instruction_id
                return keyed(c.WithdrawReversal, tenant=tenant, instruction_id=chosen)
            case 6:
                return recorded(f"{payment_id}_{self.chance.randint(0, 20)}", minor)
            case _:
                # The same key often means the same request, and sometimes another one.
                return refund_of(payment_id, minor // 30 + 1, f"{name}_{minor // 30}")
        observation = told.Observation(f"{name}/{minor}", fact, PROVEN)
        return c.RecordFact(channel="sandbox", observation=observation)

    async def ask(self, commands: list[c.Command]) -> list[Accepted]:
        decisions = []
        for start in range(0, len(commands), BATCH_MAX):
            part = commands[start : start + BATCH_MAX]
            for answer in await ask(self.store, *part):
                self.counts["answers"] += 1
                if isinstance(answer, Told):
                    kept = self.told.setdefault(answer.receipt.key, answer.receipt)
                    assert kept == answer.receipt
                decision = answer.decision if isinstance(answer, Told) else answer
                if isinstance(decision, Accepted):
                    self.counts["accepted"] += 1
                    self.known.extend(decision.instructions)
                    decisions.append(decision)
        return decisions


@pytest.mark.parametrize("slots", [(0, 0, 0, 0), (0, 1, 2, 3)], ids=["one slot", "four slots"])
async def test_a_crowd_leaves_the_books_in_order(
    own: Database, opened_own: Opened, slots: tuple[int, ...]
) -> None:
    dsn = f"{own.dsn}&deadlock_timeout=100ms"
    stores = [await opened_own.store(slot=slot, dsn=dsn) for slot in slots]
    await ask(stores[0], *(recorded(payment_id, 3_000) for payment_id in PAYMENTS))
    until_s = asyncio.get_running_loop().time() + SECONDS
    workers = [Worker(store, random.Random(n)) for n, store in enumerate(stores)]
    switching = asyncio.ensure_future(switch_now_and_then(stores[-1]))
    await asyncio.gather(*(worker.run(until_s) for worker in workers))
    await switching
    [last] = [store for store in stores if await store.undelivered("all", 1)][:1]
    contents = await last.contents()
    counts: Counter[str] = sum((worker.counts for worker in workers), Counter())
    rows = await own.ask("SELECT account, slot FROM account")
    await opened_own.close()

    assert counts["accepted"] > 100
    assert audit(contents) == []
    assert [event[0] for event in contents.events] == list(range(1, len(contents.events) + 1))
    for worker in workers:
        assert all(contents.receipts[key] == receipt for key, receipt in worker.told.items())
    assert {slot for _, slot in rows} == set(slots)
    assert len({account for account, _ in rows}) >= 30
    assert await deadlocks(own) == 0


async def switch_now_and_then(store: PostgresStore) -> None:
    for n in range(8):
        await ask(store, switched(f"merchant:t{n % 3}", is_on=n % 2 == 0))
        await asyncio.sleep(SECONDS / 8)


async def deadlocks(database: Database) -> int:
    """As the server counts them, once its sessions have ended and told it."""

    async def have_ended() -> bool:
        question = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        return bool(await database.value(question) == 1)

    await until(have_ended)
    count: int = await database.value(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    return count
