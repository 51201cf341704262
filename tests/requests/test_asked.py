"""By its key and its fingerprint a request is known again, at whichever door it comes."""

from __future__ import annotations

from msgspec.structs import replace

from contraflow.domain.commands import CreatePayment, RequestRefund
from contraflow.domain.instruction import Timing
from contraflow.domain.money import Money
from contraflow.domain.payment import Capturing
from contraflow.requests.asked import fingerprinted, fingerprinted_payment, is_given, timing_of

REFUND = RequestRefund(
    key="main/k1", fingerprint=b"", payment_id="main/p1", amount=Money(400, "CNY")
)
PAYMENT = CreatePayment(
    key="main/k2",
    fingerprint=b"",
    payment_id="main/p1",
    channel="sandbox",
    amount=Money(400, "CNY"),
    capturing=Capturing.AUTOMATIC,
    expires_at=1_000,
)


def of(command: RequestRefund, route: str = "refund") -> bytes:
    return fingerprinted(route, command).fingerprint


def test_what_is_asked_for_makes_the_fingerprint() -> None:
    assert len(of(REFUND)) == 32
    assert of(REFUND) != of(REFUND, "reverse")
    assert of(REFUND) != of(replace(REFUND, amount=Money(401, "CNY")))
    assert of(REFUND) != of(replace(REFUND, amount=Money(400, "EUR")))
    assert of(REFUND) != of(replace(REFUND, payment_id="main/p2"))
    assert of(REFUND) != of(replace(REFUND, labels='{"reason":"broken"}'))


def test_how_it_is_asked_for_does_not() -> None:
    """The key is compared by itself; waiting, and the door, are nobody's business."""
    assert of(REFUND) == of(replace(REFUND, key="main/k9"))
    assert of(REFUND) == of(replace(REFUND, timing=Timing.SYNCHRONOUS))
    assert of(REFUND) == of(replace(REFUND, labels='{"source":"api"}'))
    assert of(replace(REFUND, labels='{"source":"api"}')) == of(
        replace(REFUND, labels='{"source":"cli"}')
    )


def test_a_payment_is_asked_for_with_how_long_it_is_valid_not_until_when() -> None:
    def payment(expires_at: int, valid_ms: int) -> bytes:
        return fingerprinted_payment(replace(PAYMENT, expires_at=expires_at), valid_ms).fingerprint

    assert payment(1_000, 500) == payment(2_000, 500)
    assert payment(1_000, 500) != payment(1_000, 600)


def test_what_was_not_given_is_left_out() -> None:
    assert [is_given(value) for value in (None, False, "")] == [False] * 3
    assert [is_given(value) for value in (0, True, "x")] == [True] * 3


def test_who_waits_is_synchronous() -> None:
    assert timing_of(None) is Timing.ASYNCHRONOUS
    assert timing_of(0.0) is timing_of(5.0) is Timing.SYNCHRONOUS
