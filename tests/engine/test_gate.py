"""How much a channel gets at once."""

from __future__ import annotations

import pytest

from contraflow.domain.instruction import Fence
from contraflow.engine.gate import Gate
from contraflow.engine.limits import BREAKER_FAILURES_MAX, BREAKER_PAUSE_MS

NOW = 50_000


def fence(number: int) -> Fence:
    return Fence(f"main/i{number}", 0, 0)


def failed(gate: Gate, times: int) -> Gate:
    for _ in range(times):
        gate.note_silence(NOW)
    return gate


def test_every_call_takes_a_slot_until_it_ends() -> None:
    gate = Gate(slots=2)
    gate.enter(fence(1), NOW)
    gate.enter(fence(2), NOW)
    assert gate.free(NOW) == 0
    gate.leave(fence(1))

    assert gate.free(NOW) == 1


def test_leaving_twice_frees_one_slot() -> None:
    gate = Gate(slots=2)
    gate.enter(fence(1), NOW)
    gate.enter(fence(2), NOW)
    gate.leave(fence(1))
    gate.leave(fence(1))

    assert gate.free(NOW) == 1


def test_a_rate_limit_counts_calls_that_have_ended() -> None:
    gate = Gate(slots=10, calls_per_s=3)
    for number in range(3):
        assert gate.free(NOW) == 3 - number
        gate.enter(fence(number), NOW + number)
        gate.leave(fence(number))

    assert gate.free(NOW + 999) == 0
    assert gate.free(NOW + 1_000) == 3


def test_the_count_begins_again_with_the_second() -> None:
    gate = Gate(slots=10, calls_per_s=3)
    gate.enter(fence(1), NOW)
    gate.enter(fence(2), NOW + 1_000)

    assert gate.free(NOW + 1_000) == 2


def test_slots_count_also_where_there_is_a_rate_limit() -> None:
    gate = Gate(slots=1, calls_per_s=3)
    gate.enter(fence(1), NOW)

    assert gate.free(NOW + 60_000) == 0


@pytest.mark.parametrize("failures", [1, BREAKER_FAILURES_MAX - 1])
def test_a_few_failures_stop_nothing(failures: int) -> None:
    assert failed(Gate(slots=5), failures).free(NOW) == 5


def test_after_so_many_failures_nothing_is_sent_for_a_while() -> None:
    gate = failed(Gate(slots=5), BREAKER_FAILURES_MAX)

    assert gate.free(NOW) == 0
    assert gate.free(NOW + BREAKER_PAUSE_MS - 1) == 0


def test_after_the_pause_one_call_tries_whether_it_is_over() -> None:
    gate, later = failed(Gate(slots=5), BREAKER_FAILURES_MAX), NOW + BREAKER_PAUSE_MS
    assert gate.free(later) == 1
    gate.enter(fence(1), later)

    assert gate.free(later) == 0


def test_if_it_is_not_over_it_pauses_again() -> None:
    gate, later = failed(Gate(slots=5), BREAKER_FAILURES_MAX), NOW + BREAKER_PAUSE_MS
    gate.note_silence(later)

    assert gate.free(later + BREAKER_PAUSE_MS - 1) == 0
    assert gate.free(later + BREAKER_PAUSE_MS) == 1


def test_a_call_that_fails_opens_no_gate_that_is_shut_for_longer() -> None:
    gate = Gate(slots=5, shut_until=NOW + 10 * BREAKER_PAUSE_MS)
    failed(gate, BREAKER_FAILURES_MAX)

    assert gate.free(NOW + 10 * BREAKER_PAUSE_MS - 1) == 0


def test_one_answer_closes_the_breaker() -> None:
    gate, later = failed(Gate(slots=5), BREAKER_FAILURES_MAX), NOW + BREAKER_PAUSE_MS
    gate.note_answer()

    assert gate.free(later) == 5
    assert failed(gate, BREAKER_FAILURES_MAX - 1).free(later) == 5
