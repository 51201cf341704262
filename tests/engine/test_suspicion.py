"""Who is suspected of having broken our own checks, and what it takes to be set aside."""

from __future__ import annotations

from typing import Any

import pytest
from house import House, accepted, recorded, refund_of
from test_loops import Ill, all_at_once, fail, suspects

from contraflow.errors import StoreUnwritable
from contraflow.outside.virtual_time import result_of


@pytest.fixture
def two(house: House) -> House:
    house.paid()
    house.paid("pay_2")
    return house


def open_cases(house: House) -> list[Any]:
    return [case.object_id for case in result_of(house.views.open_cases())]


def test_who_was_beside_the_culprit_in_two_processes_is_innocent(two: House) -> None:
    """Both failed at the same time, each with a batch that also had the other payment in it."""
    fail(two, refund_of("main/pay_2", 7), refund_of("main/pay_1", 7))
    two.wait_for(two.store.suspect(["main/pay_1", "main/pay_2"], is_proven=False))
    two.restart()
    two.parts.rules = []
    two.run_for(1_000)

    assert open_cases(two) == []
    accepted(two.ask(refund_of("main/pay_2", 7)))


def test_who_fails_alone_after_that_is_set_aside(two: House) -> None:
    fail(two, refund_of("main/pay_2", 7), refund_of("main/pay_1", 7))
    two.restart()
    fail(two, refund_of("main/pay_1", 7))
    assert suspects(two) == {"main/pay_1": 2, "main/pay_2": 1}
    two.restart()
    two.parts.rules = []
    two.run_for(1_000)

    assert open_cases(two) == ["main/pay_1"]
    accepted(two.ask(refund_of("main/pay_2", 7)))


def test_a_start_waits_for_a_database_that_cannot_be_written_yet(two: House) -> None:
    """What is under suspicion cannot be set aside, and nothing else is committed before that."""
    for _ in range(2):
        fail(two, refund_of("main/pay_1", 7))
        two.restart()
    two.crash()
    ill = Ill(two.store)
    ill.troubles.extend([StoreUnwritable()] * 3)
    two.parts.store = ill
    two.parts.rules = []
    two.start()
    asked = all_at_once(two, recorded("main/pay_3"))
    two.run_for(100)
    assert not asked[0].is_there
    two.run_for(2_000)

    assert open_cases(two) == ["main/pay_1"]
    assert "main/pay_3" in two.contents().payments
