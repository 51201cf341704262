"""A batch reads what its commands may touch, with everything that hangs on it."""

from __future__ import annotations

import pytest
from contract.stores.samples import (
    CAPTURED,
    DISPUTE,
    FENCE,
    KEY,
    NOTICE,
    PAYMENT,
    REFUND,
    SEEN,
    reaching,
    refund,
    save,
    waiting,
)
from msgspec.structs import replace

from contraflow.domain import commands as c
from contraflow.domain import observation as told
from contraflow.domain import outcome as said
from contraflow.domain.cases import Case, CaseKind, open_case
from contraflow.domain.commands import Command, Line
from contraflow.domain.decision import Receipt
from contraflow.domain.facts import BookedFact, FactKind, FactState, fact_id_for
from contraflow.domain.instruction import Kind, Mode
from contraflow.domain.lifecycle import PaymentState
from contraflow.domain.money import Money
from contraflow.store import Store


async def test_a_batch_reads_nothing_that_nobody_asked_for(store: Store) -> None:
    loaded = await save(store, refund(key="acme/new", payment_id="acme/nobody"))

    assert dict(loaded.payments) == dict(loaded.instructions) == dict(loaded.numbers) == {}
    assert dict(loaded.receipts) == dict(loaded.facts) == dict(loaded.cases) == {}
    assert dict(loaded.lines) == {}
    assert loaded.holds == {"channel:rail"}
    assert loaded.quarantined == set()


async def test_the_time_of_a_batch_is_the_stores(store: Store) -> None:
    before = store.now()
    loaded = await save(store, refund())

    assert before <= loaded.now <= store.now()


async def test_receipts_and_lines_are_kept_in_the_same_commit(store: Store) -> None:
    loaded = await save(
        store,
        refund(line=Line("file", 1)),
        refund(key="acme/key_2", line=Line("file", 2)),
        receipts=[Receipt("acme/key_2", bytes(32), b"two")],
        lines=[(Line("file", 2), "refused")],
    )
    assert loaded.receipts == {"acme/key_1": Receipt("acme/key_1", bytes(32), b"{}")}
    assert loaded.lines == {Line("file", 1): "ok"}

    again = await save(
        store,
        refund(line=Line("file", 1)),
        refund(key="acme/key_2", line=Line("file", 2)),
        refund(key="acme/key_3", line=Line("other", 2)),
    )
    assert set(again.receipts) == {"acme/key_1", "acme/key_2"}
    assert again.lines == {Line("file", 1): "ok", Line("file", 2): "refused"}


@pytest.mark.parametrize(
    "command",
    [
        c.MarkSent(fence=FENCE, leave_by=1, lease_until=1),
        c.ClaimInquiry(fence=FENCE, lease_until=1),
        c.RecordOutcome(fence=FENCE, outcome=said.Unknown(), asked_at=1, again_at=1),
        c.FireTimer(fence=FENCE),
        c.WithdrawReversal(**KEY, instruction_id="acme/ref_1"),
        c.ReleaseHold(**KEY, instruction_id="acme/ref_1"),
        c.RejectHold(**KEY, instruction_id="acme/ref_1"),
        c.ResolveCase(
            **KEY, object_id="acme/ref_1", resolution=c.Resolution.FAILED, evidence="seen"
        ),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_an_instruction_comes_with_its_payment(store: Store, command: Command) -> None:
    loaded = await save(store, command)

    assert loaded.instructions == {"acme/ref_1": REFUND}
    assert loaded.payments == {"acme/pay_1": PAYMENT}


@pytest.mark.parametrize("number", ["NEW", "OLD"])
async def test_an_instruction_is_found_by_every_number_it_ever_had(
    store: Store, number: str
) -> None:
    """With its contradictions, closed ones included: the same one is never opened twice."""
    kind, about = CaseKind.CONTRADICTION, "acme/ref_1"
    case = replace(open_case(kind, object_id=about, cause="x", now=1), closed_at=2, closed_by="k")
    other = open_case(kind, object_id="acme/ref_10", cause="x", now=1)
    await save(store, cases=[case, other])
    fact = told.Answered(number, said.Unknown())
    command = c.RecordFact(channel="rail", observation=told.Observation("e", fact))
    loaded = await save(store, command)

    assert loaded.numbers == {number: "acme/ref_1"}
    assert loaded.instructions == {"acme/ref_1": REFUND}
    assert loaded.payments == {"acme/pay_1": PAYMENT}
    assert loaded.cases == {case.case_id: case}


async def test_a_new_generation_keeps_the_old_number(store: Store) -> None:
    third = replace(REFUND, number="THIRD", generation=2)
    await save(store, reaching(REFUND), instructions=[third])
    facts = [told.Answered(number, said.Unknown()) for number in ("OLD", "NEW", "THIRD", "N9")]
    seen = [told.Observation(fact.number, fact) for fact in facts]
    loaded = await save(store, *(c.RecordFact(channel="rail", observation=each) for each in seen))

    assert loaded.instructions == {"acme/ref_1": third}
    assert loaded.numbers == dict.fromkeys(("OLD", "NEW", "THIRD"), "acme/ref_1")


PAY = waiting("PAY1", kind=Kind.PAY, mode=Mode.NONE)


@pytest.mark.parametrize("state", list(PaymentState))
@pytest.mark.parametrize(
    "command",
    [
        c.RequestCancel(**KEY, payment_id="acme/pay_1"),
        c.RequestReversal(**KEY, payment_id="acme/pay_1"),
        c.ExpirePayment(payment_id="acme/pay_1"),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_a_cancel_of_an_unpaid_payment_sees_its_payment_command(
    queue: Store, command: Command, state: PaymentState
) -> None:
    payment = replace(PAYMENT, state=state)
    await save(queue, payments=[payment], instructions=[PAY, waiting("other")])
    loaded = await save(queue, command)

    is_unpaid = state in {PaymentState.CREATED, PaymentState.PENDING}
    assert loaded.payments == {"acme/pay_1": payment}
    assert loaded.instructions == ({"acme/PAY1": PAY} if is_unpaid else {})


CAPTURE = told.Observation("evt", told.Captured("acme/pay_1", "cap_1", Money(1, "CNY")))


@pytest.mark.parametrize(
    "command",
    [
        c.RecordFact(channel="rail", observation=CAPTURE),
        c.RetryParked(channel="rail", observation=CAPTURE, again_at=1),
        c.RecordCapture(
            **KEY | {"key": "acme/cap_1"}, payment_id="acme/pay_1", amount=Money(1, "CNY")
        ),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_a_capture_sees_what_it_is_too_late_for(store: Store, command: Command) -> None:
    """With the receipts of the refunds that our policy may have asked for before."""
    by_capture = Receipt(f"acme/policy:{CAPTURED.fact_id}", bytes(32), b"1")
    by_cancel = Receipt("acme/policy:acme/ref_1", bytes(32), b"2")
    await save(store, receipts=[by_capture, by_cancel])
    loaded = await save(store, command)

    assert loaded.payments == {"acme/pay_1": PAYMENT}
    assert loaded.instructions == {"acme/ref_1": REFUND}
    assert loaded.facts == {CAPTURED.fact_id: CAPTURED}
    assert set(loaded.receipts.values()) == {by_capture, by_cancel}


@pytest.mark.parametrize("kind", [Kind.PAY, Kind.CAPTURE])
async def test_the_outcome_of_a_payment_command_sees_what_it_is_too_late_for(
    queue: Store, kind: Kind
) -> None:
    taking = waiting("taking", kind=kind, mode=Mode.NONE)
    cancel = waiting("cancel", kind=Kind.CLOSE, is_fallback=True)
    asked = Receipt("acme/policy:acme/cancel", bytes(32), b"")
    await save(queue, payments=[PAYMENT], instructions=[taking, cancel], receipts=[asked])
    outcome = c.RecordOutcome(fence=taking.fence, outcome=said.Unknown(), asked_at=1, again_at=1)
    loaded = await save(queue, outcome)

    assert loaded.instructions == {"acme/taking": taking, "acme/cancel": cancel}
    assert loaded.receipts == {asked.key: asked}


async def test_an_expiry_sees_whether_it_asked_before(store: Store) -> None:
    asked = Receipt("acme/policy:expiry/acme/pay_1", bytes(32), b"")
    await save(store, receipts=[asked])
    loaded = await save(store, c.ExpirePayment(payment_id="acme/pay_1"))

    assert loaded.receipts == {asked.key: asked}


async def test_a_refund_sees_the_capture_that_it_names(store: Store) -> None:
    assert (await save(store, refund(capture_id="cap_1"))).facts == {CAPTURED.fact_id: CAPTURED}
    assert (await save(store, refund(capture_id="cap_2"))).facts == {}
    assert (await save(store, refund())).facts == {}


async def test_a_notice_sees_what_it_told_before(store: Store) -> None:
    notice = BookedFact(NOTICE, FactKind.NOTICE, "", 0, "", FactState.BOOKED, 1)
    elsewhere_id = fact_id_for("acme/pay_1", FactKind.REFUND_ELSEWHERE, "r")
    elsewhere = replace(CAPTURED, fact_id=elsewhere_id, kind=FactKind.REFUND_ELSEWHERE)
    await save(store, facts=[notice, elsewhere])
    dispute = told.ChargedBack("acme/pay_1", "d", told.Dispute.WON, Money(200, "CNY"))
    refunded = told.RefundedElsewhere("acme/pay_1", "r", Money(1, "CNY"))
    loaded = await save(
        store,
        c.RecordFact(channel="rail", observation=SEEN),
        c.RecordFact(channel="rail", observation=told.Observation("e2", dispute)),
        c.RecordFact(channel="rail", observation=told.Observation("e3", refunded)),
    )

    assert set(loaded.facts.values()) == {notice, DISPUTE, elsewhere}


@pytest.mark.parametrize(
    ("fact", "object_id"),
    [
        (told.Expired("acme/pay_9"), "acme/pay_9"),
        (told.Answered("N9", said.Unknown()), "N9"),
    ],
)
async def test_a_parked_fact_sees_its_case(store: Store, fact: told.Fact, object_id: str) -> None:
    case: Case = open_case(CaseKind.PARKED_FACT, object_id=object_id, cause=NOTICE, now=1)
    await save(store, cases=[case])
    seen = told.Observation("evt_1", fact)
    loaded = await save(store, c.RetryParked(channel="rail", observation=seen, again_at=1))

    assert loaded.cases == {case.case_id: case}
