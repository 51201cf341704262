"""The bank's behaviour is drawn from the seed and the number alone, and all of it occurs."""

from __future__ import annotations

from crucible import conduct as ways

VOIDS = [ways.draw(7, f"number-{n}", "void", 100) for n in range(500)]


def test_the_same_number_is_treated_the_same() -> None:
    assert [ways.draw(7, f"number-{n}", "void", 100) for n in range(500)] == VOIDS
    assert [ways.draw(8, f"number-{n}", "void", 100) for n in range(500)] != VOIDS


def test_every_way_occurs() -> None:
    assert {drawn.way for drawn in VOIDS} == {*ways.WEIGHTS, ways.CAPTURED_FIRST}


def test_only_where_money_moved_it_can_be_charged_back() -> None:
    refunds = [ways.draw(7, f"number-{n}", "refund", 100) for n in range(500)]

    assert not any(drawn.disputed for drawn in VOIDS)
    assert {drawn.dispute_ends for drawn in refunds if drawn.disputed} == {"won", "lost"}
