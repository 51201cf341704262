"""What a door does with a running engine: wait, foresee, let go."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from house import HOUR_MS, House, accepted, keyed, refused

from contraflow.domain import commands as c
from contraflow.domain.commands import Command
from contraflow.domain.decision import Decision, Receipt
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import State
from contraflow.domain.money import Money
from contraflow.engine.limits import BREATH_MS, DRAIN_MS_MAX, HAND_BACK_MS_MAX
from contraflow.engine.session import drain, foresee, lineage, rest, start_intake
from contraflow.errors import ErrorCode
from contraflow.outside.virtual_time import result_of

T = TypeVar("T")
Build = Callable[..., House]


def rested(house: House, ids: list[str], within_ms: int = HOUR_MS) -> int:
    """How long it took, in milliseconds."""
    begun = house.runtime.now()
    house.wait_for(rest(house.parts, house.views, ids, within_ms))
    return house.runtime.now() - begun


def lived(house: House, ids: list[str]) -> list[Instruction]:
    async def read() -> list[Instruction]:
        return [one async for one in lineage(house.views, ids)]

    return result_of(read())


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Views over a network: a question is under way for a while, and so is its answer."""

    house: House
    there_ms: int = 0
    back_ms: int = 0

    async def instruction(self, instruction_id: str) -> Instruction | None:
        return await self.travel(self.house.views.instruction(instruction_id))

    async def receipt(self, key: str) -> Receipt | None:
        return await self.travel(self.house.views.receipt(key))

    async def travel(self, question: Coroutine[Any, Any, T]) -> T:
        await self.house.runtime.sleep(self.there_ms)
        found = await question
        await self.house.runtime.sleep(self.back_ms)
        return found


# Rest


def test_it_rests_when_the_last_one_is_at_its_end(house: House) -> None:
    house.paid(script="slow")
    house.paid("pay_2")
    slow, fast = house.refund(), house.refund("main/pay_2")

    assert rested(house, [fast, slow]) == 1_500
    assert house.instruction(slow).state is State.SUCCEEDED


def test_it_rests_at_once_if_all_is_over(house: House) -> None:
    house.paid()
    refund = house.refund()
    house.run_for(1_000)

    assert rested(house, [refund]) == 0


@pytest.mark.parametrize("script", ["wrong_amount", "decline"])
def test_it_rests_when_there_is_nothing_more_to_wait_for(house: House, script: str) -> None:
    house.paid(script=script)
    refund = house.refund()

    assert rested(house, [refund]) < 1_000


def test_it_gives_up_when_its_time_is_over(house: House) -> None:
    house.road.blocked.add("sandbox")
    house.paid()
    refund = house.refund()

    assert rested(house, [refund], within_ms=700) == 700
    assert house.instruction(refund).state is State.SENT


def test_it_asks_without_a_pause_no_more_often_than_it_must(house: House) -> None:
    house.road.blocked.add("sandbox")
    house.paid()
    refund = house.refund()
    turns = house.runtime.turns
    rested(house, [refund], within_ms=30_000)

    assert house.runtime.turns - turns < 20


def test_each_is_watched_once_however_often_it_looks(house: House) -> None:
    ids = []
    for name, script in [("a", "slow"), ("b", "accept_then_succeed"), ("c", "lands_late")]:
        house.paid(name, script=script)
        ids.append(house.refund(f"main/{name}"))
    house.spawn(rest(house.parts, house.views, ids, HOUR_MS))
    house.run_for(1_000)

    assert [len(tickets) for tickets in house.parts.watchers.values()] == [1]


def test_an_end_between_the_look_and_the_watch_is_not_missed(house: House) -> None:
    """It ends after 1,500 ms, while the first look is under way."""
    house.paid(script="slow")
    refund = house.refund()
    begun = house.runtime.now()
    house.wait_for(rest(house.parts, Elsewhere(house, back_ms=2_000), [refund], HOUR_MS))

    assert house.instruction(refund).state is State.SUCCEEDED
    assert house.runtime.now() - begun < 10_000


def test_an_end_that_nobody_rings_for_is_seen_a_poll_later(house: House) -> None:
    """Of another process: whoever watches here is not told."""
    house.paid(script="slow")
    refund = house.refund()
    resting = house.spawn(rest(house.parts, house.views, [refund], 10 * HOUR_MS))
    house.run_for(0)
    house.parts.watchers.clear()
    house.run_for(house.store.poll_ms - 1)
    assert not resting.is_there
    house.run_for(1)

    assert resting.is_there


@pytest.mark.parametrize("there_ms", [5, 10, 15, 20, 25])
def test_a_successor_that_is_made_during_a_look_is_waited_for(house: House, there_ms: int) -> None:
    house.paid(script="captured_first", is_captured=False)
    house.road.plays.extend(["ok", "request_lost"])  # The refund takes its time.
    [void] = house.take(keyed(c.RequestReversal, payment_id="main/pay_1"))
    house.wait_for(rest(house.parts, Elsewhere(house, there_ms), [void], HOUR_MS))

    assert [one.state for one in lived(house, [void])] == [State.FAILED, State.SUCCEEDED]


def test_it_waits_for_the_refund_that_follows_a_reverse_that_came_too_late(house: House) -> None:
    """The void is declined at once, the capture is told 50 ms later, and then it is refunded."""
    house.paid(script="captured_first", is_captured=False)
    [void] = house.take(keyed(c.RequestReversal, payment_id="main/pay_1"))
    took = rested(house, [void])
    first, second = lived(house, [void])

    assert 50 <= took <= 50 + 2 * BREATH_MS
    assert (first.state, first.failure) == (State.FAILED, "already_captured")
    assert (second.state, second.kind, second.minor) == (State.SUCCEEDED, "refund", 1_000)


def test_a_cancel_that_came_too_late_has_no_successor(house: House) -> None:
    house.paid(script="captured_first", is_captured=False)
    [void] = house.take(keyed(c.RequestCancel, payment_id="main/pay_1"))

    assert rested(house, [void]) < 50
    assert [one.instruction_id for one in lived(house, [void])] == [void]


# Foresee


def foreseen_of(house: House, command: c.RequestReversal) -> Decision:
    return result_of(foresee(house.views, house.parts.policy, command, house.store.now()))


def test_what_is_foreseen_is_what_happens_and_nothing_is_asked_for(house: House) -> None:
    house.paid(is_captured=False)
    house.ask(keyed(c.RecordCapture, payment_id="main/pay_1", amount=Money(300, "GBP")))
    command = keyed(c.RequestReversal, payment_id="main/pay_1")
    before = house.contents()
    foreseen = foreseen_of(house, command)
    assert house.contents() == before
    done = accepted(house.ask(command))

    legs = [(one.kind, one.minor, one.number) for one in done.instructions]
    assert [leg[:2] for leg in legs] == [("void", 700), ("refund", 300)]
    assert [(one.kind, one.minor, one.number) for one in accepted(foreseen).instructions] == legs


def test_a_refusal_is_foreseen_too(house: House) -> None:
    command = keyed(c.RequestReversal, payment_id="main/pay_1")
    foreseen = foreseen_of(house, command)

    assert refused(foreseen).code is ErrorCode.PAYMENT_UNKNOWN


# Letting go


def test_without_the_other_loops_requests_are_kept_and_nothing_is_sent(build: Build) -> None:
    house = build()
    start_intake(house.parts)
    house.paid()
    refund = house.refund()
    house.run_for(HOUR_MS)
    assert house.road.seen == []
    house.restart()
    house.run_for(1)

    assert house.instruction(refund).state is State.SUCCEEDED


def test_calls_in_flight_may_end_and_none_begins(house: House) -> None:
    house.paid(script="slow")
    house.paid("pay_2")
    slow = house.refund()
    house.run_for(10)
    begun, draining = house.runtime.now(), house.spawn(drain(house.parts))
    house.run_for(0)
    late = house.refund("main/pay_2")
    house.runtime.run(lambda: draining.is_there)

    assert house.runtime.now() - begun <= 1_500 + BREATH_MS
    assert house.instruction(slow).state is State.SUCCEEDED
    assert house.instruction(late).state is State.ACCEPTED


def test_a_call_that_does_not_end_holds_nobody_up_for_ever(house: House) -> None:
    house.road.blocked.add("sandbox")
    house.paid()
    house.refund()
    house.run_for(10)
    begun = house.runtime.now()
    house.wait_for(drain(house.parts))

    assert house.runtime.now() - begun == DRAIN_MS_MAX


def test_what_does_not_end_is_handed_back_to_be_asked_about_at_once(house: House) -> None:
    house.road.blocked.add("sandbox")
    house.paid()
    refund = house.refund()
    house.run_for(10)
    assert house.instruction(refund).state is State.SENT
    house.wait_for(drain(house.parts))
    one = house.instruction(refund)

    assert one.state is State.UNKNOWN
    assert one.due_at is not None
    assert one.due_at <= house.store.now()


def test_a_database_that_does_not_answer_holds_nobody_up_for_ever(house: House) -> None:
    """All are handed back in one batch, and none is waited for longer than for one."""
    house.road.blocked.add("sandbox")
    house.paid()
    for _ in range(3):
        house.refund(minor=1)
    house.run_for(10)
    assert len(house.parts.in_flight) == 3
    house.parts.store = silent = Silent(house)
    begun = house.runtime.now()
    house.wait_for(drain(house.parts))

    assert house.runtime.now() - begun <= DRAIN_MS_MAX + HAND_BACK_MS_MAX + BREATH_MS
    assert silent.sizes == [3]


class Silent:
    """A store whose server says nothing any more."""

    def __init__(self, house: House) -> None:
        self.house, self.store = house, house.store
        self.sizes: list[int] = []

    async def commit(self, commands: Sequence[Command], _: Any) -> None:
        self.sizes.append(len(commands))
        await self.house.runtime.ticket()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)
