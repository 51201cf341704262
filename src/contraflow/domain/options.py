"""What can be done about a payment before anybody tries: until when, how much, why not."""

from __future__ import annotations

from msgspec import Struct

from contraflow.domain.instruction import Kind, Mode, Timing, mode_of
from contraflow.domain.lifecycle import ENDED, UNPAID, PaymentState
from contraflow.domain.payment import Payment
from contraflow.domain.plan import Leg, plan_reversal
from contraflow.domain.policy import Policy, Terms
from contraflow.domain.windows import deadline, is_over
from contraflow.errors import ErrorCode

PATIENCE_MS = 5_000  # A caller who waits longer than this is better told where to look.


# Of a channel that the settings do not name.
UNSERVED = Terms(
    kinds=frozenset(),
    same_number_again=False,
    not_found_is_proof=False,
    dead_after_ms=0,
    attention_after_ms=0,
    is_final_at_once=False,
    windows={},
)


class Option(Struct, frozen=True, kw_only=True):
    """One action. `until` is milliseconds UTC, None without a limit; amounts are minor units."""

    action: Kind
    is_allowed: bool
    why_not: ErrorCode | None
    minor_max: int
    until: int | None
    refunds_left: int | None
    mode: Mode  # The one that fits: synchronous where the channel answers at once.


class Options(Struct, frozen=True, kw_only=True):
    payment_id: str
    currency: str
    options: tuple[Option, ...]
    plan: tuple[Leg, ...]  # What `reverse` would do now.
    recommended: Mode | None  # Of the first leg of the plan; None if nothing is left.


def options_for(payment: Payment, policy: Policy, *, now: int, usual_ms: int | None) -> Options:
    """`usual_ms` is the channel's measured median from request to end, None if not known."""
    terms = policy.terms.get(payment.channel, UNSERVED)
    is_prompt = terms.is_final_at_once and (usual_ms is None or usual_ms <= PATIENCE_MS)
    timing = Timing.SYNCHRONOUS if is_prompt else Timing.ASYNCHRONOUS
    options = tuple(
        _option(kind, payment, terms, now=now, timing=timing)
        for kind in (Kind.CLOSE, Kind.VOID, Kind.REFUND)
    )
    plan = () if payment.state in ENDED else plan_reversal(payment, None)
    allowed = {option.action: option.mode for option in options if option.is_allowed}
    return Options(
        payment_id=payment.payment_id,
        currency=payment.currency,
        options=options,
        plan=plan,
        recommended=next((allowed[leg.kind] for leg in plan if leg.kind in allowed), None),
    )


def _option(kind: Kind, payment: Payment, terms: Terms, *, now: int, timing: Timing) -> Option:
    window = terms.window(payment.method)
    is_refund = kind is Kind.REFUND
    since = payment.captured_at if is_refund else payment.created_at
    within_ms = window.refund_within_ms if is_refund else window.cancel_within_ms
    left = None
    if is_refund and window.refunds_max is not None:
        left = max(0, window.refunds_max - payment.refunds)
    why_not = _why_not(kind, payment)
    if why_not is None and left == 0:
        why_not = ErrorCode.REFUNDS_EXHAUSTED
    if why_not is None and is_over(since, within_ms, now):
        why_not = ErrorCode.REFUND_WINDOW_OVER if is_refund else ErrorCode.CANCEL_WINDOW_OVER
    if why_not is None and kind not in terms.kinds:
        why_not = ErrorCode.CHANNEL_UNABLE
    return Option(
        action=kind,
        is_allowed=why_not is None,
        why_not=why_not,
        minor_max=_minor_max(kind, payment),
        until=deadline(since, within_ms),
        refunds_left=left,
        mode=mode_of(kind, timing),
    )


def _minor_max(kind: Kind, payment: Payment) -> int:
    if kind is Kind.CLOSE:
        return payment.amount if payment.state in UNPAID else 0
    return payment.refundable if kind is Kind.REFUND else payment.capturable


def _why_not(kind: Kind, payment: Payment) -> ErrorCode | None:
    """The reason that the payment itself gives, in the order of `ErrorCode`."""
    if kind is Kind.REFUND:
        if payment.captured == 0:
            return ErrorCode.PAYMENT_NOT_CAPTURED
        return None if payment.refundable else ErrorCode.NOTHING_TO_REVERSE
    if payment.state is PaymentState.CANCELED:
        return ErrorCode.PAYMENT_CANCELED
    if payment.state in ENDED:
        return ErrorCode.PAYMENT_ENDED
    if kind is Kind.VOID:
        if payment.state in UNPAID:
            return ErrorCode.PAYMENT_NOT_AUTHORIZED
        if payment.capturable:
            return None
        return ErrorCode.PAYMENT_CAPTURED if payment.captured else ErrorCode.CANCEL_IN_PROGRESS
    if payment.state not in UNPAID:
        return ErrorCode.PAYMENT_CAPTURED if payment.captured else ErrorCode.STATE_FORBIDS
    return ErrorCode.CANCEL_IN_PROGRESS if payment.closing else None
