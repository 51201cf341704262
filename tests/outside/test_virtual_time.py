"""Time that moves only when everybody waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contraflow.outside.virtual_time import VirtualTime, first_come, result_of


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


async def note(seen: list[Any], what: Any) -> None:
    seen.append(what)


async def sleep_and_note(
    time: VirtualTime, ms: int, seen: list[tuple[int, str]], what: str
) -> None:
    await time.sleep(ms)
    seen.append((time.now(), what))


# Running


def test_what_never_waits_is_run_to_its_end() -> None:
    async def work() -> int:
        return 7

    assert result_of(work()) == 7


def test_what_waits_is_not_run_as_if_it_did_not(time: VirtualTime) -> None:
    work = time.sleep(1)
    with pytest.raises(AssertionError, match="it waits"):
        result_of(work)
    work.close()


def test_they_go_as_they_come(time: VirtualTime) -> None:
    seen: list[int] = []
    for number in range(5):
        time.spawn(note(seen, number))
    time.run_to(0)

    assert seen == [0, 1, 2, 3, 4]
    assert time.turns == 5


def test_the_order_is_drawn_where_one_is_wished_for() -> None:
    time, seen = VirtualTime(pick=lambda waiting: waiting - 1), list[int]()
    for number in range(5):
        time.spawn(note(seen, number))
    time.run_to(0)

    assert seen == [4, 3, 2, 1, 0]


def test_nobody_goes_first_among_nobody() -> None:
    with pytest.raises(AssertionError):
        first_come(0)


# Time


def test_sleepers_wake_at_their_time_and_in_their_order(time: VirtualTime) -> None:
    seen: list[tuple[int, str]] = []
    for ms, what in [(20, "b"), (10, "a"), (20, "c"), (0, "now"), (-5, "also now")]:
        time.spawn(sleep_and_note(time, ms, seen, what))
    time.run_to(100)

    assert seen == [(0, "now"), (0, "also now"), (10, "a"), (20, "b"), (20, "c")]
    assert time.now() == 100


def test_what_happens_at_the_very_millisecond_has_happened(time: VirtualTime) -> None:
    seen: list[tuple[int, str]] = []
    time.spawn(sleep_and_note(time, 10, seen, "then"))
    time.run_to(9)
    assert seen == []
    time.run_to(10)

    assert seen == [(10, "then")]


def test_time_does_not_move_while_somebody_can_go(time: VirtualTime) -> None:
    times: list[int] = []

    async def busy() -> None:
        for _ in range(1_000):
            ticket = time.ticket()
            time.spawn(fill(ticket))
            await ticket
            times.append(time.now())

    async def fill(ticket: Any) -> None:
        ticket.set_result(None)

    seen: list[tuple[int, str]] = []
    time.spawn(sleep_and_note(time, 1, seen, "later"))
    time.spawn(busy())
    time.run(lambda: bool(seen))

    assert times == [0] * 1_000


def test_it_stops_as_soon_as_what_is_waited_for_is_there(time: VirtualTime) -> None:
    seen: list[tuple[int, str]] = []
    for ms in (10, 20):
        time.spawn(sleep_and_note(time, ms, seen, "x"))
    time.run(lambda: len(seen) == 1)

    assert time.now() == 10


def test_time_never_goes_back(time: VirtualTime) -> None:
    time.run_to(100)
    time.run_to(50)

    assert time.now() == 100


def test_waiting_for_what_nobody_will_bring_is_an_error(time: VirtualTime) -> None:
    async def wait() -> None:
        await time.ticket()

    time.spawn(wait())
    with pytest.raises(AssertionError, match="nobody is to come"):
        time.run(lambda: False)
    time.drop()


# Tickets


def test_a_ticket_brings_its_value_whenever_it_is_filled(time: VirtualTime) -> None:
    seen: list[int] = []
    before, after = time.ticket(), time.ticket()
    before.set_result(1)

    async def wait() -> None:
        seen.append(await before)
        seen.append(await after)

    time.spawn(wait())
    time.run_to(5)
    assert (seen, after.done()) == ([1], False)
    after.set_result(2)
    time.run_to(5)

    assert (seen, after.done()) == ([1, 2], True)


def test_a_ticket_may_bring_an_error(time: VirtualTime) -> None:
    seen: list[str] = []
    ticket = time.ticket()

    async def wait() -> None:
        try:
            await ticket
        except ValueError as error:
            seen.append(str(error))

    time.spawn(wait())
    time.run_to(0)
    ticket.set_exception(ValueError("so it is"))
    time.run_to(0)

    assert seen == ["so it is"]


@pytest.mark.parametrize(
    "fill", [lambda t: t.set_result(2), lambda t: t.set_exception(ValueError())]
)
def test_a_ticket_is_filled_once(time: VirtualTime, fill: Callable[[Any], None]) -> None:
    ticket = time.ticket()
    ticket.set_result(1)
    with pytest.raises(AssertionError):
        fill(ticket)


# A crash


def test_a_crash_ends_all_where_they_stand_and_their_finally_runs(time: VirtualTime) -> None:
    seen: list[str] = []

    async def work(name: str) -> None:
        try:
            await time.sleep(10)
            seen.append(f"{name} went on")
        finally:
            seen.append(f"{name} ended")

    time.spawn(work("a"))
    time.spawn(work("b"))
    time.run_to(5)
    time.drop()
    time.run_to(100)

    assert seen == ["a ended", "b ended"]


def test_what_a_crash_wakes_does_not_go_on(time: VirtualTime) -> None:
    """One that ends fills a ticket on which another waits, and spawns a third."""
    seen: list[str] = []
    ticket = time.ticket()

    async def first() -> None:
        try:
            await time.sleep(10)
        finally:
            ticket.set_result(None)
            third = note(seen, "third")
            time.spawn(third)
            third.close()

    async def second() -> None:
        await ticket
        seen.append("second")

    time.spawn(first())
    time.spawn(second())
    time.run_to(5)
    time.drop()
    time.run_to(100)

    assert seen == []


def test_after_a_crash_time_goes_on_from_where_it_was(time: VirtualTime) -> None:
    seen: list[tuple[int, str]] = []
    time.run_to(50)
    time.drop()
    time.spawn(sleep_and_note(time, 5, seen, "new"))
    time.run_to(100)

    assert seen == [(55, "new")]


def test_an_error_in_one_of_them_comes_out(time: VirtualTime) -> None:
    async def work() -> None:
        raise ValueError("mine")

    time.spawn(work())
    with pytest.raises(ValueError, match="mine"):
        time.run_to(0)
