"""The figures of the mission, each computed by hand beside it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from contraflow.engine.metrics import (
    GROUPS,
    Rate,
    cancel_success,
    command_success,
    delay,
    measure,
    percentile,
    shown,
    spread,
    stages,
)
from contraflow.store import RECORDED, Finished, Sent

CANCEL, REFUND = GROUPS["cancel"], GROUPS["refund"]


def finished(
    kind: str,
    state: str,
    *,
    took: int,
    sent_after: int | None = 0,
    known_after: int | None = None,
) -> Finished:
    """Requested at 1000; times are since then."""
    return Finished(
        kind,
        state,
        1_000,
        None if sent_after is None else 1_000 + sent_after,
        1_000 + (took if known_after is None else known_after),
        1_000 + took,
    )


# SR


def test_the_cancel_success_rate_is_of_payment_commands() -> None:
    """Eight were sent or recorded; of these two were closed or voided and one taken back."""
    sent = [
        Sent("pay", "succeeded", "captured", 2),
        Sent("pay", "failed", "canceled", 1),  # Closed, so the bank declined it.
        Sent("pay", "withdrawn", "canceled", 1),  # The channel gave it back.
        Sent("pay", "pending", "pending", 1),
        Sent(RECORDED, "", "canceled", 1),  # Voided.
        Sent(RECORDED, "", "authorized", 1),
        Sent(RECORDED, "", "captured", 1),
        Sent("void", "succeeded", "canceled", 1),
        Sent("capture", "succeeded", "captured", 5),
    ]

    assert cancel_success(sent) == Rate(succeeded=3, sent=8, open=2)
    assert cancel_success(sent).value == Fraction(3, 8)


def test_a_payment_captured_after_its_cancel_is_not_cancelled() -> None:
    sent = [Sent("pay", "succeeded", "captured", 1), Sent("void", "succeeded", "captured", 1)]

    assert cancel_success(sent).value == 0


def test_the_rate_per_cancel_command_is_another_figure() -> None:
    """Three commands for two payments: one voided, one captured first and asked again."""
    sent = [
        Sent(RECORDED, "", "canceled", 1),
        Sent(RECORDED, "", "captured", 1),
        Sent("void", "succeeded", "canceled", 1),
        Sent("void", "failed", "captured", 1),
        Sent("close", "unknown", "captured", 1),
    ]

    assert cancel_success(sent).value == Fraction(1, 2)
    assert command_success(sent, CANCEL) == Rate(succeeded=1, sent=3, open=1)


# RR


def test_the_refund_success_rate_is_of_refunds_that_were_sent() -> None:
    """Seven sent, three there; a bounce is no success, and `attention` is open."""
    sent = [
        Sent("refund", "succeeded", "captured", 3),
        Sent("refund", "bounced", "captured", 1),
        Sent("refund", "failed", "captured", 1),
        Sent("refund", "attention", "captured", 1),
        Sent("refund", "pending", "captured", 1),
        Sent("void", "succeeded", "canceled", 9),
    ]

    assert command_success(sent, REFUND) == Rate(succeeded=3, sent=7, open=2)
    assert command_success(sent, REFUND).value == Fraction(3, 7)


# DL and RL


def test_the_delay_compares_the_successful_with_all_that_ended() -> None:
    """Tc = (100 + 200) / 2 = 150; Tt = (100 + 200 + 600) / 3 = 300; (150 - 300) / 300 = -1/2."""
    rows = [
        finished("close", "succeeded", took=100),
        finished("void", "succeeded", took=200),
        finished("void", "failed", took=600),
        finished("refund", "succeeded", took=9_000),
    ]
    of_cancels = delay(rows, CANCEL)

    assert (of_cancels.succeeded, of_cancels.final) == (2, 3)
    assert (of_cancels.succeeded_mean, of_cancels.final_mean) == (150, 300)
    assert of_cancels.value == Fraction(-1, 2)


def test_the_delay_of_refunds_may_be_positive_and_is_exact() -> None:
    """Tc = 400; Tt = (400 + 1 + 2) / 3 = 403/3; their quotient less 1 is 797/403."""
    rows = [
        finished("refund", "succeeded", took=400),
        finished("refund", "bounced", took=1),
        finished("refund", "withdrawn", took=2, sent_after=None),
    ]

    assert delay(rows, REFUND).value == Fraction(797, 403)


@pytest.mark.parametrize(
    "rows",
    [[], [finished("refund", "failed", took=5)], [finished("refund", "succeeded", took=0)]],
    ids=["nothing ended", "nothing succeeded", "no time passed"],
)
def test_a_delay_that_divides_by_nothing_is_none(rows: list[Finished]) -> None:
    assert delay(rows, REFUND).value is None


def test_a_rate_that_divides_by_nothing_is_none() -> None:
    measured = measure([], [])

    assert measured.cancel_success.value is None
    assert measured.refund_success.value is None
    assert measured.cancel_command_success.value is None


# Stages


def test_stages_measure_only_what_was_reached() -> None:
    rows = [
        finished("refund", "succeeded", took=900, sent_after=100, known_after=400),
        finished("refund", "withdrawn", took=50, sent_after=None),
    ]
    of_refunds = stages(rows, REFUND)

    assert (of_refunds.requested_to_sent.count, of_refunds.requested_to_sent.p50) == (1, 100)
    assert of_refunds.sent_to_accepted.p99 == 300
    assert of_refunds.accepted_to_final.p99 == 500
    assert (of_refunds.requested_to_final.count, of_refunds.requested_to_final.p50) == (2, 50)


@pytest.mark.parametrize(
    ("hundredths", "expected"), [(50, 50), (95, 95), (99, 99), (1, 1), (100, 100)]
)
def test_a_percentile_is_the_nearest_rank(hundredths: int, expected: int) -> None:
    assert percentile(range(1, 101), hundredths) == expected


def test_a_percentile_of_few_is_one_of_them() -> None:
    assert percentile([7], 99) == 7
    assert percentile([1, 2, 3], 50) == 2
    assert percentile([], 50) is None
    assert spread([3, 1, 2]).p95 == 3


def test_only_what_is_shown_is_a_float() -> None:
    assert shown(Fraction(1, 3)) == 0.333333
    assert shown(None) is None
