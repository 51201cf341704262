"""The answer to a COMMIT is lost: the marker says what became of it, and nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from contract.stores.samples import PAYMENT, commit_of
from msgspec.structs import replace
from store.asking import accepted, ask, ask_one, marked, recorded, refund_of, until
from store.bad_road import Road, bad_road
from store.databases import Database, Opened

from contraflow.domain.decision import Told
from contraflow.domain.lifecycle import State
from contraflow.engine.audit import audit
from contraflow.store import Commit, Loaded, postgres
from contraflow.store.postgres import PostgresStore

pytestmark = pytest.mark.slow

# A server that takes its time inside of COMMIT: before the commit is written, or while it is.
SLOW_TRIGGER = """
CREATE FUNCTION contraflow.slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.15);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON contraflow.commit_marker
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NOT NEW.is_dead)
    EXECUTE FUNCTION contraflow.slow()
"""
PACES = {
    "at its pace": "",
    "slow to write": "&commit_delay=100000&commit_siblings=0",
    "slow to decide": "trigger",
}


@dataclass(slots=True)
class Planned:
    """Makes one payment each time that it is asked what to do."""

    name: str
    times: int = 0
    seen: list[Loaded] = field(default_factory=list)

    def __call__(self, loaded: Loaded) -> Commit:
        self.times += 1
        self.seen.append(loaded)
        name = f"acme/{self.name}_{self.times}"
        return commit_of(payments=[replace(PAYMENT, payment_id=name)])


@asynccontextmanager
async def far(opened: Opened, pace: str = "") -> AsyncIterator[tuple[Road, PostgresStore]]:
    """A store at the other end of a bad road."""
    database = opened.database
    if pace == "trigger":
        await database.execute(SLOW_TRIGGER)
        pace = ""
    async with bad_road(database.dsn, database.socket) as (road, dsn):
        store = await opened.store(dsn=dsn + pace)
        try:
            yield road, store
        finally:
            opened.stores.remove(store)
            await store.close()
            await database.execute("DROP FUNCTION IF EXISTS contraflow.slow CASCADE")


async def markers(database: Database) -> dict[bool, int]:
    """How many are alive and dead."""
    rows = await database.ask("SELECT is_dead, count(*) FROM commit_marker GROUP BY is_dead")
    return {bool(is_dead): count for is_dead, count in rows}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "RECONNECT_S", 0.02)


@pytest.mark.parametrize("pace", PACES.values(), ids=PACES)
@pytest.mark.parametrize(
    "questions",
    [[], ["answer is lost", "never arrives", "answer is lost"]],
    ids=["told at once", "told at last"],
)
@pytest.mark.parametrize("what", ["answer is lost", "arrives late"])
async def test_what_was_committed_is_not_decided_again(
    opened: Opened, pace: str, what: str, questions: list[str]
) -> None:
    """Also where the old backend is still inside of COMMIT when it is asked about."""
    async with far(opened, pace) as (road, store):
        road.at_commit.append(what)
        road.at_question.extend(questions)
        plan = Planned("pay")
        commit = await store.commit([], plan)
        stored = await store.contents()

    assert road.seen == [what, *questions]
    assert plan.times == 1
    assert [payment.payment_id for payment in commit.payments] == list(stored.payments)
    assert await markers(opened.database) == {False: 1}


@pytest.mark.parametrize(
    "questions",
    [[], ["answer is lost", "never arrives", "answer is lost"]],
    ids=["told at once", "told at last"],
)
async def test_what_was_not_committed_is_decided_again_once(
    opened: Opened, questions: list[str]
) -> None:
    async with far(opened) as (road, store):
        road.at_commit.append("never arrives")
        road.at_question.extend(questions)
        plan = Planned("pay")
        commit = await store.commit([], plan)
        stored = await store.contents()

    assert road.seen == ["never arrives", *questions]
    assert plan.times == 2
    assert [p.payment_id for p in commit.payments] == list(stored.payments) == ["acme/pay_2"]
    assert await markers(opened.database) == {True: 1, False: 1}


@pytest.mark.parametrize("pace", PACES.values(), ids=PACES)
async def test_where_nobody_knows_the_marker_does(opened: Opened, pace: str) -> None:
    """The server learns of the end of the connection in the middle of its COMMIT."""
    async with far(opened, pace) as (road, store):
        for number in range(3):
            road.at_commit.append("both ends break")
            plan = Planned(f"pay_{number}")
            commit = await store.commit([], plan)
            stored = await store.contents()
            mine = [name for name in stored.payments if name.startswith(f"acme/pay_{number}_")]
            assert [payment.payment_id for payment in commit.payments] == mine
    dead = (await markers(opened.database)).get(True, 0)

    assert await markers(opened.database) == ({False: 3, True: dead} if dead else {False: 3})


async def test_a_dead_batch_stays_dead_when_its_commit_comes_at_last(opened: Opened) -> None:
    """The old backend waits for the marker that was written in its place, or it was first."""
    async with far(opened) as (road, store):
        for number in range(5):
            road.at_commit.extend(["never arrives", "arrives late"])
            await store.commit([], Planned(f"pay_{number}"))
        stored = await store.contents()

    assert len(stored.payments) == 5
    assert await markers(opened.database) == {True: 5, False: 5}


@pytest.mark.parametrize("what", ["answer is lost", "never arrives", "arrives late"])
async def test_a_request_is_answered_as_if_nothing_had_been(opened: Opened, what: str) -> None:
    async with far(opened, "&commit_delay=100000&commit_siblings=0") as (road, store):
        await ask(store, recorded())
        road.at_commit.append(what)
        answer = await ask_one(store, refund_of(minor=400))
        contents = await store.contents()

    assert isinstance(answer, Told)
    assert not answer.is_replayed
    assert contents.payments["main/pay_1"].reserved == 400
    assert audit(contents) == []


@pytest.mark.parametrize("what", ["answer is lost", "never arrives", "arrives late"])
async def test_a_mark_is_never_stale_by_its_own_doing(opened: Opened, what: str) -> None:
    """A mark that was committed and then refused would be an attempt that nobody makes."""
    async with far(opened, "&commit_delay=100000&commit_siblings=0") as (road, store):
        await ask(store, recorded())
        [instruction] = accepted(await ask_one(store, refund_of())).instructions
        road.at_commit.append(what)
        answer = await ask_one(store, marked(instruction))
        contents = await store.contents()

    [sent] = accepted(answer).instructions
    assert contents.instructions == {sent.instruction_id: sent}
    assert (sent.state, sent.attempt) == (State.SENT, 1)
    assert audit(contents) == []


async def test_many_commits_on_a_bad_road_have_one_effect_each(opened: Opened) -> None:
    plays = ["arrives", "answer is lost", "never arrives", "arrives late", "both ends break"]
    async with far(opened) as (road, store):
        await ask(store, recorded(minor=100_000))
        road.at_commit.extend(plays * 4)
        road.at_question.extend(["arrives", "answer is lost", "never arrives"] * 5)
        for _ in range(15):
            accepted(await ask_one(store, refund_of(minor=1_000)))
        contents = await store.contents()

    assert contents.payments["main/pay_1"].reserved == 15_000
    assert len(contents.receipts) == 16
    assert audit(contents) == []


async def test_nobody_is_told_anything_while_nobody_can_know(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than a request may wait for a server: it may have been committed."""
    monkeypatch.setattr(postgres, "OUTAGE_S_MAX", 0.1)
    async with far(opened) as (road, store):
        road.at_commit.append("answer is lost")
        road.at_question.extend(["never arrives"] * 30)
        plan = Planned("pay")
        asked = asyncio.ensure_future(store.commit([], plan))
        await until(lambda: len(road.seen) > 20)
        assert not asked.done()
        await asked

    assert plan.times == 1
    assert await markers(opened.database) == {False: 1}
