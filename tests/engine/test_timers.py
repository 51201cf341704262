"""What falls due unasked falls due at its millisecond."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from house import HOUR_MS, House, accepted, created, keyed

from contraflow.domain import commands as c
from contraflow.domain.instruction import Kind, Waiting
from contraflow.domain.lifecycle import PaymentState, State
from contraflow.outside.virtual_time import result_of

Build = Callable[..., House]


def test_the_undo_window_lets_go_at_exactly_its_end(build: Build) -> None:
    house = build(undo_window_s=60).start()
    house.paid()
    refund = house.refund()
    held = house.instruction(refund)
    house.run_for(59_999)
    assert house.instruction(refund).state is State.HELD
    assert house.road.seen == []
    house.run_for(1)

    assert (held.waiting, held.deadline_at) == (Waiting.UNDO_WINDOW, held.requested_at + 60_000)
    assert house.instruction(refund).state is State.SUCCEEDED
    assert house.instruction(refund).sent_at == held.deadline_at


def test_the_undo_window_ends_over_a_restart(build: Build) -> None:
    house = build(undo_window_s=60).start()
    house.paid()
    refund = house.refund()
    house.crash()
    house.run_for(90_000)
    house.start()
    house.run_for(0)

    assert house.instruction(refund).state is State.SUCCEEDED


def test_a_review_that_nobody_answers_expires(build: Build) -> None:
    house = build(review_within_s=3_600).start()
    house.paid()
    refund = house.refund(for_review=True)
    house.run_for(HOUR_MS - 1)
    assert house.instruction(refund).state is State.HELD
    house.run_for(1)
    one = house.instruction(refund)

    assert (one.state, one.failure) == (State.FAILED, "expired")
    assert house.road.seen == []
    assert house.payment().refundable == 1_000


@pytest.mark.parametrize(
    ("decision", "state"),
    [(c.ReleaseHold, State.SUCCEEDED), (c.RejectHold, State.FAILED)],
)
def test_a_review_that_somebody_answers_does_not_expire(
    build: Build, decision: type[c.ReleaseHold], state: State
) -> None:
    house = build(review_within_s=3_600).start()
    house.paid()
    refund = house.refund(for_review=True)
    house.run_for(1_000)
    accepted(house.ask(keyed(decision, instruction_id=refund)))
    house.run_for(1)
    one = house.instruction(refund)
    house.run_for(2 * HOUR_MS)

    assert one.state is state
    assert house.instruction(refund) == one


# Of payments


def test_a_payment_that_was_never_sent_has_expired_at_exactly_its_time(house: House) -> None:
    house.ask(keyed(c.SwitchHold, scope="all", is_on=True))
    until = house.runtime.now() + HOUR_MS
    [pay] = house.take(created(expires_at=until))
    house.runtime.run_to(until - 1)
    assert house.payment().state is PaymentState.CREATED
    house.runtime.run_to(until)

    assert house.payment().state is PaymentState.EXPIRED
    assert (house.instruction(pay).state, house.instruction(pay).failure) == (
        *(State.FAILED, "expired"),
    )
    assert house.road.seen == []


def test_a_payment_that_the_channel_knows_is_closed_first(house: House) -> None:
    """The payer has 400 ms and takes longer than the 200 that we allow."""
    house.ask(created(script="accept_then_succeed", expires_at=house.runtime.now() + 200))
    house.run_for(199)
    assert house.payment().state is PaymentState.PENDING
    assert [seen.action for seen in house.road.seen] == ["pay", "status"]
    house.run_for(1)
    [close] = [i for i in house.contents().instructions.values() if i.kind is Kind.CLOSE]
    house.run_for(10_000)

    assert close.key == "main/policy:expiry/main/pay_1"
    assert house.payment().state is PaymentState.CANCELED
    assert house.bank.effects().keys() == {close.number}


def test_a_payment_that_was_paid_in_time_does_not_expire(house: House) -> None:
    house.ask(created(expires_at=house.runtime.now() + 200))
    house.run_for(HOUR_MS)

    assert house.payment().state is PaymentState.CAPTURED
    assert [seen.action for seen in house.road.seen] == ["pay"]


def test_a_close_that_comes_too_late_leaves_the_payment_paid(house: House) -> None:
    house.road.plays.append("reply_lost")
    house.ask(created(expires_at=house.runtime.now() + 50))
    house.run_for(10_000)
    [close] = [i for i in house.contents().instructions.values() if i.kind is Kind.CLOSE]

    assert close.state is State.FAILED
    assert house.payment().state is PaymentState.CAPTURED


def test_what_our_policy_cannot_have_is_shown_to_a_person(house: House) -> None:
    """The rail knows no close: the payment is not asked to be closed again and again."""
    until = house.runtime.now() + 200
    house.ask(created(script="accept_then_succeed", channel="sandbox_rail", expires_at=until))
    house.run_for(300)
    [case] = result_of(house.views.open_cases())

    assert case.object_id == "main/pay_1"
    assert "channel_unable" in case.detail
    house.run_for(HOUR_MS)
    assert house.payment().state is PaymentState.CAPTURED


def test_an_expiry_is_asked_for_once(house: House) -> None:
    house.road.blocked.add("sandbox")
    house.ask(created(expires_at=house.runtime.now() + 200))
    turns = house.runtime.turns
    house.run_for(50_000)

    assert house.runtime.turns - turns < 200
    assert len(house.contents().instructions) == 2
