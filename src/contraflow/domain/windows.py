"""Until when a payment can be cancelled or refunded, how often, and how far apart."""

from __future__ import annotations

from msgspec import Struct


class Window(Struct, frozen=True, kw_only=True):
    """A fact about a channel and a method; None where the channel sets no limit.

    Count and deadlines refuse a request; the gap only delays its sending.
    """

    cancel_within_ms: int | None = None  # Since the payment was made.
    refund_within_ms: int | None = None  # Since the latest capture.
    refunds_max: int | None = None  # Refunds of one payment, failed and withdrawn ones apart.
    gap_ms: int = 0  # Between the sending of two refunds of one payment.


def is_over(since: int | None, within_ms: int | None, now: int) -> bool:
    """At the very deadline it is still open."""
    return since is not None and within_ms is not None and now > since + within_ms


def deadline(since: int | None, within_ms: int | None) -> int | None:
    return None if since is None or within_ms is None else since + within_ms
