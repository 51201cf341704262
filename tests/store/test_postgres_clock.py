"""The time of a store is the server's, however wrong the clock of this machine may be."""

from __future__ import annotations

import time

import pytest
from contract.stores.samples import save
from store.databases import Database, Opened

from contraflow.domain.decision import Receipt
from contraflow.errors import StoreUnwritable
from contraflow.store import postgres_opening
from contraflow.store.postgres_clock import JUMP_MS_MAX, ROUND_TRIP_MS_MAX, ServerClock
from contraflow.store.postgres_trouble import ClockJumped

SERVER = "SELECT contraflow.clock_ms()"
CLOSE_MS = 200
YEAR_MS = 366 * 24 * 3_600_000
WRONG_CLOCK = """
CREATE OR REPLACE FUNCTION contraflow.clock_ms() RETURNS bigint LANGUAGE sql VOLATILE
    AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + {ahead} $$
"""


async def test_a_store_knows_the_time_of_its_server(opened: Opened) -> None:
    store = await opened.store()
    for _ in range(5):
        before = await opened.database.value(SERVER)
        now = store.now()
        after = await opened.database.value(SERVER)

        assert before - CLOSE_MS < now < after + CLOSE_MS


async def test_the_clock_of_this_machine_is_not_asked(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 5.0)
    monkeypatch.setattr(time, "time_ns", lambda: 5)
    store = await opened.store()
    loaded = await save(store)

    assert abs(store.now() - await opened.database.value(SERVER)) < CLOSE_MS
    assert abs(loaded.now - store.now()) < CLOSE_MS


@pytest.mark.parametrize("ahead", [YEAR_MS, -YEAR_MS])
async def test_a_server_is_believed(own: Database, opened_own: Opened, ahead: int) -> None:
    """It was wrong when the store was opened, and is set right while it works."""
    wall_ms = time.time_ns() // 1_000_000
    await own.execute(WRONG_CLOCK.format(ahead=ahead))
    store = await opened_own.store()
    loaded = await save(store, receipts=[Receipt("acme/k", bytes(32), b"")])
    assert abs(store.now() - (wall_ms + ahead)) < 10_000
    assert abs(loaded.now - (wall_ms + ahead)) < 10_000
    await own.execute(WRONG_CLOCK.format(ahead=0))
    loaded = await save(store)

    assert abs(loaded.now - wall_ms) < 10_000
    assert abs(store.now() - wall_ms) < 10_000


async def test_two_processes_have_the_same_time(opened: Opened) -> None:
    one, two = await opened.store(), await opened.store()

    assert abs(one.now() - two.now()) < CLOSE_MS


async def test_a_batch_is_not_before_the_one_that_it_has_seen(opened: Opened) -> None:
    one, two = await opened.store(), await opened.store()
    times = []
    for number in range(10):
        store = (one, two)[number % 2]
        times.append((await save(store, receipts=[Receipt(f"k{number}", bytes(32), b"")])).now)

    assert times == sorted(times)


async def test_a_given_clock_stands_for_the_servers(opened: Opened) -> None:
    """As in the replay of a file."""
    times = iter([1_000, 1_000, 2_000, 500, 3_000])
    latest = [0]

    def clock() -> int:
        latest[0] = next(times, latest[0])
        return latest[0]

    store = await opened.store(clock)
    seen = [(await save(store)).now for _ in range(3)]

    assert seen == sorted(seen)
    assert max(seen) <= 3_000


async def test_a_server_that_never_answers_in_time_is_told(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(0, 10**9, 10 * ROUND_TRIP_MS_MAX))
    monkeypatch.setattr(ServerClock, "monotonic", staticmethod(lambda: next(ticks)))
    monkeypatch.setattr(postgres_opening, "TIME_QUESTIONS_MAX", 3)

    with pytest.raises(StoreUnwritable, match="too slowly"):
        await opened.store()


# The clock by itself.


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Milliseconds since this machine was started, in a test's hand."""
    ticks = [50]
    monkeypatch.setattr(ServerClock, "monotonic", staticmethod(lambda: ticks[0]))
    return ticks


def test_an_answer_is_taken_to_be_as_old_as_its_question(ticks: list[int]) -> None:
    clock = ServerClock()
    assert not clock.is_set
    ticks[0] = 90
    assert clock.note(1_000, asked_at=50) == 1_000

    assert clock.is_set
    assert clock.now() == 1_040
    ticks[0] = 100
    assert clock.now() == 1_050


def test_an_answer_that_took_too_long_says_nothing(ticks: list[int]) -> None:
    clock = ServerClock()
    clock.note(1_000, asked_at=50)
    ticks[0] = 50 + ROUND_TRIP_MS_MAX + 1
    assert clock.note(1_900, asked_at=50) == 1_900

    assert clock.now() == 1_000 + ROUND_TRIP_MS_MAX + 1


@pytest.mark.usefixtures("ticks")
def test_a_clock_that_was_set_forward_is_noticed() -> None:
    clock = ServerClock()
    clock.note(1_000, asked_at=50)
    with pytest.raises(ClockJumped):
        clock.note(1_001 + JUMP_MS_MAX, asked_at=50)

    assert clock.has_jumped
    assert clock.note(1_001 + JUMP_MS_MAX, asked_at=50) == clock.now() == 1_001 + JUMP_MS_MAX


def test_a_jump_is_noticed_also_by_a_slow_answer_that_says_no_more(ticks: list[int]) -> None:
    clock = ServerClock()
    clock.note(1_000, asked_at=50)
    ticks[0] = 50 + ROUND_TRIP_MS_MAX + 1
    with pytest.raises(ClockJumped):
        clock.note(9_000, asked_at=50)

    assert clock.now() == 1_000 + ROUND_TRIP_MS_MAX + 1


@pytest.mark.usefixtures("ticks")
def test_a_clock_that_runs_a_little_fast_or_is_set_back_is_believed() -> None:
    clock = ServerClock()
    for server_ms in (1_000_000, 1_000_000 + JUMP_MS_MAX, 5_000):
        assert clock.note(server_ms, asked_at=50) == clock.now() == server_ms
    assert not clock.has_jumped


def test_the_time_that_a_machine_was_asleep_counts() -> None:
    """Not CLOCK_MONOTONIC, which stands still then."""
    assert abs(ServerClock.monotonic() - time.clock_gettime(time.CLOCK_BOOTTIME) * 1_000) < 1_000
