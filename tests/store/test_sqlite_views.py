from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace

from contraflow.domain.cases import CaseKind, open_case
from contraflow.domain.commands import Line
from contraflow.domain.decision import Receipt
from contraflow.domain.instruction import Instruction, Kind, Mode
from contraflow.domain.lifecycle import PaymentState, State
from contraflow.domain.payment import Capturing, Payment
from contraflow.ledger.journal import Entry
from contraflow.outside.virtual_time import result_of
from contraflow.store import Commit, Finished, Record, Window
from contraflow.store.sqlite import SqliteStore, open_store
from contraflow.store.sqlite_views import SqliteViews, open_views

PAYMENT = Payment(
    "acme/pay_1", "rail", "", "", "CNY", 9, Capturing.MANUAL, "P", 1, "{}", PaymentState.CREATED
)
OTHER = replace(PAYMENT, payment_id="acme-2/pay_1", channel="telex", currency="USD")
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
CASE = open_case(CaseKind.LATE_FACT, object_id="acme/pay_1", cause="1", now=5)
NOBODYS = open_case(CaseKind.PARKED_FACT, object_id="N9", cause="1", now=1)
CLOSED = replace(
    open_case(CaseKind.LATE_FACT, object_id="acme/pay_1", cause="2", now=5), closed_at=6
)
RECORDS = [
    Record("acme/a", 1, b"one", (Entry("x", "y", 5, "CNY"), Entry("y", "z", 1, "CNY"))),
    Record("acme/b", 1, b"two"),
    Record("acme/a", 2, b"three", (Entry("y", "x", 5, "CNY"),)),
]


def save(store: SqliteStore, **parts: Any) -> None:
    empty: dict[str, Any] = {name: [] for name in Commit.__struct_fields__}
    result_of(store.commit([], lambda _: Commit(**empty | parts)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(tmp_path / "contraflow.db", lambda: 1_000)
    save(
        opened,
        payments=[PAYMENT, OTHER],
        instructions=[REFUND, DONE, ELSEWHERE],
        receipts=[Receipt("acme/k", bytes(32), b"{}")],
        records=RECORDS,
        cases=[CASE, NOBODYS, CLOSED],
        holds=[("channel:rail", True), ("all", True)],
        lines=[(Line("file", 2), "refused"), (Line("file", 1), "ok"), (Line("f", 1), "ok")],
    )
    yield opened
    result_of(opened.close())


@pytest.fixture
def views(store: SqliteStore, tmp_path: Path) -> Iterator[SqliteViews]:
    assert store.now() == 1_000
    opened = open_views(tmp_path / "contraflow.db")
    yield opened
    result_of(opened.close())


def test_an_object_is_found_by_its_id_or_not_at_all(views: SqliteViews) -> None:
    assert result_of(views.payment("acme/pay_1")) == PAYMENT
    assert result_of(views.payment("acme/pay_2")) is None
    assert result_of(views.instruction("acme/a")) == DONE
    assert result_of(views.instruction("acme/pay_1")) is None
    assert result_of(views.receipt("acme/k")) == Receipt("acme/k", bytes(32), b"{}")
    assert result_of(views.receipt("acme/l")) is None


def test_the_instructions_of_a_payment_come_as_they_were_asked_for(views: SqliteViews) -> None:
    assert result_of(views.instructions_of("acme/pay_1")) == [DONE, REFUND]
    assert result_of(views.instructions_of("acme/pay_2")) == []


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
def test_a_tenant_lists_what_is_its_own(
    views: SqliteViews, filters: dict[str, Any], expected: list[Instruction]
) -> None:
    assert result_of(views.list_instructions("acme", **filters)) == expected


@pytest.mark.parametrize("tenant", ["acm", "acme-", "acm%", "nobody"])
def test_nobody_sees_what_is_of_others(views: SqliteViews, tenant: str) -> None:
    assert result_of(views.list_instructions(tenant)) == []
    assert result_of(views.in_attention(tenant)) == []
    assert result_of(views.open_cases(tenant)) == []
    assert result_of(views.finished(Window(since=0, until=999, tenant=tenant))) == []


def test_what_waits_for_a_person_has_the_nearest_deadline_first(views: SqliteViews) -> None:
    assert result_of(views.in_attention()) == result_of(views.in_attention("acme")) == [REFUND]
    assert result_of(views.open_cases()) == [NOBODYS, CASE]
    assert result_of(views.open_cases("acme")) == [CASE]


def test_events_come_in_order_with_their_entries(views: SqliteViews) -> None:
    assert result_of(views.events_of(["acme/b", "acme/a", "acme/b"])) == list(enumerate(RECORDS, 1))
    assert result_of(views.events_of(["acme/b"])) == [(2, RECORDS[1])]
    assert result_of(views.events_of([])) == []


def test_holds_are_listed(views: SqliteViews) -> None:
    assert result_of(views.holds()) == ["all", "channel:rail"]


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
def test_a_window_holds_what_was_finished_in_it(
    views: SqliteViews, window: Window, expected: list[Instruction]
) -> None:
    fields = Finished.__struct_fields__

    assert result_of(views.finished(window)) == [
        Finished(*(getattr(instruction, field) for field in fields)) for instruction in expected
    ]


def test_a_sound_file_has_no_damage(views: SqliteViews) -> None:
    assert result_of(views.damage()) == []


def test_views_cannot_write(views: SqliteViews) -> None:
    with pytest.raises(apsw.ReadOnlyError):
        views.connection.execute("UPDATE payment SET reference = 'x'").fetchall()
    assert result_of(views.payment("acme/pay_1")) == PAYMENT


def test_the_engine_writes_while_the_doors_read(store: SqliteStore, views: SqliteViews) -> None:
    """What is not committed is not seen; what is committed is seen at once."""
    seen: list[object] = []

    def plan(_: object) -> Commit:
        store.connection.execute("UPDATE hold SET scope = 'x' WHERE scope = 'all'").fetchall()
        seen.append(result_of(views.holds()))
        empty: dict[str, Any] = {name: [] for name in Commit.__struct_fields__}
        return Commit(**empty | {"holds": [("y", True)]})

    result_of(store.commit([], plan))
    assert seen == [["all", "channel:rail"]]
    assert result_of(views.holds()) == ["channel:rail", "x", "y"]
    assert result_of(views.contents()) == result_of(store.contents())
