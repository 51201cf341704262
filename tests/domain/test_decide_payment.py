"""May this payment be recorded, or taken through its channel?"""

from typing import Any

import pytest
from cases import KEY, NOW, PAYMENT_ID, accepted, only, paid, payment, refused, snapshot, yuan

from contraflow.domain.commands import CreatePayment, RecordPayment
from contraflow.domain.decide.payment import decide_creation, decide_record
from contraflow.domain.events import InstructionMoved, PaymentMoved
from contraflow.domain.facts import FactKind, fact_id_for
from contraflow.domain.ids import number_for
from contraflow.domain.instruction import Kind, Mode
from contraflow.domain.lifecycle import PaymentState, PaymentStep, State, Step
from contraflow.domain.payment import Capturing
from contraflow.domain.policy import Policy
from contraflow.errors import ErrorCode

NOBODY = Policy(terms={})


def record(**changes: Any) -> RecordPayment:
    fields: dict[str, Any] = {
        "key": KEY,
        "fingerprint": bytes(32),
        "payment_id": PAYMENT_ID,
        "channel": "card",
        "amount": yuan(1_000),
        "is_captured": True,
    }
    return RecordPayment(**fields | changes)


def create(**changes: Any) -> CreatePayment:
    fields: dict[str, Any] = {
        "key": KEY,
        "fingerprint": bytes(32),
        "payment_id": PAYMENT_ID,
        "channel": "card",
        "amount": yuan(1_000),
        "capturing": Capturing.MANUAL,
    }
    return CreatePayment(**fields | changes)


@pytest.mark.parametrize(
    ("code", "state", "channel"),
    [
        (ErrorCode.PAYMENT_EXISTS, snapshot(payment()), "card"),
        (ErrorCode.PAYMENT_EXISTS, snapshot(payment()), "nobody"),
        (ErrorCode.CHANNEL_UNABLE, snapshot(), "nobody"),
    ],
)
def test_refused_and_of_two_reasons_the_earlier_is_told(
    code: ErrorCode, state: Any, channel: str
) -> None:
    assert refused(decide_record(state, record(channel=channel))) is code
    assert refused(decide_creation(state, create(channel=channel))) is code


def test_a_channel_that_takes_no_payments_still_reverses_those_made_elsewhere() -> None:
    terms = snapshot().policy.terms["card"]
    fields = {name: getattr(terms, name) for name in terms.__struct_fields__}
    unable = type(terms)(**fields | {"kinds": frozenset({Kind.REFUND})})
    state = snapshot(rules=Policy(terms={"card": unable}))

    assert refused(decide_creation(state, create())) is ErrorCode.CHANNEL_UNABLE
    assert paid(decide_record(state, record())).captured == 1_000


@pytest.mark.parametrize(
    ("captured", "state", "captured_at"),
    [(1_000, PaymentState.CAPTURED, NOW), (0, PaymentState.AUTHORIZED, None)],
)
def test_it_is_recorded_as_it_is_elsewhere(
    captured: int, state: PaymentState, captured_at: int | None
) -> None:
    decision = accepted(decide_record(snapshot(), record(is_captured=bool(captured))))
    after = paid(decision)

    assert after.state is state
    assert (after.authorized, after.captured) == (1_000, captured)
    assert (after.created_at, after.paid_at, after.captured_at) == (NOW, NOW, captured_at)
    assert after.pay_number == ""
    assert decision.events == (PaymentMoved(PaymentStep.RECORD, after, captured),)
    assert decision.instructions == ()


def test_what_was_captured_elsewhere_is_a_row_that_a_refund_may_name() -> None:
    [row] = accepted(decide_record(snapshot(), record())).facts

    assert row.fact_id == fact_id_for(PAYMENT_ID, FactKind.CAPTURE, "recorded")
    assert row.minor == 1_000
    assert accepted(decide_record(snapshot(), record(is_captured=False))).facts == ()


def test_a_payment_command_is_an_attempt_with_a_number() -> None:
    decision = accepted(decide_creation(snapshot(), create(expires_at=NOW + 5)))
    after, one = paid(decision), only(decision)

    assert (after.state, after.expires_at) == (PaymentState.CREATED, NOW + 5)
    assert (after.authorized, after.captured) == (0, 0)
    assert after.pay_number == one.number == number_for(payment_id=PAYMENT_ID, key=KEY)
    assert one.instruction_id == f"shop/{one.number}"
    assert (one.kind, one.state, one.mode) == (Kind.PAY, State.ACCEPTED, Mode.NONE)
    assert one.minor == 1_000
    assert decision.events == (
        PaymentMoved(PaymentStep.RECORD, after, 0),
        InstructionMoved(Step.REQUEST, one),
    )
