"""What a channel is asked, and when it is asked again."""

from __future__ import annotations

import cases as a
import pytest
from msgspec.structs import replace

from contraflow.channels import Abilities, Action
from contraflow.channels.sandbox import RAIL_ABILITIES
from contraflow.domain.instruction import Instruction, Kind
from contraflow.domain.lifecycle import State
from contraflow.engine.attempts import ACTIONS, again_at, attempt_of, retry_at
from contraflow.engine.limits import DAY_MS, RETRY_LATER_MS, RETRY_LATER_MS_MAX

UNKNOWN = a.instruction(State.UNKNOWN)
SENT_AT = a.SENT_AT
RAIL = RAIL_ABILITIES
NAMES = [f"N{number}" for number in range(200)]


def asked_again_after(abilities: Abilities, since_ms: int, one: Instruction = UNKNOWN) -> int:
    return again_at(abilities, one, SENT_AT + since_ms) - SENT_AT


def crowd(one: Instruction = UNKNOWN) -> list[Instruction]:
    return [replace(one, number=name) for name in NAMES]


@pytest.mark.parametrize(
    ("since_ms", "expected"),
    [
        (0, 10_000),
        (9_999, 10_000),
        (10_000, 40_000),
        (40_000, 100_000),
        (340_000, 640_000),
        (23 * 3_600_000, DAY_MS),
        (DAY_MS, 2 * DAY_MS),
        (9 * DAY_MS, 10 * DAY_MS),
    ],
)
def test_the_schedule_of_the_channel_counts_since_the_first_attempt_and_then_daily(
    since_ms: int, expected: int
) -> None:
    wait_ms = expected - since_ms
    after = asked_again_after(RAIL, since_ms)

    assert expected <= after <= expected + wait_ms // 10


def test_what_was_never_sent_counts_from_now() -> None:
    one = a.instruction(State.ACCEPTED)

    assert 10_000 <= again_at(RAIL, one, a.NOW) - a.NOW <= 11_000


def test_a_crowd_comes_apart_by_up_to_a_tenth() -> None:
    waits = {asked_again_after(RAIL, 0, each) for each in crowd()}

    assert min(waits) >= 10_000
    assert max(waits) <= 11_000
    assert len(waits) > 100
    assert max(waits) - min(waits) > 900


def test_the_jitter_follows_from_the_instruction_and_changes_with_every_look() -> None:
    again = replace(UNKNOWN, lease=UNKNOWN.lease + 1)

    assert asked_again_after(RAIL, 0) == asked_again_after(RAIL, 0)
    assert asked_again_after(RAIL, 0) != asked_again_after(RAIL, 0, again)
    assert asked_again_after(RAIL, 0) - 10_000 == 187  # Also in another process.


@pytest.mark.parametrize("attempt", range(1, 30))
def test_a_retry_waits_twice_as_long_as_the_one_before_up_to_a_limit(attempt: int) -> None:
    one = a.instruction(State.SENT, attempt=attempt)
    expected = min(RETRY_LATER_MS * 2 ** (attempt - 1), RETRY_LATER_MS_MAX)
    wait_ms = retry_at(one, a.NOW) - a.NOW

    assert expected <= wait_ms <= expected + expected // 10


def test_of_one_number_every_attempt_has_the_same_fields() -> None:
    payment = a.payment(reference="their-1")
    first = attempt_of(payment, UNKNOWN, Action.REFUND)
    later = attempt_of(
        replace(payment, reserved=400),
        replace(UNKNOWN, attempt=5, lease=9, sequence=9, in_doubt=True),
        Action.REFUND,
    )

    assert first == later
    assert (first.number, first.amount) == (UNKNOWN.number, UNKNOWN.amount)
    assert (first.payment_number, first.payment_reference) == (payment.pay_number, "their-1")


def test_the_reason_goes_along() -> None:
    one = replace(UNKNOWN, labels='{"reason":"broken","actor":"anna"}')

    assert attempt_of(a.payment(), one, Action.REFUND).reason == "broken"


def test_every_kind_has_the_action_of_its_name() -> None:
    assert {kind.value: action.value for kind, action in ACTIONS.items()} == {
        kind.value: kind.value for kind in Kind
    }
