"""Values with nothing empty in them, and the shortest ways to put them into a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from contraflow.domain import commands as c
from contraflow.domain import observation as told
from contraflow.domain import outcome as said
from contraflow.domain.cases import CaseKind, Parked, open_case
from contraflow.domain.commands import Command, Line
from contraflow.domain.decision import Receipt
from contraflow.domain.facts import BookedFact, FactKind, FactState, notice_id_for
from contraflow.domain.instruction import Instruction, Kind, Mode, Waiting, Withdrawal
from contraflow.domain.lifecycle import PaymentState, State
from contraflow.domain.money import Money
from contraflow.domain.payment import Capturing, Payment
from contraflow.ledger.journal import Entry
from contraflow.store import Commit, Contents, Loaded, Record, Store

NOW = 1_000
KEY = {"key": "acme/key_1", "fingerprint": bytes(32)}
CHANNELS = ("rail", "telex", "sandbox")


@dataclass(slots=True)
class Clock:
    """Of the store, in a test's hand."""

    at: int = NOW

    def __call__(self) -> int:
        return self.at


PAYMENT = Payment(
    payment_id="acme/pay_1",
    channel="rail",
    method="card",
    instrument="visa ·42",
    currency="CNY",
    amount=1_000,
    capturing=Capturing.MANUAL,
    pay_number="PAY1",
    created_at=1,
    labels='{"customer":"Ø"}',
    state=PaymentState.CAPTURED,
    authorized=2_000,
    capture_in_flight=10,
    captured=1_000,
    void_in_flight=20,
    voided=30,
    reserved=600,
    refunded=300,
    charged_back=200,
    excess=100,
    refunds=2,
    unknown=1,
    closing=1,
    paid_at=2,
    captured_at=3,
    refund_sent_at=4,
    expires_at=5_000,
    reference="their-1",
    sequence=7,
)
REFUND = Instruction(
    instruction_id="acme/ref_1",
    payment_id="acme/pay_1",
    channel="rail",
    kind=Kind.REFUND,
    mode=Mode.SYNCHRONOUS_REFUND,
    minor=600,
    currency="CNY",
    key="acme/key_1",
    leg=1,
    is_fallback=True,
    capture_id="cap_1",
    requested_at=10,
    labels="{}",
    state=State.UNKNOWN,
    number="NEW",
    generation=1,
    withdrawal=Withdrawal.ASKED,
    waiting=Waiting.REVIEW,
    sequence=3,
    due_at=900,
    deadline_at=9_000,
    lease=2,
    attempt=1,
    sent_at=11,
    leave_by=12,
    in_doubt=True,
    known_at=13,
    final_at=None,
    reference="their-2",
    failure="timeout",
    fruitless=1,
)
FENCE = REFUND.fence
CAPTURED = BookedFact(
    "acme/pay_1/capture/cap_1", FactKind.CAPTURE, "acme/pay_1", 1_000, "CNY", FactState.BOOKED, 20
)
DISPUTE = BookedFact(
    "acme/pay_1/chargeback/d", FactKind.CHARGEBACK, "acme/pay_1", 200, "CNY", FactState.OPENED, 21
)
CASE = open_case(CaseKind.OVER_REVERSAL, object_id="acme/pay_1", cause="1", now=30, detail="why")
SEEN = told.Observation(
    "evt_1",
    told.Captured("acme/pay_9", "cap_9", Money(5, "CNY")),
    said.Evidence(proof=said.Proof.SIGNATURE, code="OK", status=200),
)
NOTICE = notice_id_for(channel="rail", event_id="evt_1")
PARKED = Parked(NOTICE, "rail", SEEN, 950)


def commit_of(**parts: Any) -> Commit:
    empty: dict[str, Any] = {name: [] for name in Commit.__struct_fields__}
    return Commit(**empty | parts)


async def save(store: Store, *commands: Command, **parts: Any) -> Loaded:
    """What the commands have loaded, in a commit that writes these parts."""
    seen: list[Loaded] = []

    def plan(loaded: Loaded) -> Commit:
        seen.append(loaded)
        return commit_of(**parts)

    await store.commit(commands, plan)
    return seen[-1]


async def rows_of(store: Store) -> Contents:
    """All but the time: a server's clock goes on while nothing changes."""
    return replace(await store.contents(), now=0)


async def fill(store: Store) -> None:
    """A refund of 600 out of 1,000 in doubt, and one row at least in every table."""
    before = replace(REFUND, number="OLD", generation=0)
    await save(store, payments=[PAYMENT], instructions=[before])
    await save(
        store,
        c.MarkSent(fence=FENCE, leave_by=0, lease_until=0),
        instructions=[REFUND],
        receipts=[Receipt("acme/key_1", bytes(32), b"{}")],
        records=[Record("acme/ref_1", 1, b'{"v":1}', (Entry("a", "b", 600, "CNY"),))],
        facts=[CAPTURED, DISPUTE],
        cases=[CASE],
        parked=[PARKED],
        holds=[("channel:rail", True)],
        lines=[(Line("file", 1), "ok")],
        nonces=[c.Nonce("key_1/nonce", bytes(32))],
        references=[("acme/order 7", "acme/ref_1")],
    )
    assert len(await store.undelivered("sink", 9)) == 1
    await store.advance("sink", 0)
    await store.suspect(["acme/ref_1"], is_proven=True)


def reaching(instruction: Instruction) -> Command:
    return c.FireTimer(fence=instruction.fence)


def refund(payment_id: str = "acme/pay_1", **fields: Any) -> c.RequestRefund:
    return c.RequestRefund(**KEY | fields, payment_id=payment_id, amount=Money(1, "CNY"))


def waiting(name: str, **fields: Any) -> Instruction:
    """An instruction that nobody has sent yet."""
    accepted = {
        "state": State.ACCEPTED,
        "attempt": 0,
        "leave_by": None,
        "deadline_at": None,
        "fruitless": 0,
    }
    base = replace(REFUND, instruction_id=f"acme/{name}", number=name.upper())
    return replace(base, **accepted | {"waiting": Waiting.NOTHING} | fields)


def names(due: list[Instruction]) -> list[str]:
    return [instruction.instruction_id.partition("/")[2] for instruction in due]
