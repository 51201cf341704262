"""The way to the bank in the same process: replies, silence, and what it says unasked."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from contraflow.errors import LeaveByMissed, ReplyLost
from contraflow.outside.bank import Bank
from contraflow.outside.bank_book import MemoryBook
from contraflow.outside.local_bank import SILENCE_MS, LocalBank
from contraflow.outside.virtual_time import VirtualTime
from contraflow.wire import sandbox
from contraflow.wire.exchange import Notice, Reply, Request
from contraflow.wire.sandbox import CARD, Answer, Ask, Line, Telling

KEY = "5a" * 32
LINE = Line(CARD, sandbox.key_of(KEY))
FAR = 10**9


class Desk:
    """A bank, the way to it, and somebody who is told things."""

    def __init__(self, book: MemoryBook | None = None, time: int = 0) -> None:
        self.time = VirtualTime(time)
        self.book = book or MemoryBook(KEY)
        self.bank = Bank(self.book)
        self.told: list[tuple[int, Telling]] = []
        self.troubles: list[Exception] = []
        self.refusals = 0
        self.way = LocalBank(self.bank, self.time, deliver=self.take, store_now=self.time.now)
        self.replies: list[tuple[int, Reply]] = []
        self.errors: list[tuple[int, Exception]] = []

    async def take(self, notice: Notice) -> bool:
        if self.troubles:
            raise self.troubles.pop()
        if self.refusals:
            self.refusals -= 1
            return False
        self.told.append((self.time.now(), msgspec.json.decode(notice.body, type=Telling)))
        return True

    def send(self, request: Request, leave_by: int = FAR) -> None:
        self.time.spawn(self.one(self.way.send(request, leave_by)))

    async def one(self, work: Coroutine[Any, Any, Reply]) -> None:
        try:
            self.replies.append((self.time.now(), await work))
        except (LeaveByMissed, ReplyLost) as error:
            self.errors.append((self.time.now(), error))
        else:
            self.replies[-1] = (self.time.now(), self.replies[-1][1])


@pytest.fixture
def desk() -> Desk:
    return Desk()


def refund(script: str = "ok", number: str = "N1") -> Request:
    ask = Ask(
        number=number,
        payment="main/pay_1",
        action="refund",
        minor=400,
        currency="GBP",
        instrument=f"tok_{script}",
        payment_number="",
    )
    return sandbox.request_of(LINE, ask)


def result_of(reply: Reply) -> str:
    answer: Answer = sandbox.open_reply(LINE, reply)
    return answer.result


def test_a_reply_comes_at_once(desk: Desk) -> None:
    desk.send(refund())
    desk.time.run_to(0)
    [(at, reply)] = desk.replies

    assert (at, result_of(reply)) == (0, "succeeded")


def test_a_slow_reply_takes_its_time(desk: Desk) -> None:
    desk.send(refund("slow"))
    desk.time.run_to(10_000)

    assert [at for at, _ in desk.replies] == [1_500]


def test_after_a_while_a_reply_is_given_up(desk: Desk) -> None:
    desk.send(refund("lose_reply"))
    desk.time.run_to(10_000)
    [(at, error)] = desk.errors

    assert at == SILENCE_MS
    assert isinstance(error, ReplyLost)
    assert desk.bank.effects()["N1"].times == 1


@pytest.mark.parametrize(("leave_by", "leaves"), [(100, True), (99, False)])
def test_no_byte_leaves_after_its_time(leave_by: int, *, leaves: bool) -> None:
    desk = Desk(time=100)
    desk.send(refund(), leave_by)
    desk.time.run_to(1_000)

    assert ("N1" in desk.bank.orders()) is leaves
    assert [type(error) for _, error in desk.errors] == ([] if leaves else [LeaveByMissed])


def test_leave_by_is_compared_with_the_clock_of_the_store(desk: Desk) -> None:
    """It runs ahead of a clock that was set back."""
    desk.way.store_now = lambda: desk.time.now() + 500
    desk.send(refund(), leave_by=499)
    desk.time.run_to(0)

    assert [type(error) for _, error in desk.errors] == [LeaveByMissed]


# Unasked


def test_a_notice_is_handed_over_at_its_time_and_then_forgotten(desk: Desk) -> None:
    desk.send(refund("accept_then_succeed"))
    desk.time.run_to(449)
    assert desk.told == []
    desk.time.run_to(10_000)

    assert [(at, telling.type) for at, telling in desk.told] == [(450, "instruction.succeeded")]
    assert desk.bank.next_due() is None
    assert Desk(desk.book).bank.next_due() is None


def test_several_notices_come_in_their_order(desk: Desk) -> None:
    desk.send(refund("chargeback"))
    desk.send(refund("notify_twice", "N2"))
    desk.time.run_to(10_000)

    assert [(at, telling.type.partition(".")[2]) for at, telling in desk.told] == [
        (50, "succeeded"),
        (50, "succeeded"),
        (300, "opened"),
        (600, "won"),
    ]


def test_what_was_not_taken_before_a_crash_is_told_by_the_bank_that_opens_the_book_again(
    desk: Desk,
) -> None:
    desk.send(refund("accept_then_succeed"))
    desk.time.run_to(100)
    desk.time.drop()
    later = Desk(desk.book, time=9_000)
    later.way.set_alarm()
    later.time.run_to(9_000)

    assert [telling.number for _, telling in later.told] == ["N1"]


def test_what_was_being_told_in_a_crash_is_told_again(desk: Desk) -> None:
    """Handed over, and not acknowledged."""
    desk.troubles.append(ConnectionError())
    desk.send(refund("accept_then_succeed"))
    with pytest.raises(ConnectionError):
        desk.time.run_to(1_000)
    later = Desk(desk.book, time=9_000)
    later.way.set_alarm()
    later.time.run_to(9_000)

    assert [telling.number for _, telling in later.told] == ["N1"]


def test_many_orders_do_not_breed_alarms(desk: Desk) -> None:
    """Each is due a millisecond after the one before."""
    for number in range(500):
        desk.send(refund("accept_then_succeed", f"N{number}"))
        desk.time.run_to(desk.time.now() + 1)
    assert len(desk.time.timers) <= 2
    desk.time.run_to(10_000)

    assert len(desk.told) == 500
    assert desk.time.timers == []


def test_an_earlier_notice_goes_before_an_alarm_that_was_set(desk: Desk) -> None:
    desk.send(refund("bounce"))
    desk.send(refund("notify_twice", "N2"))
    desk.time.run_to(10_000)

    assert [at for at, _ in desk.told] == [50, 50, 500]


def test_a_notice_that_nobody_takes_is_told_again_and_kept_until_then() -> None:
    desk = Desk()
    desk.refusals = 2
    desk.send(refund("notify_early"))
    desk.time.run_to(900)

    assert desk.told == []
    assert desk.bank.run_due(900) == []
    desk.time.run_to(5_000)
    assert [telling.type for _, telling in desk.told] == ["instruction.succeeded"]


def test_what_is_behind_the_stores_clock_does_not_leave() -> None:
    """The store runs before a wall clock that was set back; `leave_by` is of the store."""
    desk = Desk()
    desk.way.store_now = lambda: 3_600_000
    desk.send(refund(), leave_by=1_000)
    desk.time.run_to(10)

    assert [type(error) for _, error in desk.errors] == [LeaveByMissed]
    assert desk.bank.orders() == {}
