"""What the sandbox's bank does: a script says it for the n-th submission of a number."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct


class Script(enum.StrEnum):
    OK = "ok"
    """It acts at once and says so."""

    ACCEPT_THEN_SUCCEED = "accept_then_succeed"
    """It says "pending", acts 400 ms later, and then sends a notice."""

    DECLINE = "decline"
    """It refuses for good."""

    LOSE_REQUEST = "lose_request"
    """The first submission vanishes without an effect."""

    LOSE_REPLY = "lose_reply"
    """It acts, and the first reply vanishes."""

    LAND_LATE = "land_late"
    """The first submission is without a reply and lands 600 ms later."""

    REFUSE_RETRY = "refuse_retry"
    """The first submission lands 800 ms later, unanswered; in the meantime others are refused."""

    WRONG_AMOUNT = "wrong_amount"
    """It acts rightly, and names another amount in every answer and in a notice."""

    WRONG_CURRENCY = "wrong_currency"
    """It acts rightly, and names another currency in every answer."""

    GARBLED = "garbled"
    """It acts, and the first answer is an unsigned page of HTML."""

    BOUNCE = "bounce"
    """It acts; the money comes back 500 ms later, with a notice."""

    BOUNCE_FIRST = "bounce_first"
    """It says "pending"; the first that is heard of the effect is that the money came back."""

    IGNORE_IDEMPOTENCY = "ignore_idempotency"
    """It acts at every submission, loses the first reply, denies it once, and tells each effect."""

    RATE_LIMIT = "rate_limit"
    """The first two submissions are too many (429)."""

    BUSY = "busy"
    """The first submission meets an unsigned 503 and has no effect."""

    STORED_REFUSAL = "stored_refusal"
    """The first number of a payment, action and amount is refused for ever; another one works."""

    SLOW = "slow"
    """It acts at once, and answers after 1500 ms."""

    NOTIFY_TWICE = "notify_twice"
    """It acts, and sends the same notice twice."""

    NOTIFY_OUT_OF_ORDER = "notify_out_of_order"
    """It says "pending" and acts; the notice of success comes before the one of acceptance."""

    NOTIFY_EARLY = "notify_early"
    """It acts; the notice is sent before the answer."""

    REFUND_ELSEWHERE = "refund_elsewhere"
    """It acts; 200 ms later somebody refunds one minor unit more in its console."""

    CHARGEBACK = "chargeback"
    """It acts; the payer disputes 300 ms later, and the merchant wins."""

    CHARGEBACK_LOST = "chargeback_lost"
    """It acts; the payer disputes 300 ms later, and the merchant loses."""

    LATE_CAPTURE = "late_capture"
    """A close or void succeeds; 400 ms later the amount is captured all the same."""

    CAPTURED_FIRST = "captured_first"
    """A close or void is declined, because the capture came first; a notice of it follows."""


GROUPS: Mapping[str, tuple[Script, ...]] = MappingProxyType(
    {
        "lost": (Script.LOSE_REQUEST, Script.LOSE_REPLY),
        "late": (Script.ACCEPT_THEN_SUCCEED, Script.LAND_LATE, Script.REFUSE_RETRY, Script.SLOW),
        "refused_or_limited": (
            *(Script.DECLINE, Script.RATE_LIMIT, Script.BUSY, Script.STORED_REFUSAL),
        ),
        "wrong_answer": (
            *(Script.WRONG_AMOUNT, Script.WRONG_CURRENCY),
            *(Script.GARBLED, Script.IGNORE_IDEMPOTENCY),
        ),
        "bounce_or_outside": (
            *(Script.BOUNCE, Script.BOUNCE_FIRST, Script.REFUND_ELSEWHERE),
            *(Script.CHARGEBACK, Script.CHARGEBACK_LOST),
            *(Script.LATE_CAPTURE, Script.CAPTURED_FIRST),
        ),
        "notices": (Script.NOTIFY_TWICE, Script.NOTIFY_OUT_OF_ORDER, Script.NOTIFY_EARLY),
    }
)


class Result(enum.StrEnum):
    """What the bank's book says about a number."""

    ABSENT = "absent"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    BOUNCED = "bounced"


class Manner(enum.StrEnum):
    """How the bank answers."""

    SIGNED = "signed"
    LOST = "lost"
    LIMITED = "limited"  # A signed 429.
    UNAVAILABLE = "unavailable"  # An unsigned 503.
    GARBLED = "garbled"  # An unsigned 200.


class Play(Struct, frozen=True, kw_only=True):
    """What becomes of one submission of a number that the bank has not in its book."""

    manner: Manner = Manner.SIGNED
    wait_ms: int = 0  # Until the answer.
    lands_after_ms: int | None = 0  # None: the bank never has it, and declines if it answers.
    becomes: Result = Result.SUCCEEDED  # If it lands at once; what lands late succeeds.
    acts_after_ms: int = 0  # If it becomes pending.
    code: str = ""  # Why it was declined.


class Later(Struct, frozen=True):
    """What happens after something, unasked: the type of a notice; of some, a deed before it."""

    after_ms: int
    type: str
    minor: int | None = None  # None: the amount of the order.


class Conduct(Struct, frozen=True, kw_only=True):
    submissions: tuple[Play, ...]  # The last one is for all that follow.
    after_effect: tuple[Later, ...] = ()
    after_decline: tuple[Later, ...] = ()
    actions: tuple[str, ...] = ("pay", "capture", "close", "void", "refund")
    acts_again: bool = False  # Whatever the line says.
    inquiries_denied: int = 0
    names_minor_more: int = 0
    names_other_currency: bool = False


CANCELS = ("close", "void")
PLAIN = Play()
UNSEEN = Play(manner=Manner.LOST, lands_after_ms=None)
UNANSWERED = Play(manner=Manner.LOST)
LIMITED = Play(manner=Manner.LIMITED, lands_after_ms=None, code="busy")
TOLD = Later(50, "instruction.succeeded")
OPENED = Later(300, "chargeback.opened")


def _conduct(*submissions: Play, after: tuple[Later, ...] = ()) -> Conduct:
    return Conduct(submissions=submissions, after_effect=after)


def _of_refunds(submission: Play, *after: Later) -> Conduct:
    """Only money that was given back can bounce, or be given back once more."""
    return Conduct(submissions=(submission,), after_effect=after, actions=("refund",))


def _declined(code: str) -> Play:
    return Play(becomes=Result.DECLINED, code=code)


def _pending(acts_after_ms: int) -> Play:
    return Play(becomes=Result.PENDING, acts_after_ms=acts_after_ms)


CONDUCTS: Mapping[Script, Conduct] = MappingProxyType(
    {
        Script.OK: _conduct(PLAIN),
        Script.ACCEPT_THEN_SUCCEED: _conduct(_pending(400), after=(TOLD,)),
        Script.DECLINE: _conduct(_declined("refused")),
        Script.LOSE_REQUEST: _conduct(UNSEEN, PLAIN),
        Script.LOSE_REPLY: _conduct(UNANSWERED, PLAIN),
        Script.LAND_LATE: _conduct(Play(manner=Manner.LOST, lands_after_ms=600), PLAIN),
        Script.REFUSE_RETRY: _conduct(
            Play(manner=Manner.LOST, lands_after_ms=800),
            Play(lands_after_ms=None, code="refused"),
        ),
        Script.WRONG_AMOUNT: Conduct(
            submissions=(PLAIN,), after_effect=(TOLD,), names_minor_more=1
        ),
        Script.WRONG_CURRENCY: Conduct(submissions=(PLAIN,), names_other_currency=True),
        Script.GARBLED: _conduct(Play(manner=Manner.GARBLED), PLAIN),
        Script.BOUNCE: _of_refunds(PLAIN, Later(500, "instruction.bounced")),
        Script.BOUNCE_FIRST: _of_refunds(_pending(300), Later(0, "instruction.bounced")),
        Script.IGNORE_IDEMPOTENCY: Conduct(
            submissions=(UNANSWERED, PLAIN),
            after_effect=(TOLD,),
            acts_again=True,
            inquiries_denied=1,
        ),
        Script.RATE_LIMIT: _conduct(LIMITED, LIMITED, PLAIN),
        Script.BUSY: _conduct(Play(manner=Manner.UNAVAILABLE, lands_after_ms=None), PLAIN),
        Script.STORED_REFUSAL: _conduct(_declined("stored_refusal")),
        Script.SLOW: _conduct(Play(wait_ms=1_500)),
        Script.NOTIFY_TWICE: _conduct(PLAIN, after=(TOLD, TOLD)),
        Script.NOTIFY_OUT_OF_ORDER: _conduct(
            _pending(100), after=(TOLD, Later(100, "instruction.pending"))
        ),
        Script.NOTIFY_EARLY: _conduct(
            Play(wait_ms=200), after=(Later(0, "instruction.succeeded"),)
        ),
        Script.REFUND_ELSEWHERE: _of_refunds(PLAIN, Later(200, "refund.elsewhere", 1)),
        Script.CHARGEBACK: _of_refunds(PLAIN, OPENED, Later(600, "chargeback.won")),
        Script.CHARGEBACK_LOST: _of_refunds(PLAIN, OPENED, Later(600, "chargeback.lost")),
        Script.LATE_CAPTURE: Conduct(
            submissions=(PLAIN,),
            after_effect=(Later(400, "payment.captured"),),
            actions=CANCELS,
        ),
        Script.CAPTURED_FIRST: Conduct(
            submissions=(_declined("already_captured"),),
            after_decline=(Later(50, "payment.captured"),),
            actions=CANCELS,
        ),
    }
)


def script_of(instrument: str, action: str) -> Script:
    """`tok_pay_<script>` is for the payment's commands, `tok_<script>` for its reversals."""
    prefix = "tok_pay_" if action in ("pay", "capture") else "tok_"
    word = instrument.removeprefix(prefix) if instrument.startswith(prefix) else ""
    script = Script(word) if word in set(Script) else Script.OK
    return script if action in CONDUCTS[script].actions else Script.OK
