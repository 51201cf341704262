"""Whoever watches an instruction is rung for when it comes to rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from contract.stores.samples import REFUND
from house import House, keyed
from msgspec.structs import replace

from contraflow.domain import commands as c
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import State
from contraflow.engine.limits import WATCH_PAUSE_MS
from contraflow.engine.session import start_intake
from contraflow.engine.waiting import unwatch, watch, watch_others
from contraflow.errors import StoreUnwritable

Build = Callable[..., House]


@dataclass(slots=True, eq=False)
class Watching:
    """Hears of the end, and keeps what it was told."""

    told: list[Instruction] = field(default_factory=list)

    def __call__(self, instruction: Instruction) -> None:
        self.told.append(instruction)

    @property
    def is_rung(self) -> bool:
        return bool(self.told)


def watched(house: House, instruction_id: str) -> Watching:
    watcher = Watching()
    watch(house.parts, instruction_id, watcher)
    return watcher


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ("accept_then_succeed", State.SUCCEEDED),
        ("slow", State.SUCCEEDED),
        ("rate_limit", State.SUCCEEDED),
        ("decline", State.FAILED),
        ("wrong_amount", State.ATTENTION),
    ],
)
def test_it_is_rung_at_the_end_and_not_before(house: House, script: str, state: State) -> None:
    house.paid(script=script)
    refund = house.refund()
    bell = watched(house, refund)
    house.runtime.run(lambda: bell.is_rung)

    assert house.instruction(refund).state is state
    assert house.parts.watchers == {}


def test_everybody_who_watches_is_rung_for(house: House) -> None:
    house.paid(script="slow")
    refund = house.refund()
    bells = [watched(house, refund) for _ in range(3)]
    house.run_for(1_000)
    assert not any(bell.is_rung for bell in bells)
    house.run_for(1_000)

    assert all(bell.is_rung for bell in bells)


def test_whoever_watches_another_is_not(house: House) -> None:
    house.paid(script="slow")
    house.paid("pay_2")
    slow, fast = house.refund(), house.refund("main/pay_2")
    bell = watched(house, slow)
    house.run_for(1_000)

    assert house.instruction(fast).state is State.SUCCEEDED
    assert not bell.is_rung


def test_a_withdrawal_is_an_end_too(house: House) -> None:
    house.paid()
    house.ask(keyed(c.SwitchHold, scope="all", is_on=True))
    refund = house.refund()
    bell = watched(house, refund)
    house.ask(keyed(c.WithdrawReversal, instruction_id=refund))

    assert bell.is_rung
    assert house.instruction(refund).state is State.WITHDRAWN


def test_whoever_has_gone_away_leaves_nothing_behind(house: House) -> None:
    house.paid(script="slow")
    refund = house.refund()
    gone, patient = watched(house, refund), watched(house, refund)
    unwatch(house.parts, refund, gone)
    house.run_for(2_000)
    unwatch(house.parts, refund, patient)

    assert not gone.is_rung
    assert patient.is_rung
    assert house.parts.watchers == {}


# What another process brings to rest.


def ended() -> Instruction:
    return replace(REFUND, state=State.SUCCEEDED, due_at=None, final_at=5)


class Elsewhere:
    """Views of a database that somebody else writes into."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.looks: list[list[str]] = []
        self.is_down = False

    async def at_rest(self, names: list[str]) -> list[str]:
        self.looks.append(list(names))
        if self.is_down:
            raise StoreUnwritable
        return [name for name in names if name in self.ended]

    async def instructions(self, names: list[str]) -> dict[str, Instruction]:
        assert set(names) <= set(self.ended)
        return {name: replace(ended(), instruction_id=name) for name in names}


@pytest.fixture
def elsewhere(build: Build) -> tuple[House, Elsewhere]:
    house, views = build(), Elsewhere()
    start_intake(house.parts)
    house.runtime.spawn(watch_others(house.parts, views))  # type: ignore[arg-type]
    house.run_for(0)
    return house, views


def test_one_look_asks_for_all_that_is_watched(elsewhere: tuple[House, Elsewhere]) -> None:
    house, views = elsewhere
    bells = [watched(house, name) for name in ("a", "b", "c")]
    views.ended = ["a", "c"]
    house.parts.watch_bell.ring()
    house.run_for(WATCH_PAUSE_MS)

    assert views.looks == [["a", "b", "c"]]
    assert [bell.is_rung for bell in bells] == [True, False, True]
    assert list(house.parts.watchers) == ["b"]


def test_without_a_wake_up_it_looks_all_the_same(elsewhere: tuple[House, Elsewhere]) -> None:
    house, views = elsewhere
    bell = watched(house, "a")
    views.ended = ["a"]
    house.run_for(house.store.poll_ms + 1)

    assert bell.is_rung


def test_a_database_that_is_away_is_asked_again(elsewhere: tuple[House, Elsewhere]) -> None:
    house, views = elsewhere
    bell = watched(house, "a")
    views.ended, views.is_down = ["a"], True
    house.parts.watch_bell.ring()
    house.run_for(WATCH_PAUSE_MS)
    assert not bell.is_rung
    views.is_down = False
    house.parts.watch_bell.ring()
    house.run_for(WATCH_PAUSE_MS)

    assert bell.is_rung
    assert house.parts.counts["store_unwritable"] == 1


def test_where_nobody_waits_nobody_looks(elsewhere: tuple[House, Elsewhere]) -> None:
    house, views = elsewhere
    house.parts.watch_bell.ring()
    house.run_for(WATCH_PAUSE_MS)

    assert views.looks == []
