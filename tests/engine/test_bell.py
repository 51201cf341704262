"""No ring is lost, and alarms do not breed alarms."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from contraflow.engine.bell import Bell
from contraflow.outside.virtual_time import VirtualTime


@pytest.fixture
def runtime() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def bell(runtime: VirtualTime) -> Bell:
    return Bell(runtime)


def woken(runtime: VirtualTime, bell: Bell, waits: Sequence[int | None]) -> list[int]:
    """Begin to wait, one time after the other; the list fills with the times of waking."""
    times: list[int] = []

    async def loop() -> None:
        for ms in waits:
            await bell.wait(ms)
            times.append(runtime.now())

    runtime.spawn(loop())
    return times


def test_a_ring_while_nobody_waits_is_not_lost(runtime: VirtualTime, bell: Bell) -> None:
    bell.ring()
    times = woken(runtime, bell, [None])
    runtime.run_to(0)

    assert times == [0]


def test_several_rings_wake_once(runtime: VirtualTime, bell: Bell) -> None:
    for _ in range(3):
        bell.ring()
    times = woken(runtime, bell, [None, None])
    runtime.run_to(100)

    assert times == [0]


def test_two_rings_before_the_waiter_has_its_turn_wake_once(
    runtime: VirtualTime, bell: Bell
) -> None:
    times = woken(runtime, bell, [None, None])
    runtime.run_to(5)
    bell.ring()
    bell.ring()
    runtime.run_to(100)

    assert times == [5]


def test_it_wakes_at_the_latest_after_a_while(runtime: VirtualTime, bell: Bell) -> None:
    times = woken(runtime, bell, [250])
    runtime.run_to(249)
    assert times == []
    runtime.run_to(250)

    assert times == [250]


def test_without_an_alarm_it_waits_for_ever(runtime: VirtualTime, bell: Bell) -> None:
    times = woken(runtime, bell, [None])
    runtime.run_to(10**9)

    assert times == []
    assert runtime.timers == []


def test_an_earlier_alarm_goes_before_a_later_one(runtime: VirtualTime, bell: Bell) -> None:
    times = woken(runtime, bell, [1_000, 10, 10_000])
    runtime.run_to(5)
    bell.ring()
    runtime.run_to(2_000)

    assert times == [5, 15]


def test_an_alarm_that_was_overtaken_is_silent(runtime: VirtualTime, bell: Bell) -> None:
    times = woken(runtime, bell, [100, 10, None])
    bell.ring()
    runtime.run_to(200)

    assert times == [0, 10]


def test_after_a_thousand_waits_one_alarm_is_pending(runtime: VirtualTime, bell: Bell) -> None:
    """Each was rung awake long before its alarm."""
    times = woken(runtime, bell, [600_000] * 1_000)
    for _ in range(999):
        bell.ring()
        runtime.run_to(runtime.now() + 1)

    assert len(times) == 999
    assert len(runtime.timers) == 1


def test_a_thousand_alarms_that_overtake_each_other_ring_once(
    runtime: VirtualTime, bell: Bell
) -> None:
    """Of those that sleep, one matters; the others end in silence and leave nothing behind."""
    times = woken(runtime, bell, [*range(5_000, 4_000, -1), None])
    for _ in range(1_000):
        bell.ring()
        runtime.run_to(0)
    runtime.run_to(10_000)

    assert times == [0] * 1_000 + [4_001]
    assert runtime.timers == []
    assert len(runtime.alive) == 0
