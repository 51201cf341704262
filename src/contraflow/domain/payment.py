"""The payment as contraflow needs to know it: what came in and what has left again.

Requests are admitted: they never raise `excess`. Facts are booked: the money is gone, so they
always succeed, and `excess` is what they took beyond what was captured.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from contraflow.domain.lifecycle import PAYMENT_TRANSITIONS, PaymentState, PaymentStep
from contraflow.domain.money import Money
from contraflow.domain.word import Word


class Capturing(Word):
    AUTOMATIC = "automatic"  # Paid is captured.
    MANUAL = "manual"  # Paid is authorised; a capture is asked for later.


class Payment(Struct, frozen=True, gc=False):
    """All amounts are minor units of its one currency. The fields are the columns of its row."""

    payment_id: str
    channel: str
    method: str
    instrument: str  # What the payer paid with, as the channel named it.
    currency: str
    amount: int  # What the payer was asked for.
    capturing: Capturing
    pay_number: str  # Of the payment command; empty for a payment that was made elsewhere.
    created_at: int
    labels: str  # Canonical JSON of `Labels`.
    # What may change:
    state: PaymentState
    authorized: int = 0
    capture_in_flight: int = 0  # Captures that we asked for and that are not final.
    captured: int = 0
    void_in_flight: int = 0
    voided: int = 0
    reserved: int = 0  # Refunds accepted but not yet final.
    refunded: int = 0  # Refunds that are proven, less those that bounced.
    charged_back: int = 0
    excess: int = 0  # What left beyond what was captured; raised by facts alone.
    refunds: int = 0  # How many, failed and withdrawn ones apart.
    unknown: int = 0  # How many of its instructions are in doubt.
    closing: int = 0  # How many closes are on their way.
    paid_at: int | None = None  # Authorised or captured first.
    captured_at: int | None = None  # The latest capture.
    refund_sent_at: int | None = None  # The latest mark of a refund, where gaps matter.
    expires_at: int | None = None  # Until when the payer may pay; None once it is settled.
    reference: str = ""  # The channel's own, once known.
    sequence: int = 1  # Of its latest event; dense.

    def __post_init__(self) -> None:
        assert min(self.authorized, self.captured, self.voided, self.refunds, self.unknown) >= 0
        assert min(self.reserved, self.refunded, self.charged_back, self.void_in_flight) >= 0
        assert (
            self.captured + self.capture_in_flight + self.voided + self.void_in_flight
            <= self.authorized
        )
        gone = self.reserved + self.refunded + self.charged_back
        assert self.excess == max(0, gone - self.captured)

    @property
    def gone(self) -> int:
        return self.reserved + self.refunded + self.charged_back

    @property
    def refundable(self) -> int:
        return max(0, self.captured - self.gone)

    @property
    def capturable(self) -> int:
        """Authorised and free: what may still be captured or voided."""
        return (
            self.authorized
            - self.captured
            - self.capture_in_flight
            - self.voided
            - self.void_in_flight
        )

    def can(self, step: PaymentStep) -> bool:
        return (self.state, step) in PAYMENT_TRANSITIONS

    def money(self, minor: int) -> Money:
        return Money(minor, self.currency)


# Requests: admitted, and never beyond what is there.


def reserve(payment: Payment, minor: int) -> Payment:
    assert minor <= payment.refundable, "a request must never raise the excess"
    return replace(payment, reserved=payment.reserved + minor, refunds=payment.refunds + 1)


def begin_void(payment: Payment, minor: int) -> Payment:
    assert minor <= payment.capturable
    return replace(payment, void_in_flight=payment.void_in_flight + minor)


def begin_capture(payment: Payment, minor: int) -> Payment:
    assert minor <= payment.capturable
    return replace(payment, capture_in_flight=payment.capture_in_flight + minor)


# What becomes of them.


def confirm_refund(payment: Payment, minor: int) -> Payment:
    return replace(payment, reserved=payment.reserved - minor, refunded=payment.refunded + minor)


def release_refund(payment: Payment, minor: int) -> Payment:
    reserved, refunds = payment.reserved - minor, payment.refunds - 1
    excess = max(0, payment.gone - minor - payment.captured)
    return replace(payment, reserved=reserved, refunds=refunds, excess=excess)


def drop_void(payment: Payment, minor: int) -> Payment:
    """A capture may have used what was being voided; that void can only fail."""
    return replace(
        payment, void_in_flight=payment.void_in_flight - min(minor, payment.void_in_flight)
    )


def confirm_void(payment: Payment, minor: int) -> Payment:
    in_flight = payment.void_in_flight - min(minor, payment.void_in_flight)
    return _authorizing(payment, void_in_flight=in_flight, voided=payment.voided + minor)


def drop_capture(payment: Payment, minor: int) -> Payment:
    return replace(payment, capture_in_flight=payment.capture_in_flight - minor)


# Facts: booked whatever we think of them.


def authorize(payment: Payment, minor: int, now: int) -> Payment:
    return replace(
        payment,
        authorized=max(payment.authorized, minor),
        paid_at=payment.paid_at or now,
        expires_at=None,
    )


def capture(payment: Payment, minor: int, now: int) -> Payment:
    """Use first what is free, then what is being voided; only then raise what was authorised."""
    over = max(0, minor - payment.capturable)
    captured = payment.captured + minor
    return _authorizing(
        payment,
        captured=captured,
        void_in_flight=payment.void_in_flight - min(over, payment.void_in_flight),
        excess=max(0, payment.gone - captured),
        paid_at=payment.paid_at or now,
        captured_at=now,
        expires_at=None,
    )


def bounce_refund(payment: Payment, minor: int) -> Payment:
    excess = max(0, payment.gone - minor - payment.captured)
    return replace(payment, refunded=payment.refunded - minor, excess=excess)


def refund_by_fact(payment: Payment, minor: int) -> Payment:
    """A refund made elsewhere, or an effect after we had booked a failure."""
    excess = max(0, payment.gone + minor - payment.captured)
    return replace(
        payment, refunded=payment.refunded + minor, refunds=payment.refunds + 1, excess=excess
    )


def charge_back(payment: Payment, minor: int) -> Payment:
    """A negative amount gives it back: the merchant has won."""
    excess = max(0, payment.gone + minor - payment.captured)
    return replace(payment, charged_back=payment.charged_back + minor, excess=excess)


def _authorizing(payment: Payment, **changes: int | None) -> Payment:
    """A fact raises what was authorised where it must, so that the parts never exceed it."""
    parts = ("captured", "capture_in_flight", "voided", "void_in_flight")
    used = sum(changes.get(part, getattr(payment, part)) or 0 for part in parts)
    return replace(payment, authorized=max(payment.authorized, used), **changes)


def move(payment: Payment, step: PaymentStep) -> Payment:
    state = PAYMENT_TRANSITIONS[payment.state, step]
    return replace(payment, state=state, sequence=payment.sequence + 1)
