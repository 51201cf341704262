"""A notice is told at its time, and again, more and more rarely, until somebody takes it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from contraflow.outside.teller import TELL_AGAIN_MS, TELL_AGAIN_MS_MAX, Teller
from contraflow.outside.virtual_time import VirtualTime
from contraflow.wire.exchange import Notice

BEGIN = 10_000


class Dues:
    """A bank that has something to say at these times."""

    def __init__(self) -> None:
        self.at: list[int] = []
        self.taken: list[Notice] = []

    def next_due(self) -> int | None:
        return min(self.at, default=None)

    def run_due(self, now: int) -> list[Notice]:
        due = [at for at in self.at if at <= now]
        self.at = [at for at in self.at if at > now]
        return [Notice(b"%d" % at, ()) for at in due]

    def acknowledge(self, notice: Notice) -> None:
        self.taken.append(notice)


@pytest.fixture
def table() -> Any:
    """With a teller who notes when it tells; nobody takes anything before `takes` says so."""
    runtime = VirtualTime(BEGIN)
    table = SimpleNamespace(bank=Dues(), runtime=runtime, told=[], takes=lambda: False)

    async def deliver(notice: Notice) -> bool:
        table.told.append((notice.body, runtime.now() - BEGIN))
        return bool(table.takes())

    table.open = lambda times: Teller(table.bank, runtime, deliver, times)
    return table


def run_for(table: Any, ms: int) -> None:
    table.runtime.run_to(table.runtime.now() + ms)


def times(table: Any) -> list[int]:
    return [at for _, at in table.told]


def test_each_is_told_at_its_time_and_once_if_it_is_taken(table: Any) -> None:
    table.takes = lambda: True
    table.bank.at = [BEGIN + 500, BEGIN + 200]
    table.open(10).set_alarm()
    run_for(table, 60_000)

    assert times(table) == [200, 500]
    assert [notice.body for notice in table.bank.taken] == [b"10200", b"10500"]


def test_what_nobody_takes_is_told_again_and_more_and_more_rarely(table: Any) -> None:
    table.bank.at = [BEGIN]
    table.open(7).set_alarm()
    run_for(table, 600_000)
    gaps = [later - earlier for earlier, later in zip(times(table), times(table)[1:], strict=False)]

    assert gaps[:4] == [TELL_AGAIN_MS, 2_000, 4_000, TELL_AGAIN_MS_MAX]
    assert set(gaps[4:]) == {TELL_AGAIN_MS_MAX}
    assert len(table.told) == 7
    assert table.bank.taken == []


def test_what_is_taken_late_is_acknowledged_and_told_no_more(table: Any) -> None:
    table.takes = lambda: len(table.told) == 3
    table.bank.at = [BEGIN]
    table.open(10).set_alarm()
    run_for(table, 600_000)

    assert len(table.told) == 3
    assert len(table.bank.taken) == 1


def test_one_that_is_not_taken_holds_up_no_other(table: Any) -> None:
    table.takes = lambda: table.told[-1][0] != b"10000"
    table.bank.at = [BEGIN, BEGIN + 10]
    table.open(10).set_alarm()
    run_for(table, 100)

    assert [notice.body for notice in table.bank.taken] == [b"10010"]


def test_an_earlier_alarm_overtakes_a_later_one(table: Any) -> None:
    table.takes = lambda: True
    teller = table.open(10)
    table.bank.at = [BEGIN + 5_000]
    teller.set_alarm()
    run_for(table, 100)
    table.bank.at.append(BEGIN + 200)
    teller.set_alarm()
    run_for(table, 10_000)

    assert times(table) == [200, 5_000]
