"""A shop's payment of 1,000, an instruction about it, and the two channels that tests know."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from contraflow.domain.cases import Case
from contraflow.domain.decision import Accepted, Decision, Refused
from contraflow.domain.events import InstructionMoved
from contraflow.domain.facts import BookedFact
from contraflow.domain.ids import number_for
from contraflow.domain.instruction import Instruction, Kind, Timing, Waiting, Withdrawal, mode_of
from contraflow.domain.lifecycle import FINAL, UNPAID, UNSENT, PaymentState, State, Step
from contraflow.domain.money import Money
from contraflow.domain.outcome import Evidence, Outcome, Proof
from contraflow.domain.payment import Capturing, Payment
from contraflow.domain.policy import Policy, Terms
from contraflow.domain.snapshot import Snapshot
from contraflow.domain.windows import Window
from contraflow.errors import ErrorCode

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
NOW = 100 * DAY_MS
CREATED_AT = NOW - 60 * MINUTE_MS
SENT_AT = NOW - 10 * MINUTE_MS
LEAVE_BY = SENT_AT + 5_000
DEAD_AFTER_MS = 2 * MINUTE_MS
DEAD = LEAVE_BY + DEAD_AFTER_MS  # A question asked now proves what it proves.
ALIVE = DEAD - 1  # An attempt may still be travelling.
GAP_MS = 3_000

PAYMENT_ID = "shop/pay_1"
KEY = "shop/key_1"
NUMBER = number_for(payment_id=PAYMENT_ID, key=KEY)
PAY_KEY = "shop/key_pay"
PAY_NUMBER = number_for(payment_id=PAYMENT_ID, key=PAY_KEY)
REVERSAL_ID = f"shop/{NUMBER}"

SIGNED = Evidence(Proof.SIGNATURE, "ok", reply_sha256="5" * 64)

TIGHT = Window(cancel_within_ms=DAY_MS, refund_within_ms=DAY_MS, refunds_max=2, gap_ms=GAP_MS)

CARD = Terms(
    kinds=frozenset(Kind),
    same_number_again=True,
    not_found_is_proof=True,
    dead_after_ms=DEAD_AFTER_MS,
    attention_after_ms=DAY_MS,
    is_final_at_once=True,
    windows=MappingProxyType({"": Window(), "tight": TIGHT}),
)
RAIL = Terms(
    kinds=frozenset({Kind.PAY, Kind.CAPTURE, Kind.VOID, Kind.REFUND}),
    same_number_again=False,
    not_found_is_proof=True,
    dead_after_ms=DEAD_AFTER_MS,
    attention_after_ms=DAY_MS,
    is_final_at_once=False,
    windows=MappingProxyType({"tight": TIGHT}),
)
POLICY = Policy(terms=MappingProxyType({"card": CARD, "rail": RAIL}))


def yuan(minor: int) -> Money:
    return Money(minor, "CNY")


def policy(**card: Any) -> Policy:
    """What the operator has decided, with other facts about the card channel."""
    return replace(POLICY, terms=POLICY.terms | {"card": replace(CARD, **card)})


def payment(state: PaymentState = PaymentState.CAPTURED, **changes: Any) -> Payment:
    """1,000 were asked for, and authorised or captured whole where the state says so."""
    is_paid = state in {PaymentState.AUTHORIZED, PaymentState.CAPTURED}
    captured = 1_000 if state is PaymentState.CAPTURED else 0
    fields: dict[str, Any] = {
        "payment_id": PAYMENT_ID,
        "channel": "card",
        "method": "",
        "instrument": "tok_1",
        "currency": "CNY",
        "amount": 1_000,
        "capturing": Capturing.MANUAL,
        "pay_number": PAY_NUMBER,
        "created_at": CREATED_AT,
        "labels": "{}",
        "state": state,
        "authorized": 1_000 if is_paid else 0,
        "captured": captured,
        "paid_at": CREATED_AT if is_paid else None,
        "captured_at": CREATED_AT if captured else None,
        "expires_at": NOW + DAY_MS if state in UNPAID else None,
    } | changes
    gone = sum(fields.get(name, 0) for name in ("reserved", "refunded", "charged_back"))
    return Payment(**{"excess": max(0, gone - fields["captured"])} | fields)


def instruction(state: State, kind: Kind = Kind.REFUND, **changes: Any) -> Instruction:
    """A refund of 400 unless said otherwise; one that was sent was sent once."""
    was_sent = state not in UNSENT | {State.WITHDRAWN}
    is_whole = kind in {Kind.PAY, Kind.CLOSE}
    is_pay = kind is Kind.PAY
    fields: dict[str, Any] = {
        "instruction_id": f"shop/{PAY_NUMBER}" if is_pay else REVERSAL_ID,
        "payment_id": PAYMENT_ID,
        "channel": "card",
        "kind": kind,
        "mode": mode_of(kind, Timing.ASYNCHRONOUS),
        "minor": 1_000 if is_whole else 400,
        "currency": "CNY",
        "key": PAY_KEY if is_pay else KEY,
        "leg": 0,
        "is_fallback": False,
        "capture_id": "",
        "requested_at": SENT_AT - 1_000,
        "labels": "{}",
        "state": state,
        "number": PAY_NUMBER if is_pay else NUMBER,
        "waiting": Waiting.REVIEW if state is State.HELD else Waiting.NOTHING,
        "withdrawal": Withdrawal.DONE if state is State.WITHDRAWN else Withdrawal.NONE,
        "sequence": 4,
        "due_at": None if state in FINAL else NOW,
        "deadline_at": NOW + DAY_MS if state is State.HELD else None,
        "lease": 3,
        "attempt": int(was_sent),
        "sent_at": SENT_AT if was_sent else None,
        "leave_by": LEAVE_BY if was_sent else None,
        "in_doubt": state is State.UNKNOWN,
        "known_at": SENT_AT if state in FINAL | {State.PENDING} else None,
        "final_at": SENT_AT if state in FINAL else None,
    }
    return Instruction(**fields | changes)


def other(one: Instruction, **changes: Any) -> Instruction:
    """Another instruction of the same payment, under a name of its own."""
    return replace(one, instruction_id="shop/OTHER", number="OTHER", key="shop/other", **changes)


def snapshot(
    *things: Payment | Instruction | BookedFact | Case | None,
    now: int = NOW,
    rules: Policy = POLICY,
    holds: Iterable[str] = (),
    quarantined: Iterable[str] = (),
) -> Snapshot:
    instructions = [thing for thing in things if isinstance(thing, Instruction)]
    return Snapshot(
        now=now,
        policy=rules,
        payments={thing.payment_id: thing for thing in things if isinstance(thing, Payment)},
        instructions={thing.instruction_id: thing for thing in instructions},
        numbers={thing.number: thing.instruction_id for thing in instructions},
        facts={thing.fact_id: thing for thing in things if isinstance(thing, BookedFact)},
        cases={thing.case_id: thing for thing in things if isinstance(thing, Case)},
        holds=frozenset(holds),
        quarantined=frozenset(quarantined),
    )


def in_state(
    state: State, kind: Kind = Kind.REFUND, *, rules: Policy = POLICY, **changes: Any
) -> Snapshot:
    """One instruction in some state, and its payment with what that reserves."""
    one = instruction(state, kind, **changes)
    return snapshot(payment_of(one), one, rules=rules)


def payment_of(one: Instruction) -> Payment:
    """As a life of 1,000 with nothing but this instruction would have left it."""
    minor, is_open = one.minor, one.state not in FINAL
    has_acted = one.state is State.SUCCEEDED
    amounts: dict[str, Any] = {"channel": one.channel, "unknown": int(one.state is State.UNKNOWN)}
    match one.kind:
        case Kind.REFUND:
            counts = one.state not in {State.FAILED, State.WITHDRAWN}
            amounts |= {"reserved": minor * is_open, "refunded": minor * has_acted}
            return payment(refunds=int(counts), **amounts)
        case Kind.VOID:
            amounts |= {"void_in_flight": minor * is_open, "voided": minor * has_acted}
            return payment(PaymentState.AUTHORIZED, **amounts)
        case Kind.CAPTURE:
            amounts["capture_in_flight"] = minor * is_open
            return payment(PaymentState.AUTHORIZED, **amounts)
        case Kind.CLOSE:
            state = PaymentState.CANCELED if has_acted else PaymentState.PENDING
            return payment(state, closing=int(is_open), **amounts)
        case Kind.PAY:
            return payment(_state_of_paying(one), **amounts)


def _state_of_paying(one: Instruction) -> PaymentState:
    match one.state:
        case State.SUCCEEDED | State.BOUNCED:
            return PaymentState.AUTHORIZED
        case State.FAILED:
            return PaymentState.FAILED
        case State.WITHDRAWN:
            return PaymentState.CANCELED
        case _:
            return PaymentState.PENDING if one.attempt else PaymentState.CREATED


# What was decided.


def accepted(decision: Decision) -> Accepted:
    assert isinstance(decision, Accepted), decision
    return decision


def refused(decision: Decision) -> ErrorCode:
    assert isinstance(decision, Refused), decision
    return decision.code


def only(decision: Decision) -> Instruction:
    """The one instruction that was changed."""
    [one] = accepted(decision).instructions
    return one


def paid(decision: Decision) -> Payment:
    after = accepted(decision).payment
    assert after is not None
    return after


def steps_of(decision: Decision) -> list[Step]:
    moves = accepted(decision).events
    return [event.step for event in moves if isinstance(event, InstructionMoved)]


def first_of(codes: Iterable[ErrorCode]) -> ErrorCode:
    return min(codes, key=list(ErrorCode).index)


def proven(outcome: Outcome) -> Outcome:
    return replace(outcome, evidence=SIGNED)
