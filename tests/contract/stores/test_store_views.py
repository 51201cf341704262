"""The doors see what is committed, each tenant its own, and nothing changes by their looking."""

from __future__ import annotations

from typing import Any

import pytest
from contract.stores.samples import rows_of, save
from msgspec.structs import replace
from store.on_one_loop import run

from contraflow.domain.cases import CaseKind, open_case
from contraflow.domain.commands import Line
from contraflow.domain.decision import Receipt
from contraflow.domain.instruction import Instruction, Kind, Mode, Waiting
from contraflow.domain.lifecycle import PaymentState, State
from contraflow.domain.payment import Capturing, Payment
from contraflow.ledger.journal import Entry
from contraflow.store import RECORDED, Finished, Record, Sent, Store, Views, Window

PAYMENT = Payment(
    "acme/pay_1", "rail", "", "", "CNY", 9, Capturing.MANUAL, "P", 1, "{}", PaymentState.CREATED
)
OTHER = replace(
    PAYMENT, payment_id="acme-2/pay_1", channel="telex", currency="USD", pay_number="", created_at=7
)
REFUND = Instruction(
    instruction_id="acme/b",
    payment_id="acme/pay_1",
    channel="rail",
    kind=Kind.REFUND,
    mode=Mode.ASYNCHRONOUS_REFUND,
    minor=5,
    currency="CNY",
    key="acme/k",
    leg=0,
    is_fallback=False,
    capture_id="",
    requested_at=20,
    labels="{}",
    state=State.ATTENTION,
    number="B",
    attempt=1,
    leave_by=1,
    deadline_at=500,
)
DONE = replace(
    REFUND,
    instruction_id="acme/a",
    number="A",
    state=State.SUCCEEDED,
    requested_at=10,
    sent_at=11,
    known_at=12,
    final_at=100,
)
ELSEWHERE = replace(
    DONE,
    instruction_id="acme-2/c",
    payment_id="acme-2/pay_1",
    number="C",
    channel="telex",
    currency="USD",
    kind=Kind.VOID,
    mode=Mode.SYNCHRONOUS_CANCEL,
    final_at=200,
)
HELD = replace(
    REFUND,
    instruction_id="acme-2/d",
    payment_id="acme-2/pay_1",
    number="D",
    currency="USD",
    state=State.HELD,
    waiting=Waiting.REVIEW,
    deadline_at=300,
)
LATE = open_case(CaseKind.LATE_FACT, object_id="acme/pay_1", cause="1", now=5)
NOBODYS = open_case(CaseKind.PARKED_FACT, object_id="N9", cause="1", now=1)
CLOSED = replace(
    open_case(CaseKind.LATE_FACT, object_id="acme/pay_1", cause="2", now=5), closed_at=6
)
RECORDS = [
    Record("acme/a", 1, b"one", (Entry("x", "y", 5, "CNY"), Entry("y", "z", 1, "CNY"))),
    Record("acme/b", 1, b"two"),
    Record("acme/a", 2, b"three", (Entry("y", "x", 5, "CNY"),)),
]


@pytest.fixture(autouse=True)
def full(queue: Store) -> None:
    filling = save(
        queue,
        payments=[PAYMENT, OTHER],
        instructions=[REFUND, DONE, ELSEWHERE, HELD],
        receipts=[Receipt("acme/k", bytes(32), b"{}")],
        records=RECORDS,
        cases=[LATE, NOBODYS, CLOSED],
        holds=[("channel:rail", True), ("all", True)],
        lines=[(Line("file", 2), "refused"), (Line("file", 1), "ok"), (Line("f", 1), "ok")],
    )
    run(filling)
    run(queue.undelivered("sink", 9))


async def test_an_object_is_found_by_its_id_or_not_at_all(views: Views) -> None:
    assert await views.payment("acme/pay_1") == PAYMENT
    assert await views.payment("acme/pay_2") is None
    assert await views.instruction("acme/a") == DONE
    assert await views.instruction("acme/pay_1") is None
    assert await views.receipt("acme/k") == Receipt("acme/k", bytes(32), b"{}")
    assert await views.receipt("acme/l") is None


async def test_the_instructions_of_a_payment_come_as_they_were_asked_for(views: Views) -> None:
    assert await views.instructions_of("acme/pay_1") == [DONE, REFUND]
    assert await views.instructions_of("acme/pay_2") == []


async def test_what_has_come_to_its_end_or_to_a_person_is_at_rest(views: Views) -> None:
    asked = ["acme-2/d", "acme/a", "acme/b", "acme/nobody"]

    assert sorted(await views.at_rest(asked)) == ["acme/a", "acme/b"]
    assert await views.at_rest([]) == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [DONE, REFUND]),
        ({"after": "acme/a"}, [REFUND]),
        ({"after": "acme/b"}, []),
        ({"count_max": 1}, [DONE]),
        ({"state": "attention"}, [REFUND]),
        ({"kind": "void"}, []),
        ({"kind": "refund", "channel": "rail", "state": "succeeded"}, [DONE]),
        ({"channel": "telex"}, []),
    ],
)
async def test_a_tenant_lists_what_is_its_own(
    views: Views, filters: dict[str, Any], expected: list[Instruction]
) -> None:
    assert await views.list_instructions("acme", **filters) == expected


@pytest.mark.parametrize("tenant", ["acm", "acme-", "acm%", "nobody"])
async def test_nobody_sees_what_is_of_others(views: Views, tenant: str) -> None:
    window = Window(since=0, until=999, tenant=tenant)

    assert await views.list_instructions(tenant) == []
    assert await views.in_attention(tenant) == []
    assert await views.in_review(tenant) == []
    assert await views.open_cases(tenant) == []
    assert await views.finished(window) == []
    assert await views.sent(window) == []


async def test_what_waits_for_a_person_has_the_nearest_deadline_first(views: Views) -> None:
    assert await views.in_attention() == await views.in_attention("acme") == [REFUND]
    assert await views.in_review() == await views.in_review("acme-2") == [HELD]
    assert await views.open_cases() == [NOBODYS, LATE]
    assert await views.open_cases("acme") == [LATE]


async def test_events_come_in_order_with_their_entries(views: Views) -> None:
    found = await views.events_of(["acme/b", "acme/a", "acme/b"])

    assert found == list(enumerate(RECORDS, 1))
    assert await views.events_of(["acme/b"]) == [(2, RECORDS[1])]
    assert await views.events_of([]) == []


async def test_an_event_is_seen_at_once(queue: Store, views: Views) -> None:
    """Before any sink has asked for it."""
    await save(queue, records=[Record("acme/b", 2, b"four")])
    found = await views.events_of(["acme/b"])

    assert [record for _, record in found] == [RECORDS[1], Record("acme/b", 2, b"four")]


async def test_holds_and_lines_are_listed(views: Views) -> None:
    assert await views.holds() == ["all", "channel:rail"]
    assert await views.lines("file") == {1: "ok", 2: "refused"}
    assert await views.lines("nobody") == {}


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window(since=0, until=999), [DONE, ELSEWHERE]),
        (Window(since=100, until=200), [DONE]),
        (Window(since=101, until=201), [ELSEWHERE]),
        (Window(since=0, until=999, tenant="acme"), [DONE]),
        (Window(since=0, until=999, channel="telex"), [ELSEWHERE]),
        (Window(since=0, until=999, currency="CNY"), [DONE]),
        (Window(since=0, until=999, currency="CNY", channel="telex"), []),
    ],
)
async def test_a_window_holds_what_was_finished_in_it(
    views: Views, window: Window, expected: list[Instruction]
) -> None:
    fields = Finished.__struct_fields__

    assert await views.finished(window) == [
        Finished(*(getattr(instruction, field) for field in fields)) for instruction in expected
    ]


REFUNDED = Sent("refund", "succeeded", "created", 1)
VOIDED = Sent("void", "succeeded", "created", 1)
MADE_ELSEWHERE = Sent(RECORDED, "", "created", 1)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window(since=0, until=999), [MADE_ELSEWHERE, REFUNDED, VOIDED]),
        (Window(since=0, until=11), [MADE_ELSEWHERE]),
        (Window(since=8, until=12), [REFUNDED, VOIDED]),
        (Window(since=0, until=999, tenant="acme"), [REFUNDED]),
        (Window(since=0, until=999, channel="telex"), [MADE_ELSEWHERE, VOIDED]),
        (Window(since=0, until=999, currency="CNY"), [REFUNDED]),
    ],
)
async def test_a_window_counts_what_was_sent_in_it(
    views: Views, window: Window, expected: list[Sent]
) -> None:
    assert sorted(await views.sent(window), key=lambda sent: sent.kind) == expected


async def test_all_is_well_with_a_sound_database(views: Views) -> None:
    assert await views.damage() == []


async def test_the_engine_writes_while_the_doors_read(queue: Store, views: Views) -> None:
    """What is committed is seen at once."""
    await save(queue, receipts=[Receipt("acme/l", bytes(32), b"")], holds=[("x", True)])
    contents = await views.contents()

    assert await views.receipt("acme/l") == Receipt("acme/l", bytes(32), b"")
    assert await views.holds() == ["all", "channel:rail", "x"]
    assert replace(contents, now=0) == await rows_of(queue)
