"""Do the amounts of a payment keep their invariants, in whatever order things happen?"""

from collections.abc import Callable
from typing import Any

import pytest
from cases import NOW, payment
from hypothesis import given, settings
from hypothesis import strategies as st
from walks import BEGINNINGS, Move, Walk, begin, lives

from contraflow.domain import payment as amounts
from contraflow.domain.events import InstructionMoved, PaymentMoved
from contraflow.domain.facts import FactKind
from contraflow.domain.instruction import Instruction, Kind
from contraflow.domain.lifecycle import FINAL, PaymentState, PaymentStep, State
from contraflow.domain.payment import Payment
from contraflow.domain.policy import LateCapture

AUTHORIZED = payment(PaymentState.AUTHORIZED)


def test_what_is_refundable_is_what_came_and_has_not_gone() -> None:
    one = payment(reserved=100, refunded=200, charged_back=300)

    assert one.gone == 600
    assert one.refundable == 400
    assert payment(refunded=1_000, charged_back=1_000).refundable == 0


def test_what_is_capturable_is_what_is_authorised_and_free() -> None:
    one = payment(captured=100, capture_in_flight=200, voided=300, void_in_flight=150)

    assert one.capturable == 250


@pytest.mark.parametrize(
    "fields",
    [
        {"authorized": 999},
        {"capture_in_flight": 1},
        {"voided": 1},
        {"void_in_flight": 1},
        {"excess": 1},
        {"refunded": 1_001, "excess": 0},
        {"refunded": 1_001, "excess": 2},
        {"reserved": -1},
        {"refunded": -1},
        {"charged_back": -1},
        {"captured": -1},
        {"voided": -1},
        {"void_in_flight": -1},
        {"refunds": -1},
        {"unknown": -1},
    ],
)
def test_a_payment_that_cannot_be_is_a_bug_of_ours(fields: dict[str, int]) -> None:
    with pytest.raises(AssertionError):
        payment(**fields)


@pytest.mark.parametrize(
    ("admit", "before"),
    [
        (amounts.reserve, payment()),
        (amounts.begin_void, AUTHORIZED),
        (amounts.begin_capture, AUTHORIZED),
    ],
)
def test_a_request_is_admitted_to_the_last_minor_unit_and_never_beyond(
    admit: Callable[[Payment, int], Payment], before: Payment
) -> None:
    full = admit(before, 1_000)

    assert full.excess == 0
    with pytest.raises(AssertionError):
        admit(full, 1)


@pytest.mark.parametrize(
    ("there", "back", "before"),
    [
        (amounts.reserve, amounts.release_refund, payment()),
        (amounts.begin_void, amounts.drop_void, AUTHORIZED),
        (amounts.begin_capture, amounts.drop_capture, AUTHORIZED),
        (
            amounts.charge_back,
            lambda after, minor: amounts.charge_back(after, -minor),
            payment(reserved=900),
        ),
    ],
)
def test_what_is_given_back_leaves_no_trace(
    there: Callable[[Payment, int], Payment],
    back: Callable[[Payment, int], Payment],
    before: Payment,
) -> None:
    assert back(there(before, 400), 400) == before


@pytest.mark.parametrize(
    ("book", "excess"),
    [
        (lambda one: amounts.refund_by_fact(one, 300), 200),
        (lambda one: amounts.charge_back(one, 300), 200),
        (lambda one: amounts.bounce_refund(one, 400), 0),
        (lambda one: amounts.release_refund(one, 500), 0),
        (lambda one: amounts.confirm_refund(one, 500), 0),
        (lambda one: amounts.refund_by_fact(one, 100), 0),
        (lambda one: amounts.capture(amounts.charge_back(one, 300), 150, NOW), 50),
        (lambda one: amounts.bounce_refund(amounts.charge_back(one, 300), 150), 50),
        (lambda one: amounts.release_refund(amounts.charge_back(one, 300), 150), 50),
    ],
)
def test_the_loss_is_what_left_beyond_what_was_captured(
    book: Callable[[Payment], Payment], excess: int
) -> None:
    before = payment(reserved=500, refunded=400, refunds=2)

    assert book(before).excess == excess


def test_a_void_that_a_capture_has_used_gives_nothing_back() -> None:
    voiding = amounts.begin_void(AUTHORIZED, 1_000)
    captured = amounts.capture(voiding, 1_000, NOW)

    assert (captured.authorized, captured.void_in_flight) == (1_000, 0)
    assert amounts.drop_void(captured, 1_000).capturable == 0


def test_a_void_that_acted_all_the_same_raises_what_was_authorised() -> None:
    voiding = amounts.begin_void(AUTHORIZED, 1_000)
    both = amounts.confirm_void(amounts.capture(voiding, 1_000, NOW), 1_000)

    assert (both.captured, both.voided, both.authorized) == (1_000, 1_000, 2_000)


def test_what_is_authorised_never_falls() -> None:
    assert amounts.authorize(AUTHORIZED, 1, NOW).authorized == 1_000
    assert amounts.authorize(AUTHORIZED, 1_001, NOW).authorized == 1_001


def test_the_first_payment_counts_and_the_latest_capture() -> None:
    once = amounts.capture(payment(PaymentState.PENDING), 400, NOW)
    twice = amounts.capture(once, 400, NOW + 9)

    assert (twice.paid_at, twice.captured_at, twice.expires_at) == (NOW, NOW + 9, None)


# Any order of requests, outcomes and facts.


def total(walk: Walk, kind: Kind, choose: Callable[[Instruction], bool]) -> int:
    return sum(one.minor for one in walk.instructions if one.kind is kind and choose(one))


def is_open(one: Instruction) -> bool:
    return one.state not in FINAL


def booked(walk: Walk, kind: FactKind) -> int:
    facts = [fact for fact in walk.snapshot.facts.values() if fact.kind is kind]
    return sum(fact.minor for fact in facts if fact.state != "won")


def check(walk: Walk) -> None:
    """What must be true after every command, computed another way."""
    one = walk.payment
    is_refunded = total(walk, Kind.REFUND, lambda one: one.state is State.SUCCEEDED)
    numbered = [it for it in walk.instructions if it.state is State.UNKNOWN]
    closes = [it for it in walk.instructions if it.kind is Kind.CLOSE and is_open(it)]

    assert one.excess == max(0, one.reserved + one.refunded + one.charged_back - one.captured)
    assert one.reserved == total(walk, Kind.REFUND, is_open)
    assert one.refunded == is_refunded + booked(walk, FactKind.REFUND_ELSEWHERE)
    assert one.charged_back == booked(walk, FactKind.CHARGEBACK)
    assert one.captured == booked(walk, FactKind.CAPTURE)
    assert one.capture_in_flight == total(walk, Kind.CAPTURE, is_open)
    assert one.void_in_flight <= total(walk, Kind.VOID, is_open)
    assert one.unknown == len(numbered)
    assert one.closing == len(closes)
    assert one.capturable >= 0
    assert (one.state is PaymentState.CAPTURED) == (one.captured > 0)


@settings(max_examples=150, deadline=None)
@given(
    beginning=st.sampled_from(BEGINNINGS),
    moves=lives(),
    late_capture=st.sampled_from(list(LateCapture)),
)
def test_any_order_of_requests_outcomes_and_facts_keeps_the_amounts_true(
    beginning: str, moves: list[Move], late_capture: LateCapture
) -> None:
    walk = begin(beginning, late_capture)
    for move in moves:
        before = walk.payment
        walk.take(move)
        check(walk)
        if not move[0].startswith(("tell", "answer", "resolve")):
            assert walk.payment.excess <= before.excess, "a request never raises the loss"


@settings(max_examples=60, deadline=None)
@given(beginning=st.sampled_from(BEGINNINGS), moves=lives())
def test_every_event_of_an_object_has_the_next_number(beginning: str, moves: list[Move]) -> None:
    walk = begin(beginning)
    for move in moves:
        walk.take(move)
    told: dict[str, list[int]] = {}
    for event in walk.events:
        thing: Any = getattr(event, "instruction", None) or getattr(event, "payment", None)
        if thing is not None:
            name = getattr(thing, "instruction_id", thing.payment_id)
            told.setdefault(name, []).append(thing.sequence)

    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in told.values())


def test_the_walks_meet_what_they_are_for() -> None:
    """A scripted life through a capture, a refund, a chargeback and a bounce."""
    walk = begin("authorized")
    script = [
        ("request_capture", 1, 700),
        ("mark", 0, 1),
        ("answer", 0, 14 * 50),
        ("request_refund", 0, 500),
        ("wait", 0, 1),
        ("mark", 0, 1),
        ("answer", 0, 14 * 50),
        ("tell_fact", 4, 224),
    ]
    for move in script:
        walk.take(move)
        check(walk)
    steps = {event.step for event in walk.events if isinstance(event, InstructionMoved)}

    assert {"hold", "release", "send", "succeed"} <= steps
    assert PaymentStep.CAPTURE in {
        event.step for event in walk.events if isinstance(event, PaymentMoved)
    }
    assert (walk.payment.captured, walk.payment.refunded) == (700, 500)
    assert (walk.payment.charged_back, walk.payment.excess) == (224, 24)
