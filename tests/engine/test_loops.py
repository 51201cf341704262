"""The loops go on where they can, and stop where they must."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from house import (
    EARLY,
    HOUR_MS,
    SIGNED,
    House,
    accepted,
    keyed,
    receipt_of,
    recorded,
    refund_of,
    refused,
)

from contraflow.domain import commands as c
from contraflow.domain import outcome as said
from contraflow.domain.cases import CaseKind
from contraflow.domain.commands import Command, RequestRefund, RequestReversal
from contraflow.domain.lifecycle import State
from contraflow.domain.money import Money
from contraflow.domain.observation import Answered, Captured, Observation
from contraflow.domain.snapshot import Snapshot
from contraflow.engine.barriers import objects_of
from contraflow.engine.intake import Waiting, submit
from contraflow.engine.limits import CAREFUL_COMMITS
from contraflow.errors import ErrorCode, StoreUnwritable
from contraflow.outside.virtual_time import result_of
from contraflow.store import Commit, Loaded
from contraflow.store.sqlite import SqliteStore

Build = Callable[..., House]
STRANGE = "\ud800"  # Half a character; no database takes it.


class Ill:
    """The real store, which fails now and then."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.troubles: deque[BaseException | None] = deque()  # Of the next commits, in order.
        self.sizes: list[int] = []

    async def commit(self, commands: Sequence[Command], plan: Callable[[Loaded], Commit]) -> Commit:
        self.sizes.append(len(commands))
        trouble = self.troubles.popleft() if self.troubles else None
        if trouble is not None:
            raise trouble
        return await self.store.commit(commands, plan)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


class Broken:
    """Our own code, wrong about one payment."""

    name = "broken"

    def __init__(self, payment_id: str = "main/pay_1") -> None:
        self.payment_id = payment_id

    def rejects(self, command: RequestRefund | RequestReversal, snapshot: Snapshot) -> bool:
        assert snapshot.now > 0
        if command.payment_id == self.payment_id:
            raise AssertionError("planted")
        return False


@pytest.fixture
def ill(house: House) -> Ill:
    store = Ill(house.store)
    house.parts.store = store
    return store


def all_at_once(house: House, *commands: Command) -> list[Any]:
    """Handed in together, so that they are one batch."""
    return [house.spawn(submit(house.parts.intake, command)) for command in commands]


# The disk is full


def test_a_database_that_cannot_be_written_is_told_to_who_asked_and_the_loop_goes_on(
    house: House, ill: Ill
) -> None:
    ill.troubles.append(StoreUnwritable())
    one = recorded()
    with pytest.raises(StoreUnwritable):
        house.ask(one)
    assert house.contents().payments == {}
    again = house.ask(one)

    assert not again.is_replayed
    assert list(house.contents().payments) == ["main/pay_1"]


def test_everybody_in_the_batch_is_told(house: House, ill: Ill) -> None:
    ill.troubles.append(StoreUnwritable())
    asked = all_at_once(house, *(recorded(f"main/pay_{n}") for n in range(3)))
    house.run_for(1_000)

    assert [type(each.error) for each in asked] == [StoreUnwritable] * 3


def test_it_does_not_hammer_a_disk_that_is_full(house: House, ill: Ill) -> None:
    house.paid()
    ill.troubles.extend([StoreUnwritable()] * 10_000)
    all_at_once(house, refund_of())
    house.runtime.run(lambda: not ill.troubles or house.runtime.now() > EARLY + 10_000)

    assert len(ill.sizes) < 100


def test_a_mark_that_was_not_written_sends_nothing(house: House, ill: Ill) -> None:
    house.paid()
    ill.troubles.extend([None, StoreUnwritable(), StoreUnwritable()])
    refund = house.refund()
    house.run_for(1)
    assert house.road.seen == []
    house.run_for(10_000)

    assert house.instruction(refund).state is State.SUCCEEDED
    assert house.parts.counts["store_unwritable"] == 2
    assert [seen.action for seen in house.road.seen] == ["refund"]


def test_an_outcome_that_was_not_written_is_asked_for_again(house: House, ill: Ill) -> None:
    house.paid()
    ill.troubles.extend([None, None, StoreUnwritable()])
    refund = house.refund()
    house.run_for(1_000)
    assert house.instruction(refund).state is State.SENT
    one = house.run_until(State.SUCCEEDED, refund)

    assert [seen.action for seen in house.road.seen] == ["refund", "status"]
    assert house.bank.effects()[one.number].times == 1


def test_a_requester_who_has_gone_away_stops_nobody(house: House, ill: Ill) -> None:
    """Also if the batch fails: a caller may give up, and its ticket with it."""
    for trouble in (None, StoreUnwritable()):
        ill.troubles.append(trouble)
        ticket = house.runtime.ticket()
        ticket.set_result(None)
        house.parts.intake.requests.append(Waiting(recorded("main/pay_1"), ticket))
        house.parts.intake.bell.ring()
        house.run_for(1_000)
    accepted(house.ask(recorded("main/pay_2")))

    assert list(house.contents().payments) == ["main/pay_1", "main/pay_2"]


# A value that the database refuses


def test_the_culprit_is_refused_by_name_and_twenty_others_beside_it_succeed(
    house: House, ill: Ill
) -> None:
    commands = [recorded(f"main/pay_{number}") for number in range(21)]
    commands[13] = recorded("main/pay_13", script=STRANGE)
    asked = all_at_once(house, *commands)
    house.run_for(1)
    culprit = refused(asked.pop(13).value())
    for each in asked:
        accepted(each.value())

    assert culprit.code is ErrorCode.VALUE_REFUSED
    assert "Unicode" in culprit.detail
    assert ill.sizes[0] == 21
    assert len(house.contents().payments) == 20
    assert "main/pay_13" not in house.contents().payments


def test_the_answers_of_a_divided_batch_are_in_order(house: House) -> None:
    commands = [recorded(f"main/pay_{n}", script=STRANGE if n % 3 == 0 else "ok") for n in range(9)]
    asked = all_at_once(house, *commands)
    house.run_for(1)

    for command, each in zip(commands, asked, strict=True):
        if STRANGE in command.instrument:
            refused(each.value())
        else:
            assert receipt_of(each.value()).key == command.key


def test_a_refused_value_leaves_its_key_free(house: House) -> None:
    strange, sound = recorded(script=STRANGE), recorded()
    assert sound.key == strange.key
    refused(house.ask(strange))
    assert house.contents().receipts == {}
    accepted(house.ask(sound))

    assert list(house.contents().receipts) == [sound.key]


def test_what_was_committed_before_the_disk_was_full_has_its_receipt(
    house: House, ill: Ill
) -> None:
    """A batch that was divided: the first half is there, the second is not."""
    commands = [recorded(f"main/pay_{n}") for n in range(3)]
    commands.append(recorded("main/pay_3", script=STRANGE))
    ill.troubles.extend([None, None, StoreUnwritable()])
    asked = all_at_once(house, *commands)
    house.run_for(1_000)
    receipts = [receipt_of(each.value()) for each in asked[:2]]
    assert [type(each.error) for each in asked[2:]] == [StoreUnwritable] * 2
    answers = [house.ask(command) for command in commands[:3]]

    assert [answer.is_replayed for answer in answers] == [True, True, False]
    assert [receipt_of(answer) for answer in answers[:2]] == receipts


def test_a_fact_that_cannot_be_stored_sets_its_payment_aside(house: House) -> None:
    house.paid()
    house.paid("pay_2")
    strange = Captured("main/pay_1", STRANGE, Money(1, "GBP"))
    told = c.RecordFact(channel="sandbox", observation=Observation("e1", strange, SIGNED))
    answer = house.ask(told)

    assert refused(answer).code is ErrorCode.VALUE_REFUSED
    assert [case.object_id for case in result_of(house.views.open_cases())] == ["main/pay_1"]
    accepted(house.ask(refund_of("main/pay_2", 1)))


# A check that fails


def fail(house: House, *commands: Command) -> None:
    """The engine stops, as a process does."""
    house.parts.rules = [Broken()]
    all_at_once(house, *commands)
    with pytest.raises(AssertionError, match="planted"):
        house.run_for(1_000)


def suspects(house: House) -> dict[str, int]:
    return dict(house.wait_for(house.store.suspects()))


@pytest.fixture
def two(house: House) -> House:
    house.paid()
    house.paid("pay_2")
    return house


def test_a_failed_check_stops_the_engine_and_notes_what_was_touched(two: House) -> None:
    before = two.contents()
    fail(two, refund_of("main/pay_2", 7), refund_of("main/pay_1", 7))

    assert two.contents() == before
    two.runtime.drop()
    assert suspects(two) == {"main/pay_1": 1, "main/pay_2": 1}


def test_the_next_start_commits_one_by_one(two: House) -> None:
    fail(two, refund_of("main/pay_2", 7), refund_of("main/pay_1", 7))
    two.crash()
    ill = Ill(two.store)
    two.parts.store = ill
    two.start()
    all_at_once(two, *(refund_of("main/pay_2", 1) for _ in range(5)))
    two.run_for(1_000)

    assert set(ill.sizes) == {1}
    assert two.payment("main/pay_2").refunded == 5


def test_without_a_failure_a_batch_is_whole(house: House, ill: Ill) -> None:
    all_at_once(house, *(recorded(f"main/pay_{n}") for n in range(5)))
    house.run_for(1)

    assert ill.sizes == [5]


def test_what_failed_twice_is_set_aside_with_a_case_and_others_go_on(two: House) -> None:
    culprit, other = refund_of("main/pay_1", 7), refund_of("main/pay_2", 7)
    fail(two, other, culprit)
    two.restart()
    fail(two, other, culprit)  # One by one: the other is committed before.
    two.restart()
    two.parts.rules = [Broken()]
    two.run_for(1)
    [case] = result_of(two.views.open_cases())

    assert (case.kind, case.object_id) == (CaseKind.QUARANTINED, "main/pay_1")
    assert "2 batches" in case.detail
    assert refused(two.ask(culprit)).code is ErrorCode.QUARANTINED
    assert two.ask(other).is_replayed
    assert two.payment("main/pay_2").refunded == 7


def test_what_is_set_aside_is_set_aside_once(two: House) -> None:
    for _ in range(2):
        fail(two, refund_of("main/pay_1", 7))
        two.restart()
    for _ in range(3):
        two.run_for(1_000)
        two.restart()

    two.run_for(1_000)
    assert len(two.contents().cases) == 1


def test_what_is_set_aside_is_neither_sent_nor_asked_about(house: House) -> None:
    house.paid()
    house.road.plays.append("reply_lost")
    refund = house.refund()
    house.run_for(1)
    house.ask(c.Quarantine(object_id=refund, detail="it fails"))
    turns = house.runtime.turns
    house.run_for(HOUR_MS)

    assert [seen.action for seen in house.road.seen] == ["refund"]
    assert house.runtime.turns - turns < 100


def test_a_person_may_decide_about_what_is_set_aside(house: House) -> None:
    house.paid(script="wrong_amount")
    refund = house.refund()
    house.run_until(State.ATTENTION, refund)
    house.ask(c.Quarantine(object_id=refund, detail="it fails"))
    resolved, words = c.Resolution.SUCCEEDED, "the bank wrote to us"
    accepted(house.ask(keyed(c.ResolveCase, object_id=refund, resolution=resolved, evidence=words)))

    assert house.instruction(refund).state is State.SUCCEEDED


@pytest.mark.parametrize(
    "command",
    [
        refund_of("main/pay_1"),
        keyed(c.RequestCancel, payment_id="main/pay_1"),
        c.ExpirePayment(payment_id="main/pay_1"),
        c.RecordFact(
            channel="sandbox",
            observation=Observation("e1", Captured("main/pay_1", "c", Money(1, "GBP"))),
        ),
        keyed(c.WithdrawReversal, instruction_id="main/pay_1"),
        c.Quarantine(object_id="main/pay_1", detail=""),
    ],
    ids=lambda command: type(command).__name__,
)
def test_every_command_says_what_it_touches(command: Command) -> None:
    assert list(objects_of(command)) == ["main/pay_1"]


def test_a_switch_touches_no_object() -> None:
    assert list(objects_of(keyed(c.SwitchHold, scope="all", is_on=True))) == []


def test_a_request_about_a_channel_that_is_no_longer_configured_stops_nobody(
    build: Build,
) -> None:
    house = build().start()
    house.paid(channel="sandbox_rail")
    house.paid("pay_2")
    house.settings = type(house.settings)(
        sinks={}, channels={"sandbox": house.settings.channels["sandbox"]}
    )
    house.restart()
    nowhere = refused(house.ask(refund_of("main/pay_1", 1)))
    accepted(house.ask(refund_of("main/pay_2", 1)))
    payments = house.contents().payments

    assert nowhere.code is ErrorCode.CHANNEL_UNABLE
    assert [payments[name].refunds for name in ("main/pay_1", "main/pay_2")] == [0, 1]


def test_a_person_may_decide_about_an_instruction_whose_channel_is_gone(build: Build) -> None:
    house = build().start()
    house.paid(channel="sandbox_rail", script="wrong_amount")
    refund = house.refund()
    house.run_until(State.ATTENTION, refund)
    house.settings = type(house.settings)(
        sinks={}, channels={"sandbox": house.settings.channels["sandbox"]}
    )
    house.restart()
    again, done = (
        keyed(c.ResolveCase, object_id=refund, resolution=resolution, evidence="a letter")
        for resolution in (c.Resolution.REDIRECT, c.Resolution.SUCCEEDED)
    )

    assert refused(house.ask(again)).code is ErrorCode.CHANNEL_UNABLE
    accepted(house.ask(done))
    assert house.instruction(refund).state is State.SUCCEEDED


# Suspicion


def test_what_went_well_for_long_is_under_no_suspicion_any_more(two: House) -> None:
    fail(two, refund_of("main/pay_1", 7))
    two.restart()
    for _ in range(CAREFUL_COMMITS - 1):
        two.ask(keyed(c.SwitchHold, scope="all", is_on=False))
    assert suspects(two) == {"main/pay_1": 1}
    two.ask(keyed(c.SwitchHold, scope="all", is_on=False))
    ill = Ill(two.store)
    two.parts.store = ill
    all_at_once(two, *(recorded(f"main/pay_{n}") for n in range(5, 15)))
    two.run_for(1)

    assert suspects(two) == {}
    assert max(ill.sizes) > 5


def test_a_disk_that_is_full_when_suspicion_is_dropped_stops_nobody(two: House) -> None:
    class Full(Ill):
        refusals = 0

        async def clear_suspects(self) -> None:
            self.refusals += 1
            raise StoreUnwritable

    fail(two, refund_of("main/pay_1", 7))
    two.crash()
    full = Full(two.store)
    two.parts.store = full
    two.start()
    for _ in range(CAREFUL_COMMITS + 1):
        two.ask(keyed(c.SwitchHold, scope="all", is_on=False))

    accepted(two.ask(refund_of("main/pay_2", 7)))

    assert full.refusals == 1
    assert suspects(two) == {"main/pay_1": 1}
    assert two.contents().payments["main/pay_2"].refunds == 1


class Poisoned(Ill):
    """It fails our checks whenever a channel's answer about this number is in the batch."""

    number = ""

    async def commit(self, commands: Sequence[Command], plan: Callable[[Loaded], Commit]) -> Commit:
        for command in commands:
            if isinstance(command, c.RecordFact) and self.number in objects_of(command):
                return await self.store.commit([command], lambda loaded: noting(plan, loaded))
        return await super().commit(commands, plan)


def noting(plan: Callable[[Loaded], Commit], loaded: Loaded) -> Commit:
    """As planned if the number is set aside; otherwise our code is wrong about it."""
    commit = plan(loaded)
    if commit.instructions:
        raise AssertionError("planted")
    return commit


def test_a_channels_answer_that_fails_our_checks_is_kept_the_third_time(house: House) -> None:
    house.paid(script="accept_then_succeed")
    house.paid("pay_2")
    refund = house.refund()
    house.run_for(1)
    number = house.instruction(refund).number
    succeeded = said.Succeeded(Money(400, "GBP"), "main/pay_1", evidence=SIGNED)
    told = c.RecordFact(
        channel="sandbox", observation=Observation("e1", Answered(number, succeeded), SIGNED)
    )
    for _ in range(2):
        house.crash()
        house.parts.store = poisoned(house, number)
        house.start()
        all_at_once(house, told)
        with pytest.raises(AssertionError, match="planted"):
            house.run_for(0)
    house.crash()
    house.parts.store = poisoned(house, number)
    house.start()
    accepted(house.ask(told))
    kinds = {case.kind: case.object_id for case in result_of(house.views.open_cases())}

    assert kinds == {CaseKind.QUARANTINED: number, CaseKind.PARKED_FACT: number}
    accepted(house.ask(refund_of("main/pay_2", 1)))


def poisoned(house: House, number: str) -> Poisoned:
    store = Poisoned(house.store)
    store.number = number
    return store
