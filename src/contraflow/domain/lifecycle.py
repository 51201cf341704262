"""The lives of an instruction and of a payment, as tables.

Everything that may change a state is in TRANSITIONS or PAYMENT_TRANSITIONS, and the diagrams in
docs/reference/states.md are drawn from them. A step that is not in its table does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from contraflow.domain.word import Word


class State(Word):
    HELD = "held"  # Waits for the end of the undo window or for a person; always has a deadline.
    ACCEPTED = "accepted"  # Committed here; no byte has left.
    SENT = "sent"  # The channel may know; its answer is open.
    PENDING = "pending"  # The channel knows, and has not finished.
    UNKNOWN = "unknown"  # An attempt is in doubt; ask before anything else.
    ATTENTION = "attention"  # A person must decide, with the evidence attached.
    SUCCEEDED = "succeeded"  # The channel proved that it acted.
    FAILED = "failed"  # It is proven that it did not act; what was reserved is free again.
    WITHDRAWN = "withdrawn"  # Taken back before the channel acted.
    BOUNCED = "bounced"  # The money moved, and came back.


class Step(Word):
    HOLD = "hold"
    REQUEST = "request"
    RELEASE = "release"
    REJECT = "reject"
    EXPIRE = "expire"
    WITHDRAW = "withdraw"
    WITHDRAW_CONFIRMED = "withdraw_confirmed"
    SEND = "send"
    RESEND = "resend"
    REDIRECT = "redirect"  # An operator sends it again.
    NOT_SENT = "not_sent"
    RETRY_LATER = "retry_later"
    ACCEPT = "accept"
    LOSE = "lose"
    OVERDUE = "overdue"
    CONTRADICT = "contradict"  # Another amount, currency or payment than asked.
    SUCCEED = "succeed"
    FAIL = "fail"
    RESOLVE_SUCCEEDED = "resolve_succeeded"
    RESOLVE_FAILED = "resolve_failed"
    BOUNCE = "bounce"
    EFFECT = "effect"  # The channel acted after all, though we had proof or a withdrawal.


BIRTHS: Mapping[Step, State] = MappingProxyType(
    {Step.HOLD: State.HELD, Step.REQUEST: State.ACCEPTED}
)

TRANSITIONS: Mapping[tuple[State, Step], State] = MappingProxyType(
    {
        (State.HELD, Step.RELEASE): State.ACCEPTED,
        (State.HELD, Step.WITHDRAW): State.WITHDRAWN,
        (State.HELD, Step.REJECT): State.FAILED,
        (State.HELD, Step.EXPIRE): State.FAILED,
        (State.ACCEPTED, Step.SEND): State.SENT,
        (State.ACCEPTED, Step.WITHDRAW): State.WITHDRAWN,
        (State.ACCEPTED, Step.EXPIRE): State.FAILED,
        (State.SENT, Step.NOT_SENT): State.ACCEPTED,
        (State.SENT, Step.RETRY_LATER): State.ACCEPTED,
        (State.SENT, Step.ACCEPT): State.PENDING,
        (State.SENT, Step.SUCCEED): State.SUCCEEDED,
        (State.SENT, Step.FAIL): State.FAILED,
        (State.SENT, Step.WITHDRAW_CONFIRMED): State.WITHDRAWN,
        (State.SENT, Step.LOSE): State.UNKNOWN,
        (State.SENT, Step.CONTRADICT): State.ATTENTION,
        (State.PENDING, Step.SUCCEED): State.SUCCEEDED,
        (State.PENDING, Step.FAIL): State.FAILED,
        (State.PENDING, Step.WITHDRAW_CONFIRMED): State.WITHDRAWN,
        (State.PENDING, Step.LOSE): State.UNKNOWN,
        (State.PENDING, Step.OVERDUE): State.ATTENTION,
        (State.PENDING, Step.CONTRADICT): State.ATTENTION,
        (State.UNKNOWN, Step.ACCEPT): State.PENDING,
        (State.UNKNOWN, Step.SUCCEED): State.SUCCEEDED,
        (State.UNKNOWN, Step.FAIL): State.FAILED,
        (State.UNKNOWN, Step.WITHDRAW_CONFIRMED): State.WITHDRAWN,
        (State.UNKNOWN, Step.RESEND): State.SENT,
        (State.UNKNOWN, Step.OVERDUE): State.ATTENTION,
        (State.UNKNOWN, Step.CONTRADICT): State.ATTENTION,
        (State.ATTENTION, Step.RESOLVE_SUCCEEDED): State.SUCCEEDED,
        (State.ATTENTION, Step.RESOLVE_FAILED): State.FAILED,
        (State.ATTENTION, Step.REDIRECT): State.SENT,
        (State.ATTENTION, Step.SUCCEED): State.SUCCEEDED,
        (State.ATTENTION, Step.FAIL): State.FAILED,
        (State.ATTENTION, Step.WITHDRAW_CONFIRMED): State.WITHDRAWN,
        (State.SUCCEEDED, Step.BOUNCE): State.BOUNCED,
        (State.FAILED, Step.EFFECT): State.SUCCEEDED,
        (State.WITHDRAWN, Step.EFFECT): State.SUCCEEDED,
    }
)

FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.WITHDRAWN, State.BOUNCED})
UNSENT = frozenset({State.HELD, State.ACCEPTED})
FACTS = frozenset({Step.BOUNCE, Step.EFFECT})

assert all(step in FACTS for state, step in TRANSITIONS if state in FINAL), (
    "only a fact may leave a final state"
)


class PaymentState(Word):
    CREATED = "created"  # Recorded; nothing was sent.
    PENDING = "pending"  # The channel knows; the payer has not finished.
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    CANCELED = "canceled"  # Closed or voided.
    FAILED = "failed"
    EXPIRED = "expired"


class PaymentStep(Word):
    RECORD = "record"
    START = "start"
    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    CANCEL = "cancel"
    FAIL = "fail"
    EXPIRE = "expire"


UNPAID = (PaymentState.CREATED, PaymentState.PENDING)
ENDED = frozenset({PaymentState.CANCELED, PaymentState.FAILED, PaymentState.EXPIRED})

PAYMENT_TRANSITIONS: Mapping[tuple[PaymentState, PaymentStep], PaymentState] = MappingProxyType(
    {
        (PaymentState.CREATED, PaymentStep.START): PaymentState.PENDING,
        **{(state, PaymentStep.FAIL): PaymentState.FAILED for state in UNPAID},
        **{
            (state, step): end
            for state in (*UNPAID, PaymentState.AUTHORIZED)
            for step, end in (
                (PaymentStep.CANCEL, PaymentState.CANCELED),
                (PaymentStep.EXPIRE, PaymentState.EXPIRED),
            )
        },
        # Facts: money that was authorised or taken is so, also after we believed it over.
        **{
            (state, PaymentStep.AUTHORIZE): PaymentState.AUTHORIZED
            for state in PaymentState
            if state is not PaymentState.CAPTURED
        },
        **{(state, PaymentStep.CAPTURE): PaymentState.CAPTURED for state in PaymentState},
    }
)

# A payment is recorded as it is found: not sent yet, or made elsewhere.
PAYMENT_BIRTHS: Mapping[str, PaymentState] = MappingProxyType(
    {
        "create": PaymentState.CREATED,
        "record_authorized": PaymentState.AUTHORIZED,
        "record_captured": PaymentState.CAPTURED,
    }
)
