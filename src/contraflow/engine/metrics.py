"""The four figures of the mission, and how long each stage took, from rows of the database.

All is exact: whole milliseconds, whole counts, fractions of them. `shown` makes the only floats.

* SR, the cancel success rate = payment commands that were cancelled / payment commands sent.
  Sent: payments whose own command was first marked sent in the window, and payments recorded in
  the window as made elsewhere. Cancelled: those of them that are `canceled` now, be it by a close,
  by a void of all of it, or because the channel gave their own command back. A payment whose
  command was taken back before any attempt was never sent, and is in neither count; one that was
  captured in part, or late, is not cancelled.
* RR, the refund success rate = refunds that are `succeeded` now / refunds first marked sent in the
  window. One that bounced is no success.
* DL, the cancel delay = (Tc - Tt) / Tt. Tt: mean time from request to end of all cancels (closes
  and voids) that became final in the window, whatever their end; Tc: of those that succeeded.
* RL, the refund delay: likewise of refunds.

What is sent and open is counted apart: it is in the denominators of the rates, in none of the
delays. A figure is None where it would divide by nothing. The success rate per cancel command is
another figure, with another name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction

from msgspec import Struct

from contraflow.domain.ids import tenant_of
from contraflow.domain.instruction import CANCELS, REVERSALS, Kind
from contraflow.domain.lifecycle import FINAL, PaymentState, State
from contraflow.domain.payment import Payment
from contraflow.store import RECORDED, Finished, Sent, Views

RECENT_MS = 7 * 24 * 3_600_000
RECENT_MAX = 500  # Instructions that are looked at.
GROUPS = {
    "payment": frozenset({Kind.PAY, Kind.CAPTURE}),
    "cancel": CANCELS,
    "refund": frozenset({Kind.REFUND}),
}


class Rate(Struct, frozen=True, kw_only=True):
    succeeded: int
    sent: int
    open: int  # Sent, and not at its end yet.

    @property
    def value(self) -> Fraction | None:
        return Fraction(self.succeeded, self.sent) if self.sent else None


class Delay(Struct, frozen=True, kw_only=True):
    """Of what became final in the window; times are milliseconds."""

    succeeded: int
    succeeded_mean: Fraction | None  # Tc
    final: int
    final_mean: Fraction | None  # Tt

    @property
    def value(self) -> Fraction | None:
        if self.succeeded_mean is None or not self.final_mean:
            return None
        return (self.succeeded_mean - self.final_mean) / self.final_mean


class Spread(Struct, frozen=True, kw_only=True):
    """Milliseconds that so many in a hundred did not exceed; None where nothing was measured."""

    count: int
    p50: int | None
    p95: int | None
    p99: int | None


class Stages(Struct, frozen=True, kw_only=True):
    """Of what became final in the window; a stage that was never reached is not measured."""

    requested_to_sent: Spread
    sent_to_accepted: Spread  # Until the channel was first known to have it.
    accepted_to_final: Spread
    requested_to_final: Spread


class Metrics(Struct, frozen=True, kw_only=True):
    cancel_success: Rate  # SR
    refund_success: Rate  # RR
    cancel_delay: Delay  # DL
    refund_delay: Delay  # RL
    cancel_command_success: Rate
    stages: dict[str, Stages]  # Of payment commands, cancels and refunds.


def measure(sent: Iterable[Sent], finished: Sequence[Finished]) -> Metrics:
    sent = tuple(sent)
    return Metrics(
        cancel_success=cancel_success(sent),
        refund_success=command_success(sent, GROUPS["refund"]),
        cancel_delay=delay(finished, GROUPS["cancel"]),
        refund_delay=delay(finished, GROUPS["refund"]),
        cancel_command_success=command_success(sent, GROUPS["cancel"]),
        stages={name: stages(finished, kinds) for name, kinds in GROUPS.items()},
    )


def cancel_success(sent: Iterable[Sent]) -> Rate:
    """SR. Open is a payment that is neither taken nor ended: it can still be cancelled."""
    payments = [row for row in sent if row.kind in (Kind.PAY, RECORDED)]
    still_open = (PaymentState.CREATED, PaymentState.PENDING, PaymentState.AUTHORIZED)
    return Rate(
        succeeded=sum(r.count for r in payments if r.payment_state == PaymentState.CANCELED),
        sent=sum(r.count for r in payments),
        open=sum(r.count for r in payments if r.payment_state in still_open),
    )


def command_success(sent: Iterable[Sent], kinds: Collection[str]) -> Rate:
    rows = [row for row in sent if row.kind in kinds]
    return Rate(
        succeeded=sum(row.count for row in rows if row.state == State.SUCCEEDED),
        sent=sum(row.count for row in rows),
        open=sum(row.count for row in rows if row.state not in FINAL),
    )


def delay(finished: Iterable[Finished], kinds: Collection[str]) -> Delay:
    rows = [row for row in finished if row.kind in kinds]
    latencies = [row.final_at - row.requested_at for row in rows]
    successful = [r.final_at - r.requested_at for r in rows if r.state == State.SUCCEEDED]
    return Delay(
        succeeded=len(successful),
        succeeded_mean=mean(successful),
        final=len(latencies),
        final_mean=mean(latencies),
    )


def mean(numbers: Sequence[int]) -> Fraction | None:
    return Fraction(sum(numbers), len(numbers)) if numbers else None


def stages(finished: Iterable[Finished], kinds: Collection[str]) -> Stages:
    rows = [row for row in finished if row.kind in kinds]
    marked = [(row, row.sent_at) for row in rows if row.sent_at is not None]
    known = [(row, at, row.known_at) for row, at in marked if row.known_at is not None]
    return Stages(
        requested_to_sent=spread([sent_at - row.requested_at for row, sent_at in marked]),
        sent_to_accepted=spread([known_at - sent_at for _, sent_at, known_at in known]),
        accepted_to_final=spread([row.final_at - known_at for row, _, known_at in known]),
        requested_to_final=spread([row.final_at - row.requested_at for row in rows]),
    )


def spread(times: Iterable[int]) -> Spread:
    ordered = sorted(times)
    return Spread(
        count=len(ordered),
        p50=percentile(ordered, 50),
        p95=percentile(ordered, 95),
        p99=percentile(ordered, 99),
    )


def percentile(ordered: Sequence[int], hundredths: int) -> int | None:
    """The smallest that so many in a hundred do not exceed (nearest rank)."""
    if not ordered:
        return None
    rank = -(-len(ordered) * hundredths // 100)
    return ordered[rank - 1]


def shown(fraction: Fraction | None) -> float | None:
    """For the eye; of ratios and times, never of money."""
    return None if fraction is None else round(float(fraction), 6)


async def usual_ms_of(views: Views, payment: Payment, now: int) -> int | None:
    """The median from request to end of its tenant's latest reversals over this channel."""
    tenant = tenant_of(payment.payment_id)
    recent = await views.instructions_before(tenant, None, now - RECENT_MS, RECENT_MAX)
    times = [
        each.final_at - each.requested_at
        for each in recent
        if each.final_at is not None and each.kind in REVERSALS and each.channel == payment.channel
    ]
    return sorted(times)[len(times) // 2] if times else None
