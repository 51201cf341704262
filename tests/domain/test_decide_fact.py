"""What does a channel's notice change? It has happened: it is booked, or kept until it can be."""

from typing import Any

import pytest
from cases import (
    LEAVE_BY,
    NOW,
    NUMBER,
    PAYMENT_ID,
    REVERSAL_ID,
    SENT_AT,
    SIGNED,
    accepted,
    in_state,
    instruction,
    only,
    other,
    paid,
    payment,
    policy,
    snapshot,
    yuan,
)
from msgspec.structs import replace

from contraflow.domain import outcome as said
from contraflow.domain.cases import PARKED_RETRY_MS, CaseKind, Parked
from contraflow.domain.commands import RecordFact, RequestRefund, RetryParked
from contraflow.domain.decide.fact import decide_fact, decide_parked
from contraflow.domain.decision import Accepted
from contraflow.domain.events import CaseClosed, CaseOpened, FactBooked, PaymentMoved
from contraflow.domain.facts import FactKind, FactState, fact_id_for, notice_id_for
from contraflow.domain.instruction import Kind
from contraflow.domain.lifecycle import ENDED, PaymentState, PaymentStep, State
from contraflow.domain.money import Money
from contraflow.domain.observation import (
    Answered,
    Authorized,
    Captured,
    ChargedBack,
    Dispute,
    Expired,
    Fact,
    Observation,
    RefundedElsewhere,
)
from contraflow.domain.outcome import Outcome, Retry
from contraflow.domain.payment import Payment
from contraflow.domain.policy import LateCapture
from contraflow.domain.snapshot import Snapshot

OPENED, WON, LOST = Dispute.OPENED, Dispute.WON, Dispute.LOST
CAPTURED = Captured(PAYMENT_ID, "cap_1", yuan(1_000))
SUCCEEDED = said.Succeeded(yuan(400), PAYMENT_ID, "ref", SIGNED)
BOUNCED = said.Bounced(yuan(400), PAYMENT_ID, "ref", SIGNED)


def notice(fact: Fact, event_id: str = "evt_1", channel: str = "card") -> RecordFact:
    return RecordFact(channel=channel, observation=Observation(event_id, fact, SIGNED))


def told(state: Snapshot, *facts: Fact) -> tuple[Snapshot, Accepted]:
    """One notice after the other; each finds what the ones before it changed."""
    decision = Accepted()
    for number, fact in enumerate(facts):
        decision = accepted(decide_fact(state, notice(fact, f"evt_{number}")))
        known = {fact.fact_id: fact for fact in decision.facts}
        payments = state.payments
        if decision.payment is not None:
            payments = {**payments, PAYMENT_ID: decision.payment}
        changed = {one.instruction_id: one for one in decision.instructions}
        state = replace(
            state,
            payments=payments,
            instructions={**state.instructions, **changed},
            facts={**state.facts, **known},
        )
    return state, decision


def disputed(dispute: Dispute, minor: int = 1_000) -> ChargedBack:
    return ChargedBack(PAYMENT_ID, "dp_1", dispute, yuan(minor))


def elsewhere(minor: int = 300, refund_id: str = "re_1") -> RefundedElsewhere:
    return RefundedElsewhere(PAYMENT_ID, refund_id, yuan(minor))


# Once, and never refused.


@pytest.mark.parametrize(
    "fact",
    [
        CAPTURED,
        Authorized(PAYMENT_ID, yuan(1_000)),
        Expired(PAYMENT_ID),
        disputed(OPENED),
        elsewhere(),
        Answered(NUMBER, SUCCEEDED),
    ],
)
def test_the_same_telling_twice_is_told_once(fact: Fact) -> None:
    state, first = told(in_state(State.SENT), fact)

    assert first.facts[-1].fact_id == notice_id_for(channel="card", event_id="evt_0")
    assert first.facts[-1].kind is FactKind.NOTICE
    assert decide_fact(state, notice(fact, "evt_0")) == Accepted()


@pytest.mark.parametrize("state", PaymentState)
@pytest.mark.parametrize(
    "fact",
    [
        CAPTURED,
        Authorized(PAYMENT_ID, yuan(5_000)),
        Expired(PAYMENT_ID),
        disputed(OPENED, 5_000),
        disputed(WON),
        disputed(LOST, 5_000),
        elsewhere(5_000),
    ],
)
def test_a_fact_is_booked_in_every_state_of_the_payment(state: PaymentState, fact: Fact) -> None:
    _, decision = told(snapshot(payment(state)), fact)

    assert decision.payment is not None
    assert decision.parked is None


# What cannot be booked yet.

YUAN_ONLY = snapshot(payment())


@pytest.mark.parametrize(
    ("state", "fact", "channel"),
    [
        (snapshot(), CAPTURED, "card"),
        (snapshot(), Expired(PAYMENT_ID), "card"),
        (snapshot(), Answered(NUMBER, SUCCEEDED), "card"),
        (YUAN_ONLY, CAPTURED, "rail"),
        (YUAN_ONLY, Captured(PAYMENT_ID, "cap_1", Money(1, "USD")), "card"),
        (YUAN_ONLY, Authorized(PAYMENT_ID, Money(1, "USD")), "card"),
        (YUAN_ONLY, ChargedBack(PAYMENT_ID, "dp", OPENED, Money(1, "USD")), "card"),
        (YUAN_ONLY, RefundedElsewhere(PAYMENT_ID, "re", Money(1, "USD")), "card"),
        (in_state(State.SENT), Answered(NUMBER, SUCCEEDED), "rail"),
        (in_state(State.FAILED), Answered(NUMBER, SUCCEEDED), "rail"),
    ],
)
def test_what_is_unknown_foreign_or_in_another_currency_is_parked_with_a_case(
    state: Snapshot, fact: Fact, channel: str
) -> None:
    decision = accepted(decide_fact(state, notice(fact, channel=channel)))
    notice_id = notice_id_for(channel=channel, event_id="evt_1")
    [case] = decision.cases

    assert decision.payment is None
    assert decision.instructions == ()
    assert decision.events == (CaseOpened(case),)
    assert case.kind is CaseKind.PARKED_FACT
    assert [booked.fact_id for booked in decision.facts] == [notice_id]
    assert decision.parked == Parked(
        notice_id, channel, Observation("evt_1", fact, SIGNED), NOW + PARKED_RETRY_MS
    )


def retry(fact: Fact) -> RetryParked:
    observation = Observation("evt_1", fact, SIGNED)
    return RetryParked(channel="card", observation=observation, again_at=NOW + 5)


def test_a_parked_fact_waits_on_while_its_object_is_unknown() -> None:
    waiting = Parked(
        notice_id_for(channel="card", event_id="evt_1"),
        *("card", Observation("evt_1", CAPTURED, SIGNED), NOW + 5),
    )

    assert decide_parked(snapshot(), retry(CAPTURED)) == Accepted(parked=waiting)


@pytest.mark.parametrize("fact", [CAPTURED, Answered(NUMBER, SUCCEEDED)])
def test_a_parked_fact_is_applied_and_its_case_closed_once_its_object_is_known(fact: Fact) -> None:
    parking = accepted(decide_fact(snapshot(now=NOW - 9), notice(fact)))
    before = in_state(State.SENT)
    state = replace(before, cases={case.case_id: case for case in parking.cases})
    decision = accepted(decide_parked(state, retry(fact)))
    closed = decision.cases[-1]

    assert decision.payment != before.payments[PAYMENT_ID]
    assert closed == replace(parking.cases[0], closed_at=NOW, closed_by="applied")
    assert isinstance(decision.events[-1], CaseClosed)
    assert decision.parked is not None
    assert decision.parked.due_at is None


# An answer, told unasked.


def test_an_answer_is_heard_by_its_number() -> None:
    _, decision = told(in_state(State.UNKNOWN), Answered(NUMBER, SUCCEEDED))

    assert only(decision).state is State.SUCCEEDED
    assert (paid(decision).reserved, paid(decision).refunded) == (0, 400)


@pytest.mark.parametrize(
    "state",
    [
        in_state(State.HELD),
        in_state(State.ACCEPTED),
        in_state(State.ACCEPTED, attempt=1, leave_by=LEAVE_BY, sent_at=SENT_AT),
    ],
)
@pytest.mark.parametrize("outcome", [SUCCEEDED, BOUNCED])
def test_an_effect_of_what_is_not_on_its_way_is_never_lost(
    state: Snapshot, outcome: Outcome
) -> None:
    _, decision = told(state, Answered(NUMBER, outcome))
    [case] = decision.cases

    assert (case.kind, case.object_id) == (CaseKind.CONTRADICTION, REVERSAL_ID)
    assert CaseOpened(case) in decision.events


@pytest.mark.parametrize("state", [State.SENT, State.FAILED, State.SUCCEEDED])
def test_an_effect_under_an_old_number_is_never_lost(state: State) -> None:
    renumbered = in_state(state, number="NEW", generation=1)
    both = replace(renumbered, numbers={"NEW": REVERSAL_ID, NUMBER: REVERSAL_ID})
    _, decision = told(both, Answered(NUMBER, SUCCEEDED))

    assert [case.kind for case in decision.cases] == [CaseKind.CONTRADICTION]
    assert decision.instructions == ()


@pytest.mark.parametrize(
    "outcome",
    [
        said.Declined(Retry.NEVER, evidence=SIGNED),
        said.Accepted(evidence=SIGNED),
        said.Succeeded(yuan(400), PAYMENT_ID),
    ],
)
def test_no_other_word_about_an_old_number_changes_anything(outcome: Outcome) -> None:
    renumbered = in_state(State.SENT, number="NEW", generation=1)
    both = replace(renumbered, numbers={"NEW": REVERSAL_ID, NUMBER: REVERSAL_ID})
    _, decision = told(both, Answered(NUMBER, outcome))

    assert replace(decision, facts=()) == Accepted()


@pytest.mark.parametrize("state", [State.FAILED, State.WITHDRAWN])
def test_an_effect_of_what_was_never_sent_is_booked_if_it_is_over(state: State) -> None:
    over = in_state(state, attempt=0, leave_by=None, sent_at=None)
    _, decision = told(over, Answered(NUMBER, SUCCEEDED))

    assert only(decision).state is State.SUCCEEDED
    assert paid(decision).refunded == 400


# Authorised.


@pytest.mark.parametrize("state", [PaymentState.CREATED, PaymentState.PENDING])
def test_an_authorisation_is_recorded_with_its_amount(state: PaymentState) -> None:
    _, decision = told(snapshot(payment(state)), Authorized(PAYMENT_ID, yuan(1_000)))
    after = paid(decision)

    assert (after.state, after.authorized) == (PaymentState.AUTHORIZED, 1_000)
    assert (after.paid_at, after.expires_at) == (NOW, None)
    assert decision.events == (PaymentMoved(PaymentStep.AUTHORIZE, after, 1_000, 0, SIGNED),)


@pytest.mark.parametrize("state", sorted(ENDED))
def test_an_authorisation_after_the_end_is_a_late_fact(state: PaymentState) -> None:
    _, decision = told(snapshot(payment(state)), Authorized(PAYMENT_ID, yuan(1_000)))

    assert paid(decision).state is PaymentState.AUTHORIZED
    assert [case.kind for case in decision.cases] == [CaseKind.LATE_FACT]


@pytest.mark.parametrize(
    "before",
    [
        payment(PaymentState.AUTHORIZED),
        payment(),
        payment(PaymentState.CANCELED, authorized=1_000, voided=1_000),
        payment(PaymentState.EXPIRED, authorized=1_000, voided=1_000),
    ],
)
def test_old_news_of_an_authorisation_changes_nothing(before: Payment) -> None:
    """It was voided or captured since: the notice is only late."""
    _, decision = told(snapshot(before), Authorized(PAYMENT_ID, yuan(1_000)))

    assert decision.payment == before
    assert decision.cases == ()


def test_capture_and_authorisation_may_come_in_any_order() -> None:
    facts = [Authorized(PAYMENT_ID, yuan(1_000)), Captured(PAYMENT_ID, "cap_1", yuan(600))]
    pending = snapshot(payment(PaymentState.PENDING))
    states = [told(pending, *order)[0] for order in (facts, facts[::-1])]
    one, two = (replace(state.payments[PAYMENT_ID], sequence=0) for state in states)

    assert one == two
    assert one.capturable == 400


# Captured.


def test_captures_add_up_and_each_is_booked_once() -> None:
    more = Captured(PAYMENT_ID, "cap_2", yuan(200))
    state, decision = told(snapshot(payment(PaymentState.AUTHORIZED)), CAPTURED, more, CAPTURED)

    assert state.payments[PAYMENT_ID].captured == 1_200
    assert decision.events == ()
    assert fact_id_for(PAYMENT_ID, FactKind.CAPTURE, "cap_2") in state.facts


@pytest.mark.parametrize("state", sorted(ENDED))
@pytest.mark.parametrize(
    ("late", "cases", "follow_ups"),
    [
        (LateCapture.KEEP, [], 0),
        (LateCapture.ATTENTION, [CaseKind.LATE_FACT], 0),
        (LateCapture.REFUND, [], 1),
    ],
)
def test_what_follows_a_late_capture_is_a_matter_of_policy(
    state: PaymentState, late: LateCapture, cases: list[CaseKind], follow_ups: int
) -> None:
    rules = replace(policy(), late_capture=late)
    _, decision = told(snapshot(payment(state), rules=rules), CAPTURED)

    assert paid(decision).state is PaymentState.CAPTURED
    assert [case.kind for case in decision.cases] == cases
    assert len(decision.follow_ups) == follow_ups
    for refund in decision.follow_ups:
        assert isinstance(refund, RequestRefund)
        assert refund.amount == yuan(1_000)
        fact_id = fact_id_for(PAYMENT_ID, FactKind.CAPTURE, "cap_1")
        assert refund.key == f"shop/policy:{fact_id}"


LATE_CANCEL: dict[str, Any] = {"is_fallback": True, "failure": "already_captured"}


def test_a_reversal_whose_cancel_came_too_late_goes_on_when_the_capture_is_known() -> None:
    late = instruction(State.FAILED, Kind.VOID, **LATE_CANCEL)
    stranger = other(late, payment_id="shop/pay_2")
    state = snapshot(payment(PaymentState.AUTHORIZED), stranger, late)
    _, decision = told(state, CAPTURED)

    [refund] = decision.follow_ups
    assert isinstance(refund, RequestRefund)
    assert refund.amount == yuan(400)
    assert refund.key == f"shop/policy:{REVERSAL_ID}"


@pytest.mark.parametrize(
    ("before", "rules", "instructions"),
    [
        (
            payment(PaymentState.AUTHORIZED, charged_back=1_000),
            policy(),
            [instruction(State.FAILED, Kind.VOID, **LATE_CANCEL)],
        ),
        (
            payment(PaymentState.CANCELED, charged_back=1_000),
            replace(policy(), late_capture=LateCapture.REFUND),
            [],
        ),
    ],
)
def test_money_that_is_gone_already_is_not_sent_back_once_more(
    before: Payment, rules: Any, instructions: list[Any]
) -> None:
    _, decision = told(snapshot(before, *instructions, rules=rules), CAPTURED)

    assert paid(decision).refundable == 0
    assert decision.follow_ups == ()


# Expired.


@pytest.mark.parametrize(
    "state", [PaymentState.CREATED, PaymentState.PENDING, PaymentState.AUTHORIZED]
)
def test_an_expiry_that_the_channel_proves_frees_what_was_authorised(state: PaymentState) -> None:
    _, decision = told(snapshot(payment(state)), Expired(PAYMENT_ID))
    after = paid(decision)

    assert (after.state, after.capturable, after.expires_at) == (PaymentState.EXPIRED, 0, None)
    assert decision.events == (PaymentMoved(PaymentStep.EXPIRE, after, 0, 0, SIGNED),)


@pytest.mark.parametrize("state", [*sorted(ENDED), PaymentState.CAPTURED])
def test_an_expiry_after_the_end_changes_nothing(state: PaymentState) -> None:
    _, decision = told(snapshot(payment(state)), Expired(PAYMENT_ID))

    assert decision.payment == payment(state)
    assert decision.events == ()


# Charged back.


@pytest.mark.parametrize(
    ("disputes", "charged_back", "state"),
    [
        ([OPENED], 1_000, FactState.OPENED),
        ([OPENED, OPENED], 1_000, FactState.OPENED),
        ([OPENED, WON], 0, FactState.WON),
        ([WON, OPENED], 0, FactState.WON),
        ([OPENED, WON, WON], 0, FactState.WON),
        ([OPENED, LOST], 1_000, FactState.LOST),
        ([LOST, OPENED], 1_000, FactState.LOST),
        ([WON], 0, FactState.WON),
        ([LOST], 1_000, FactState.LOST),
    ],
)
def test_a_dispute_ends_the_same_in_any_order(
    disputes: list[Dispute], charged_back: int, state: FactState
) -> None:
    after, _ = told(snapshot(payment()), *(disputed(dispute) for dispute in disputes))

    assert after.payments[PAYMENT_ID].charged_back == charged_back
    assert after.facts[fact_id_for(PAYMENT_ID, FactKind.CHARGEBACK, "dp_1")].state is state


def test_what_comes_back_is_what_was_taken_whatever_is_told() -> None:
    after, _ = told(snapshot(payment()), disputed(OPENED, 700), disputed(WON, 900))

    assert after.payments[PAYMENT_ID].charged_back == 0


@pytest.mark.parametrize(
    ("before", "excess"),
    [({}, 0), ({"refunded": 300}, 300), ({"reserved": 300}, 300), ({"refunded": 1_000}, 1_000)],
)
def test_a_chargeback_is_booked_even_when_nothing_is_left(
    before: dict[str, int], excess: int
) -> None:
    _, decision = told(snapshot(payment(**before)), disputed(OPENED))

    assert paid(decision).excess == excess
    assert paid(decision).refundable == 0
    assert [case.kind for case in decision.cases] == [CaseKind.OVER_REVERSAL] * (excess > 0)
    booked = decision.events[0]
    assert isinstance(booked, FactBooked)
    assert (booked.taken, booked.excess) == (1_000, excess)


def test_a_dispute_that_is_won_takes_back_the_loss() -> None:
    _, decision = told(snapshot(payment(refunded=300)), disputed(OPENED), disputed(WON))
    booked = decision.events[0]

    assert paid(decision).excess == 0
    assert isinstance(booked, FactBooked)
    assert (booked.taken, booked.excess) == (-1_000, -300)
    assert decision.cases == ()


# Refunded elsewhere.


@pytest.mark.parametrize(("before", "excess"), [({}, 0), ({"reserved": 800}, 100)])
def test_a_refund_that_nobody_asked_us_for_is_booked(before: dict[str, int], excess: int) -> None:
    _, decision = told(snapshot(payment(**before)), elsewhere())

    assert (paid(decision).refunded, paid(decision).refunds) == (300, 1)
    assert paid(decision).excess == excess
    assert [case.kind for case in decision.cases] == [CaseKind.OVER_REVERSAL] * (excess > 0)


def test_each_refund_elsewhere_is_booked_once() -> None:
    after, _ = told(snapshot(payment()), elsewhere(), elsewhere(), elsewhere(300, "re_2"))

    assert after.payments[PAYMENT_ID].refunded == 600
