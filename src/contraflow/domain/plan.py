"""By which legs a payment is undone, from its live state: close, void the rest, refund."""

from __future__ import annotations

from msgspec import Struct

from contraflow.domain.instruction import Kind
from contraflow.domain.lifecycle import UNPAID
from contraflow.domain.payment import Payment


class Leg(Struct, frozen=True, gc=False):
    kind: Kind
    minor: int


def plan_reversal(payment: Payment, minor: int | None) -> tuple[Leg, ...]:
    """The legs for so many minor units, or for all that is left; empty if nothing is.

    What is only authorised is voided first, because that costs nobody a fee. The legs sum to what
    was asked for, or to less if less is left: the caller compares.
    """
    if payment.state in UNPAID:
        return () if payment.closing else (Leg(Kind.CLOSE, payment.amount),)
    left = payment.capturable + payment.refundable if minor is None else minor
    void = min(left, payment.capturable)
    refund = min(left - void, payment.refundable)
    legs = (Leg(Kind.VOID, void), Leg(Kind.REFUND, refund))
    return tuple(leg for leg in legs if leg.minor > 0)
