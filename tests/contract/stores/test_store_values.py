"""Every value comes back with every field, and the books add up."""

from __future__ import annotations

import itertools

import pytest
from contract.stores.samples import (
    CAPTURED,
    CASE,
    CHANNELS,
    DISPUTE,
    KEY,
    NOW,
    PAYMENT,
    REFUND,
    reaching,
    save,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple, replace
from store.on_one_loop import run

from contraflow.domain import commands as c
from contraflow.domain import observation as told
from contraflow.domain import outcome as said
from contraflow.domain.cases import Parked
from contraflow.domain.decision import Receipt
from contraflow.domain.facts import FactState
from contraflow.domain.instruction import Instruction, Kind, Mode, Waiting, Withdrawal
from contraflow.domain.lifecycle import FINAL, PaymentState, State
from contraflow.domain.money import AMOUNT_MINOR_MAX, Money
from contraflow.domain.payment import Capturing, Payment
from contraflow.ledger.journal import Entry
from contraflow.store import Record, Store

COUNT = itertools.count()


async def test_every_value_comes_back_with_every_field(store: Store) -> None:
    contents = await store.contents()

    assert contents.payments == {"acme/pay_1": PAYMENT}
    assert contents.instructions == {"acme/ref_1": REFUND}
    assert contents.receipts == {"acme/key_1": Receipt("acme/key_1", bytes(32), b"{}")}
    assert contents.facts == {CAPTURED.fact_id: CAPTURED, DISPUTE.fact_id: DISPUTE}
    assert contents.cases == {CASE.case_id: CASE}
    assert contents.events == [(1, "acme/ref_1", 1, b'{"v":1}')]
    assert contents.entries == [("acme/ref_1", 1, "a", "b", 600, "CNY")]
    assert contents.balances == {("a", "CNY"): 600, ("b", "CNY"): -600}
    for value in (*contents.payments.values(), *contents.instructions.values()):
        assert [type(field) for field in astuple(value)] == [
            type(field) for field in astuple(PAYMENT if isinstance(value, Payment) else REFUND)
        ]


async def test_a_case_closes_and_a_dispute_ends(store: Store) -> None:
    closed = replace(CASE, closed_at=40, closed_by="acme/key_2")
    won = replace(DISPUTE, state=FactState.WON, booked_at=50)
    dispute = told.ChargedBack("acme/pay_1", "d", told.Dispute.WON, Money(200, "CNY"))
    await save(
        store,
        c.ResolveCase(
            **KEY, object_id=CASE.case_id, resolution=c.Resolution.CLOSED, evidence="seen"
        ),
        c.RecordFact(channel="rail", observation=told.Observation("e", dispute)),
        cases=[closed],
        facts=[won],
    )
    contents = await store.contents()

    assert contents.cases == {CASE.case_id: closed}
    assert contents.facts == {CAPTURED.fact_id: CAPTURED, DISPUTE.fact_id: won}


async def test_balances_add_up_over_batches(queue: Store) -> None:
    for sequence in (1, 2, 3):
        entries = (Entry("a", "b", 5, "CNY"), Entry("b", "c", 2, "CNY"), Entry("a", "b", 1, "JPY"))
        await save(queue, records=[Record("acme/x", sequence, b"", entries)])

    assert (await queue.contents()).balances == {
        ("a", "CNY"): 15,
        ("a", "JPY"): 3,
        ("b", "CNY"): -9,
        ("b", "JPY"): -3,
        ("c", "CNY"): -6,
    }


TIMES = st.none() | st.integers(0, 2**62)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@st.composite
def instructions(draw: st.DrawFn) -> Instruction:
    state = draw(st.sampled_from(State))
    attempt = draw(st.integers(0, 9))
    return replace(
        REFUND,
        state=state,
        kind=draw(st.sampled_from(Kind)),
        mode=draw(st.sampled_from(Mode)),
        withdrawal=draw(st.sampled_from(Withdrawal)),
        waiting=draw(st.sampled_from(Waiting)),
        is_fallback=draw(st.booleans()),
        in_doubt=draw(st.booleans()),
        minor=draw(st.integers(1, AMOUNT_MINOR_MAX)),
        attempt=attempt,
        fruitless=draw(st.integers(0, attempt)),
        leave_by=1 if attempt else None,
        final_at=2 if state in FINAL else None,
        due_at=None if state in FINAL else draw(TIMES),
        deadline_at=3 if state is State.HELD else draw(TIMES),
        sent_at=draw(TIMES),
        known_at=draw(TIMES),
        labels=draw(WORDS),
        reference=draw(WORDS),
        failure=draw(WORDS),
    )


@st.composite
def payments(draw: st.DrawFn) -> Payment:
    parts = [draw(st.integers(0, AMOUNT_MINOR_MAX // 4)) for _ in range(7)]
    captured, capturing, voided, voiding, reserved, refunded, charged_back = parts
    return replace(
        PAYMENT,
        state=draw(st.sampled_from(PaymentState)),
        capturing=draw(st.sampled_from(Capturing)),
        authorized=captured + capturing + voided + voiding,
        captured=captured,
        capture_in_flight=capturing,
        voided=voided,
        void_in_flight=voiding,
        reserved=reserved,
        refunded=refunded,
        charged_back=charged_back,
        excess=max(0, reserved + refunded + charged_back - captured),
        paid_at=draw(TIMES),
        captured_at=draw(TIMES),
        refund_sent_at=draw(TIMES),
        expires_at=draw(TIMES),
        method=draw(WORDS),
        reference=draw(WORDS),
    )


# The store is the same for all examples: each has names of its own in it.
@pytest.mark.slow
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(payment=payments(), changed=payments(), first=instructions(), second=instructions())
def test_any_value_comes_back_as_it_went_in(
    queue: Store, payment: Payment, changed: Payment, first: Instruction, second: Instruction
) -> None:
    number = next(COUNT)
    payment = replace(payment, payment_id=f"acme/pay_{number}")
    own = {"instruction_id": f"acme/ref_{number}", "payment_id": payment.payment_id}
    first = replace(first, **own, number=f"N{number}")
    run(save(queue, payments=[payment], instructions=[first]))
    loaded = run(save(queue, reaching(first)))
    assert loaded.payments == {payment.payment_id: payment}
    assert loaded.instructions == {first.instruction_id: first}

    fields = Payment.__struct_fields__
    alive = {name: getattr(changed, name) for name in fields[fields.index("state") :]}
    fields = Instruction.__struct_fields__
    moved = {name: getattr(second, name) for name in fields[fields.index("state") :]}
    moved["number"] = first.number
    after, then = replace(payment, **alive), replace(first, **moved)
    run(save(queue, reaching(first), payments=[after], instructions=[then]))
    loaded = run(save(queue, reaching(first)))
    assert loaded.payments == {payment.payment_id: after}
    assert loaded.instructions == {first.instruction_id: then}


@pytest.mark.parametrize(
    "fact",
    [
        told.Answered("N1", said.Succeeded(Money(1, "CNY"), "acme/pay_1", "r")),
        told.Answered("N1", said.Declined(said.Retry.NEW_NUMBER, is_captured=True)),
        told.Answered("N1", said.Bounced(Money(1, "CNY"), "acme/pay_1")),
        told.Authorized("acme/pay_1", Money(1, "CNY")),
        told.Captured("acme/pay_1", "cap", Money(1, "CNY")),
        told.Expired("acme/pay_1"),
        told.ChargedBack("acme/pay_1", "d", told.Dispute.LOST, Money(1, "CNY")),
        told.RefundedElsewhere("acme/pay_1", "r", Money(1, "CNY")),
    ],
    ids=lambda fact: type(fact).__name__,
)
async def test_a_parked_fact_comes_back_whole(queue: Store, fact: told.Fact) -> None:
    seen = told.Observation("e", fact, said.Evidence(proof=said.Proof.QUERY, message="Ø"))
    parked = Parked("n", "rail", seen, NOW)
    await save(queue, parked=[parked])

    assert await queue.due_parked(CHANNELS, 10) == [parked]
