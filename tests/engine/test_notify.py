"""The sinks hear everything, in order, at least once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from house import House, keyed, recorded

from contraflow.domain import commands as c
from contraflow.engine.intake import submit
from contraflow.engine.limits import DELIVER_MAX
from contraflow.errors import OperationalError
from contraflow.store.sqlite import IDLE_MS

Build = Callable[..., House]


class Listener:
    """A sink that can be down."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[int] = []
        self.bodies: list[bytes] = []
        self.calls = 0
        self.fails_at: int | None = None  # The position that it cannot take.
        self.flushed = 0
        self.cannot_flush = False

    def deliver(self, position: int, body: bytes) -> None:
        self.calls += 1
        if position == self.fails_at:
            raise OperationalError
        self.heard.append(position)
        self.bodies.append(body)

    def flush(self) -> None:
        if self.cannot_flush:
            raise OperationalError
        self.flushed = self.heard[-1]


@pytest.fixture
def first() -> Listener:
    return Listener("first")


@pytest.fixture
def second() -> Listener:
    return Listener("second")


@pytest.fixture
def house(build: Build, first: Listener, second: Listener) -> House:
    house = build()
    house.parts.sinks = [first, second]
    return house.start()


def positions(house: House) -> list[int]:
    return [position for position, *_ in house.contents().events]


def test_what_a_sink_could_not_keep_is_told_again(house: House, first: Listener) -> None:
    first.cannot_flush = True
    house.paid()
    house.run_for(1)
    told = sorted(set(first.heard))
    assert told == positions(house)
    first.cannot_flush = False
    house.run_for(2 * IDLE_MS)

    assert first.heard[-len(told) :] == told
    assert first.flushed == told[-1]
    assert house.parts.counts["sink_first_down"] > 0
    count = len(first.heard)
    house.run_for(2 * IDLE_MS)
    assert len(first.heard) == count


def test_every_event_is_told_in_order_and_as_it_is_stored(house: House, first: Listener) -> None:
    house.paid()
    house.refund()
    house.run_for(1_000)

    assert first.heard == positions(house)
    assert first.bodies == [body for *_, body in house.contents().events]


def test_nothing_is_told_twice_to_who_has_heard_it(house: House, first: Listener) -> None:
    for number in range(5):
        house.paid(f"pay_{number}")
        house.run_for(1_000)
    house.restart()
    house.parts.sinks = [first]
    house.run_for(IDLE_MS)

    assert first.heard == positions(house)


def test_a_sink_that_is_down_keeps_its_place_and_delays_no_other(
    house: House, first: Listener, second: Listener
) -> None:
    first.fails_at = 2
    for number in range(4):
        house.paid(f"pay_{number}")
    house.run_for(1)
    assert first.heard == [1]
    assert second.heard == [1, 2, 3, 4]
    assert house.parts.counts["sink_first_down"] >= 1
    first.fails_at = None
    house.paid("pay_9")
    house.run_for(1)

    assert first.heard == second.heard == [1, 2, 3, 4, 5]


def test_a_sink_that_is_down_is_called_again_although_nothing_happens(
    house: House, first: Listener
) -> None:
    first.fails_at = 1
    house.paid()
    house.run_for(1)
    first.fails_at = None
    house.run_for(IDLE_MS)

    assert first.heard == [1]


def test_a_sink_that_is_down_is_not_called_without_a_pause(house: House, first: Listener) -> None:
    first.fails_at = 1
    house.paid()
    house.run_for(IDLE_MS)

    assert first.calls <= 4


def test_what_was_told_and_not_noted_is_told_again(house: House, first: Listener) -> None:
    """A crash between the telling and the note of it."""
    house.paid()
    house.run_for(1)
    house.store.connection.execute("UPDATE cursor SET position = 0 WHERE sink = 'first'").fetchall()
    house.paid("pay_2")
    house.run_for(1)

    assert first.heard == [1, 1, 2]


def test_more_events_than_one_step_holds_are_told_without_waiting(
    build: Build, first: Listener
) -> None:
    house = build().start()
    house.parts.sinks = [first]
    house.run_for(1)
    for number in range(DELIVER_MAX + 20):
        house.spawn(submit(house.parts.intake, recorded(f"main/pay_{number}")))
    house.run_for(1)  # All of them are one batch, and one ring.

    assert len(first.heard) == DELIVER_MAX + 20


def test_a_new_sink_hears_everything_from_the_beginning(house: House) -> None:
    house.paid()
    house.ask(keyed(c.SwitchHold, scope="all", is_on=True))
    house.restart()
    late = Listener("late")
    house.parts.sinks = [late]
    house.run_for(1)

    assert late.heard == positions(house)
