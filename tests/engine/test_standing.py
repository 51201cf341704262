"""What has become of a request, as of now."""

from __future__ import annotations

from house import HOUR_MS, House, keyed, recorded, refund_of

from contraflow.domain import commands as c
from contraflow.domain.decision import Answer
from contraflow.domain.lifecycle import State
from contraflow.outside.virtual_time import result_of
from contraflow.requests.standing import Standing, ids_in, receipt_in, standing_of


def standing(house: House, answer: Answer) -> Standing:
    return result_of(standing_of(house.views, answer))


def test_a_refund_moves_until_it_is_at_rest(house: House) -> None:
    house.paid(script="slow")
    answer = house.ask(refund_of())
    moving = standing(house, answer)
    house.run_for(HOUR_MS)
    over = standing(house, answer)

    assert moving.moving == frozenset(ids_in(answer))
    assert [each.state for each in over.instructions] == [State.SUCCEEDED]
    assert over.moving == frozenset()
    assert over.payment is not None
    assert over.payment.refunded == 400


def test_a_payment_that_was_recorded_has_no_instruction(house: House) -> None:
    stands = standing(house, house.ask(recorded()))

    assert (stands.instructions, stands.moving) == ((), frozenset())
    assert stands.payment is not None
    assert stands.payment.payment_id == "main/pay_1"


def test_a_switch_is_about_no_payment(house: House) -> None:
    answer = house.ask(keyed(c.SwitchHold, scope="all", is_on=True))

    assert standing(house, answer) == Standing((), frozenset(), None)


def test_a_refusal_that_kept_nothing_has_no_receipt(house: House) -> None:
    house.paid()
    house.ask(refund_of(minor=1, key="k"))
    reused = house.ask(refund_of(minor=2, key="k"))

    assert receipt_in(reused) is None
    assert ids_in(reused) == []
    assert standing(house, reused).payment is None
