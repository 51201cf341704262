"""Whoever watches an instruction is told when it comes to rest."""

from __future__ import annotations

import pytest
from house import House, accepted, keyed

from contraflow.domain import commands as c
from contraflow.domain.decision import Told
from contraflow.domain.lifecycle import State
from contraflow.engine.waiting import watch


def state_in(house: House, answer: object, instruction_id: str) -> State:
    decision = answer.decision if isinstance(answer, Told) else answer
    [one] = accepted(decision).instructions
    assert one.instruction_id == instruction_id
    assert house.instruction(instruction_id) == one
    return one.state


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
def test_it_is_told_at_the_end_and_not_before(house: House, script: str, state: State) -> None:
    house.paid(script=script)
    refund = house.refund()
    ticket = watch(house.parts, refund)
    house.runtime.run(ticket.done)

    assert state_in(house, ticket.value, refund) is state
    assert house.parts.watchers == {}


def test_everybody_who_watches_is_told(house: House) -> None:
    house.paid(script="slow")
    refund = house.refund()
    tickets = [watch(house.parts, refund) for _ in range(3)]
    house.run_for(1_000)
    assert not any(ticket.done() for ticket in tickets)
    house.run_for(1_000)

    assert all(ticket.done() for ticket in tickets)


def test_whoever_watches_another_is_not_told(house: House) -> None:
    house.paid(script="slow")
    house.paid("pay_2")
    slow, fast = house.refund(), house.refund("main/pay_2")
    ticket = watch(house.parts, slow)
    house.run_for(1_000)

    assert house.instruction(fast).state is State.SUCCEEDED
    assert not ticket.done()


def test_a_withdrawal_is_an_end_too(house: House) -> None:
    house.paid()
    house.ask(keyed(c.SwitchHold, scope="all", is_on=True))
    refund = house.refund()
    ticket = watch(house.parts, refund)
    house.ask(keyed(c.WithdrawReversal, instruction_id=refund))

    assert state_in(house, ticket.value, refund) is State.WITHDRAWN


def test_whoever_has_gone_away_is_passed_over(house: House) -> None:
    house.paid(script="slow")
    refund = house.refund()
    gone, patient = watch(house.parts, refund), watch(house.parts, refund)
    gone.set_result(Told(None, is_replayed=False))
    house.run_for(2_000)

    assert patient.done()
    assert house.instruction(refund).state is State.SUCCEEDED
