# ruff: noqa: S608 the statements are made of our own words.
"""A store keeps what its page promises, whoever asks, and keeps it against plain SQL too."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import apsw
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from contraflow.domain import commands as c
from contraflow.domain import observation as told
from contraflow.domain import outcome as said
from contraflow.domain.cases import Case, CaseKind, Parked, open_case
from contraflow.domain.commands import Command, Line
from contraflow.domain.decision import Receipt
from contraflow.domain.facts import BookedFact, FactKind, FactState, fact_id_for, notice_id_for
from contraflow.domain.instruction import Instruction, Kind, Mode, Waiting, Withdrawal
from contraflow.domain.lifecycle import FINAL, PaymentState, State
from contraflow.domain.money import AMOUNT_MINOR_MAX, Money
from contraflow.domain.payment import Capturing, Payment
from contraflow.errors import Superseded, ValueRefused
from contraflow.ledger.journal import Entry
from contraflow.outside.virtual_time import result_of
from contraflow.store import Commit, Contents, Loaded, Record
from contraflow.store.sqlite import SqliteStore, connect, open_store

NOW = 1_000
KEY = {"key": "acme/key_1", "fingerprint": bytes(32)}
NAMES = itertools.count()
CHANNELS = ("rail", "telex", "sandbox")


def in_memory(_: Path) -> str:
    return f"file:/contract-{next(NAMES)}?vfs=memdb"


def in_a_file(folder: Path) -> str:
    return str(folder / "contraflow.db")


# Every store is under test: another database adds its place here, and how it is opened.
PLACES: Mapping[str, Callable[[Path], str]] = {"memory": in_memory, "file": in_a_file}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return PLACES[request.param](tmp_path)


@pytest.fixture
def store(place: str) -> Iterator[SqliteStore]:
    opened = filled(place)
    yield opened
    result_of(opened.close())


@pytest.fixture
def rows() -> Iterator[SqliteStore]:
    """For plain SQL: the schema is the same in memory as in a file, and faster."""
    opened = filled(in_memory(Path()))
    yield opened
    result_of(opened.close())


def filled(place: str) -> SqliteStore:
    """A refund of 600 out of 1,000 in doubt, and one row at least in every table."""
    opened = open_store(place, lambda: NOW)
    save(opened, payments=[PAYMENT], instructions=[replace(REFUND, number="OLD", generation=0)])
    save(
        opened,
        c.MarkSent(fence=REFUND.fence, leave_by=0, lease_until=0),
        instructions=[REFUND],
        receipts=[Receipt("acme/key_1", bytes(32), b"{}")],
        records=[Record("acme/ref_1", 1, b'{"v":1}', (Entry("a", "b", 600, "CNY"),))],
        facts=[CAPTURED, DISPUTE],
        cases=[CASE],
        parked=[PARKED],
        holds=[("channel:rail", True)],
        lines=[(Line("file", 1), "ok")],
    )
    result_of(opened.advance("sink", 0))
    result_of(opened.suspect(["acme/ref_1"]))
    return opened


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
)
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


def save(store: SqliteStore, *commands: Command, **parts: Any) -> Loaded:
    seen: list[Loaded] = []

    def plan(loaded: Loaded) -> Commit:
        seen.append(loaded)
        return commit_of(**parts)

    result_of(store.commit(commands, plan))
    return seen[0]


def contents_of(store: SqliteStore) -> Contents:
    contents: Contents = result_of(store.contents())
    return contents


def reaching(instruction: Instruction) -> Command:
    return c.FireTimer(fence=instruction.fence)


def refund(payment_id: str = "acme/pay_1", **fields: Any) -> c.RequestRefund:
    return c.RequestRefund(**KEY | fields, payment_id=payment_id, amount=Money(1, "CNY"))


# What is recorded stays.

TABLES = ("receipt", "event", "entry", "line", "migration", "old_number")
KEPT = ("payment", "instruction", "fact", "operator_case", "engine")
REPLACED = {
    "receipt": ["key"],
    "event": ["position", "object_id"],
    "entry": ["position"],
    "line": ["source"],
    "migration": ["number"],
    "old_number": ["number"],
    "payment": ["payment_id"],
    "instruction": ["instruction_id", "number"],
    "fact": ["fact_id"],
    "operator_case": ["case_id"],
}


@pytest.mark.parametrize("table", TABLES)
def test_what_is_recorded_stays(rows: SqliteStore, table: str) -> None:
    before, columns = dump(rows), columns_of(rows, table)

    for column in columns:
        with pytest.raises(apsw.ConstraintError, match="append only"):
            run(rows, f"UPDATE {table} SET {column} = {column}")
    with pytest.raises(apsw.ConstraintError, match="append only"):
        run(rows, f"DELETE FROM {table}")
    assert dump(rows) == before


@pytest.mark.parametrize("table", KEPT)
def test_what_lives_is_never_removed(rows: SqliteStore, table: str) -> None:
    before = dump(rows)

    with pytest.raises(apsw.ConstraintError, match="never removed"):
        run(rows, f"DELETE FROM {table}")
    assert dump(rows) == before


@pytest.mark.parametrize(
    ("table", "key"), [(table, key) for table, keys in REPLACED.items() for key in keys]
)
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_nothing_is_replaced_by_any_of_its_keys(
    rows: SqliteStore, table: str, key: str, recursive: str
) -> None:
    """Also on a connection that does not ask the delete triggers."""
    before = dump(rows)
    run(rows, f"PRAGMA recursive_triggers = {recursive}")
    run(rows, "PRAGMA foreign_keys = OFF")
    others = {"position": "position + 99", "object_id": "object_id", "sequence": "sequence"}
    if key == "object_id":
        others["position"] = "position + 99"
    else:
        others |= {"position": "position", "object_id": "object_id || '_'"}
    if table == "instruction":
        others |= {
            "instruction_id": "instruction_id" + (" || '_'" if key == "number" else ""),
            "number": "number" + (" || '_'" if key != "number" else ""),
        }
    values = ", ".join(others.get(column, column) for column in columns_of(rows, table))

    with pytest.raises(apsw.ConstraintError, match=r"append only|never replaced"):
        run(rows, f"INSERT OR REPLACE INTO {table} SELECT {values} FROM {table} LIMIT 1")
    assert dump(rows) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE fact SET minor = 1 WHERE kind = 'chargeback'",
        "UPDATE fact SET state = 'opened' WHERE kind = 'chargeback'",
        "UPDATE fact SET state = 'won' WHERE kind = 'capture'",
        "UPDATE fact SET state = 'won', payment_id = 'x' WHERE kind = 'chargeback'",
        "UPDATE operator_case SET detail = 'x'",
        "UPDATE operator_case SET detail = 'x', closed_at = 1",
        "UPDATE operator_case SET closed_by = 'x'",
        "UPDATE instruction SET number = 'x'",
        "UPDATE instruction SET number = 'OLD', generation = 2",
        "UPDATE engine SET incarnation = incarnation - 1",
        "UPDATE engine SET now = now - 1",
    ],
)
def test_a_life_goes_on_only_as_it_may(rows: SqliteStore, statement: str) -> None:
    before = dump(rows)

    with pytest.raises(apsw.ConstraintError):
        run(rows, statement)
    assert dump(rows) == before


def test_a_closed_case_and_an_ended_dispute_stay_as_they_are(rows: SqliteStore) -> None:
    run(rows, "UPDATE operator_case SET closed_at = 1, closed_by = 'x'")
    run(rows, "UPDATE fact SET state = 'won' WHERE kind = 'chargeback'")

    for statement in (
        "UPDATE operator_case SET closed_at = 2",
        "UPDATE operator_case SET closed_at = NULL",
        "UPDATE fact SET state = 'lost' WHERE kind = 'chargeback'",
    ):
        with pytest.raises(apsw.ConstraintError, match="only"):
            run(rows, statement)


@pytest.mark.parametrize("kind", [Payment, Instruction])
def test_what_it_was_born_with_never_changes(rows: SqliteStore, kind: type[Any]) -> None:
    fields = kind.__struct_fields__
    for column in fields[: fields.index("state")]:
        with pytest.raises(apsw.ConstraintError, match="born with"):
            run(rows, f"UPDATE {kind.__name__} SET {column} = {column}")


@pytest.mark.parametrize("kind", [Payment, Instruction])
def test_the_columns_are_the_fields_in_their_order(rows: SqliteStore, kind: type[Any]) -> None:
    assert columns_of(rows, kind.__name__) == ["version", *kind.__struct_fields__]


@pytest.mark.parametrize(
    "change",
    [
        "reserved = 1001",
        "refunded = refunded + 1",
        "charged_back = -1",
        "voided = 1000",
        "capture_in_flight = 1000",
        "capture_in_flight = -1",
        "authorized = 10",
        "excess = 0",
        "excess = 101",
        "captured = 600.5",
        "captured = 'many'",
        f"authorized = {AMOUNT_MINOR_MAX + 1}",
        "authorized = 9223372036854775808",
        "refunds = -1",
        "unknown = -1",
        "closing = -1",
        "sequence = 0",
        "state = 'lost'",
        "state = NULL",
    ],
)
def test_the_database_refuses_a_payment_that_cannot_be(rows: SqliteStore, change: str) -> None:
    with pytest.raises(apsw.ConstraintError):
        run(rows, f"UPDATE payment SET {change}")


@pytest.mark.parametrize(
    "change",
    [
        "state = 'lost'",
        "state = 'failed'",
        "state = 'succeeded', final_at = 5",
        "final_at = 5, due_at = NULL",
        "state = 'held', deadline_at = NULL",
        "withdrawal = 'perhaps'",
        "waiting = 'long'",
        "attempt = 0",
        "leave_by = NULL",
        "lease = -1",
        "in_doubt = 2",
        "sequence = 0",
        "due_at = 'soon'",
    ],
)
def test_the_database_refuses_an_instruction_that_cannot_be(rows: SqliteStore, change: str) -> None:
    with pytest.raises(apsw.ConstraintError):
        run(rows, f"UPDATE instruction SET {change}")


@pytest.mark.parametrize(
    "change",
    [
        {"minor": "0"},
        {"minor": str(AMOUNT_MINOR_MAX + 1)},
        {"kind": "'chargeback'"},
        {"mode": "'by_hand'"},
        {"currency": "'USD'"},
        {"payment_id": "'acme/pay_2'"},
        {"leg": "-1"},
        {"is_fallback": "7"},
    ],
)
def test_no_instruction_is_born_that_cannot_be(rows: SqliteStore, change: dict[str, str]) -> None:
    fresh = {"instruction_id": "'acme/ref_2'", "number": "'N2'"} | change
    values = ", ".join(fresh.get(column, column) for column in columns_of(rows, "instruction"))

    with pytest.raises(apsw.ConstraintError):
        run(rows, f"INSERT INTO instruction SELECT {values} FROM instruction")


# All or nothing.


def test_a_row_in_another_version_than_loaded_stops_the_commit(store: SqliteStore) -> None:
    before = contents_of(store)

    def overtaken(_: Loaded) -> Commit:
        run(store, "UPDATE payment SET version = version + 1")
        return commit_of(payments=[replace(PAYMENT, reference="x")])

    with pytest.raises(AssertionError, match="UPDATE payment"):
        result_of(store.commit([refund()], overtaken))
    assert contents_of(store) == before


def test_a_plan_that_fails_leaves_nothing_behind(store: SqliteStore) -> None:
    before = contents_of(store)

    def fail(_: Loaded) -> NoReturn:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        result_of(store.commit([refund()], fail))
    assert contents_of(store) == before


@pytest.mark.parametrize(
    "parts",
    [
        {"receipts": [Receipt("acme/k2", bytes(32), b""), Receipt("acme/key_1", bytes(32), b"")]},
        {"records": [Record("acme/ref_1", 1, b"other")]},
        {"lines": [(Line("file", 1), "other")]},
        {"instructions": [replace(REFUND, instruction_id="acme/ref_2")]},
        {"payments": [PAYMENT]},
        {"facts": [CAPTURED]},
        {"cases": [CASE]},
    ],
    ids=lambda parts: next(iter(parts)),
)
def test_what_is_written_twice_is_our_own_bug(store: SqliteStore, parts: dict[str, Any]) -> None:
    before = contents_of(store)

    with pytest.raises(AssertionError):
        save(store, **parts)
    assert contents_of(store) == before


def test_an_instruction_in_another_currency_is_our_own_bug(store: SqliteStore) -> None:
    before = contents_of(store)
    foreign = replace(REFUND, instruction_id="acme/r", number="N", currency="USD")

    with pytest.raises(AssertionError, match="currency of its payment"):
        save(store, instructions=[foreign])
    assert contents_of(store) == before


@pytest.mark.parametrize(
    "parts",
    [
        {"payments": [replace(PAYMENT, payment_id="acme/p", paid_at=2**63)]},
        {"payments": [replace(PAYMENT, payment_id="acme/p", amount=AMOUNT_MINOR_MAX + 1)]},
        {"payments": [replace(PAYMENT, payment_id="acme/p", reference="\ud800")]},
        {"payments": [replace(PAYMENT, payment_id="acme/p", currency="CN")]},
        {"receipts": [Receipt("acme/k", bytes(31), b"")]},
        {"instructions": [replace(REFUND, instruction_id="acme/r", number="N", payment_id="x/y")]},
    ],
    ids=["63 bits", "10^15", "surrogate", "currency", "fingerprint", "foreign key"],
)
def test_a_value_that_the_database_refuses_leaves_nothing(
    store: SqliteStore, parts: dict[str, Any]
) -> None:
    before = contents_of(store)

    with pytest.raises(ValueRefused):
        save(store, records=[Record("acme/x", 1, b"")], lines=[(Line("file", 9), "ok")], **parts)
    assert contents_of(store) == before


@pytest.mark.parametrize("name", ["\ud800", "acme/\udfff"])
def test_a_name_that_cannot_be_asked_for_is_refused(store: SqliteStore, name: str) -> None:
    with pytest.raises(ValueRefused):
        save(store, refund(payment_id=name))


@pytest.mark.parametrize("name", ["a\0b", "a", "", "é", "\U0001f4b8", "'", '"', "\\u0000"])
def test_a_key_is_found_exactly_as_it_was_written(store: SqliteStore, name: str) -> None:
    keys = [name, name + "\0", name + "x"]
    for key in keys:
        save(store, receipts=[Receipt(key, bytes(32), key.encode())])
    loaded = save(store, *(refund(key=key) for key in keys))

    assert {key: receipt.body for key, receipt in loaded.receipts.items()} == {
        key: key.encode() for key in keys
    }


# One engine, one clock.


def test_an_earlier_incarnation_changes_nothing(store: SqliteStore, place: str) -> None:
    later = SqliteStore(connect(place), lambda: NOW)
    before = contents_of(later)

    for write in (store.advance("sink", 5), store.suspect(["x"]), store.clear_suspects()):
        with pytest.raises(Superseded):
            result_of(write)
    with pytest.raises(Superseded):
        save(store, receipts=[Receipt("acme/k2", bytes(32), b"")])
    assert contents_of(later) == before
    later.connection.close()


def test_what_is_superseded_does_not_even_plan(store: SqliteStore, place: str) -> None:
    later = SqliteStore(connect(place), lambda: NOW)
    asked: list[Loaded] = []

    def plan(loaded: Loaded) -> Commit:
        asked.append(loaded)
        return commit_of()

    with pytest.raises(Superseded):
        result_of(store.commit([refund()], plan))
    assert asked == []
    later.connection.close()


def test_the_clock_never_goes_below_what_was_committed(store: SqliteStore, place: str) -> None:
    store.clock = lambda: 400
    assert store.now() == NOW
    assert save(store).now == NOW

    later = SqliteStore(connect(place), lambda: 300)
    assert later.now() == NOW
    assert save(later).now == NOW
    later.connection.close()


def test_a_dead_process_loses_its_marks(store: SqliteStore, place: str) -> None:
    """Its outcome is stale, and the attempt is asked about at once.

    No byte of a dead process leaves after now, whatever its clock had said.
    """
    sent = replace(REFUND, state=State.SENT, due_at=70_000)
    save(store, reaching(REFUND), instructions=[sent])
    pending = replace(REFUND, instruction_id="acme/ref_2", number="N2", due_at=80_000)
    save(store, instructions=[pending])
    later = SqliteStore(connect(place), lambda: 2_000)

    assert contents_of(later).instructions == {
        "acme/ref_1": replace(sent, due_at=2_000, lease=sent.lease + 1, leave_by=2_000),
        "acme/ref_2": replace(pending, leave_by=2_000),
    }
    later.connection.close()


# What falls due.


def waiting(name: str, **fields: Any) -> Instruction:
    accepted = {"state": State.ACCEPTED, "attempt": 0, "leave_by": None, "deadline_at": None}
    base = replace(REFUND, instruction_id=f"acme/{name}", number=name.upper(), waiting="")
    return replace(base, **accepted | {"waiting": Waiting.NOTHING} | fields)


@pytest.fixture
def queue(place: str) -> Iterator[SqliteStore]:
    opened = open_store(place, lambda: NOW)
    yield opened
    result_of(opened.close())


def names(due: list[Instruction]) -> list[str]:
    return [instruction.instruction_id.partition("/")[2] for instruction in due]


def test_due_is_what_waits_longest(queue: SqliteStore) -> None:
    rows = [
        waiting("b", due_at=20),
        waiting("a", due_at=10),
        waiting("later", due_at=NOW + 1),
        waiting("over", state=State.FAILED, final_at=5, due_at=None),
        waiting("other", channel="telex", due_at=30),
    ]
    save(queue, payments=[PAYMENT], instructions=rows)

    assert names(result_of(queue.due("rail", 10))) == ["a", "b"]
    assert names(result_of(queue.due("rail", 1))) == ["a"]
    assert names(result_of(queue.due("telex", 10))) == ["other"]
    assert result_of(queue.due("fax", 10)) == []
    assert result_of(queue.next_due(CHANNELS)) == 10


def test_nothing_is_due_in_an_empty_store(queue: SqliteStore) -> None:
    assert result_of(queue.next_due(CHANNELS)) is None


@pytest.mark.parametrize("scope", ["all", "channel:rail", "merchant:acme"])
def test_a_hold_stops_what_is_only_waiting_to_be_sent(queue: SqliteStore, scope: str) -> None:
    rows = [
        waiting("waits", due_at=1),
        waiting("waits_until", due_at=2, deadline_at=NOW + 500),
        waiting("timed_out", due_at=3, deadline_at=NOW),
        waiting("asked", due_at=4, state=State.UNKNOWN, attempt=1, leave_by=1),
        waiting("held", due_at=5, state=State.HELD, deadline_at=NOW, waiting=Waiting.UNDO_WINDOW),
        waiting(
            "redirected",
            due_at=6,
            state=State.ATTENTION,
            attempt=1,
            leave_by=1,
            waiting=Waiting.REDIRECT,
        ),
    ]
    save(queue, payments=[PAYMENT], instructions=rows, holds=[(scope, True)])

    assert names(result_of(queue.due("rail", 10))) == ["timed_out", "asked", "held"]

    settled = [replace(rows[i], state=State.FAILED, final_at=9, due_at=None) for i in (2, 3, 4)]
    save(queue, *map(reaching, rows), instructions=settled)
    assert result_of(queue.due("rail", 10)) == []
    assert result_of(queue.next_due(CHANNELS)) == NOW + 500

    save(queue, holds=[(scope, True), (scope, False)])
    assert names(result_of(queue.due("rail", 10))) == ["waits", "waits_until", "redirected"]
    assert result_of(queue.next_due(CHANNELS)) == 1


@pytest.mark.parametrize("scope", ["channel:telex", "merchant:acm", "merchant:other", "alle"])
def test_a_hold_elsewhere_stops_nothing(queue: SqliteStore, scope: str) -> None:
    save(queue, payments=[PAYMENT], instructions=[waiting("a", due_at=1)], holds=[(scope, True)])

    assert names(result_of(queue.due("rail", 10))) == ["a"]
    assert result_of(queue.next_due(CHANNELS)) == 1


@pytest.mark.parametrize("object_id", ["acme/a", "acme/pay_1"])
def test_what_is_quarantined_is_not_due_until_its_case_is_closed(
    queue: SqliteStore, object_id: str
) -> None:
    case = open_case(CaseKind.QUARANTINED, object_id=object_id, cause="1", now=1)
    unpaid = replace(PAYMENT, state=PaymentState.PENDING, expires_at=40)
    other = waiting("b", payment_id="acme/pay_2", due_at=50)
    about = told.Observation("e", told.Expired("acme/pay_1"))
    save(
        queue,
        payments=[unpaid, replace(PAYMENT, payment_id="acme/pay_2")],
        instructions=[waiting("a", due_at=1), other],
        cases=[case],
        parked=[Parked("n", "rail", about, 30)],
    )

    assert names(result_of(queue.due("rail", 10))) == ["b"]
    if object_id == "acme/pay_1":
        assert result_of(queue.due_payments(CHANNELS, 10)) == []
        assert result_of(queue.due_parked(CHANNELS, 10)) == []
        assert result_of(queue.next_due(CHANNELS)) == 50

    resolve = c.ResolveCase(
        **KEY, object_id=case.case_id, resolution=c.Resolution.CLOSED, evidence="seen"
    )
    assert save(queue).quarantined == {object_id}
    loaded = save(queue, resolve, cases=[replace(case, closed_at=NOW, closed_by="acme/key_1")])
    assert loaded.cases == {case.case_id: case}
    assert save(queue).quarantined == set()
    assert names(result_of(queue.due("rail", 10))) == ["a", "b"]
    assert result_of(queue.next_due(CHANNELS)) == 1


def test_payments_fall_due_while_they_are_unpaid(queue: SqliteStore) -> None:
    unpaid = replace(PAYMENT, state=PaymentState.CREATED, expires_at=40)
    rows = [
        unpaid,
        replace(unpaid, payment_id="acme/pay_2", state=PaymentState.PENDING, expires_at=30),
        replace(unpaid, payment_id="acme/pay_3", expires_at=NOW + 1),
        replace(unpaid, payment_id="acme/pay_4", state=PaymentState.CAPTURED, expires_at=5),
        replace(unpaid, payment_id="acme/pay_5", expires_at=None),
    ]
    save(queue, payments=rows)

    assert result_of(queue.due_payments(CHANNELS, 10)) == [rows[1], rows[0]]
    assert result_of(queue.due_payments(CHANNELS, 1)) == [rows[1]]
    assert result_of(queue.next_due(CHANNELS)) == 30


def test_parked_facts_fall_due_until_they_are_done(queue: SqliteStore) -> None:
    later = replace(PARKED, notice_id="n2", due_at=NOW + 1)
    save(queue, parked=[PARKED, later])

    assert result_of(queue.due_parked(CHANNELS, 10)) == [PARKED]
    assert result_of(queue.next_due(CHANNELS)) == 950

    save(queue, parked=[replace(PARKED, due_at=None)])
    assert result_of(queue.due_parked(CHANNELS, 10)) == []
    assert result_of(queue.next_due(CHANNELS)) == NOW + 1


# Sinks and suspects.


def test_each_sink_has_its_own_place_in_the_events(queue: SqliteStore) -> None:
    entries = (Entry("a", "b", 5, "CNY"), Entry("b", "c", 7, "JPY"))
    records = [Record("acme/x", 1, b"one"), Record("acme/x", 2, b"two", entries)]
    save(queue, records=records)

    assert result_of(queue.undelivered("one", 10)) == list(enumerate(records, 1))
    assert result_of(queue.undelivered("one", 1)) == [(1, records[0])]

    result_of(queue.advance("one", 1))
    assert result_of(queue.undelivered("one", 10)) == [(2, records[1])]
    assert len(result_of(queue.undelivered("two", 10))) == 2


def test_suspects_are_counted_and_cleared(queue: SqliteStore) -> None:
    result_of(queue.suspect(["a", "b"]))
    result_of(queue.suspect(["b"]))
    assert result_of(queue.suspects()) == {"a": 1, "b": 2}

    result_of(queue.clear_suspects())
    assert result_of(queue.suspects()) == {}


# What goes in comes out.


def test_every_value_comes_back_with_every_field(store: SqliteStore) -> None:
    contents = contents_of(store)

    assert contents.now == NOW
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


def test_balances_add_up_over_batches(queue: SqliteStore) -> None:
    for sequence in (1, 2, 3):
        entries = (Entry("a", "b", 5, "CNY"), Entry("b", "c", 2, "CNY"), Entry("a", "b", 1, "JPY"))
        save(queue, records=[Record("acme/x", sequence, b"", entries)])

    assert contents_of(queue).balances == {
        ("a", "CNY"): 15,
        ("a", "JPY"): 3,
        ("b", "CNY"): -9,
        ("b", "JPY"): -3,
        ("c", "CNY"): -6,
    }


TIMES = st.none() | st.integers(0, 2**62)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


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


@settings(max_examples=60, deadline=None)
@given(payment=payments(), changed=payments(), first=instructions(), second=instructions())
def test_any_value_comes_back_as_it_went_in(
    payment: Payment, changed: Payment, first: Instruction, second: Instruction
) -> None:
    store = open_store(in_memory(Path()), lambda: NOW)
    save(store, payments=[payment], instructions=[first])
    loaded = save(store, reaching(first))
    assert loaded.payments == {payment.payment_id: payment}
    assert loaded.instructions == {first.instruction_id: first}

    fields = Payment.__struct_fields__
    alive = {name: getattr(changed, name) for name in fields[fields.index("state") :]}
    fields = Instruction.__struct_fields__
    moved = {name: getattr(second, name) for name in fields[fields.index("state") :]}
    after, then = replace(payment, **alive), replace(first, **moved)
    save(store, reaching(first), payments=[after], instructions=[then])
    assert contents_of(store).payments == {payment.payment_id: after}
    assert contents_of(store).instructions == {first.instruction_id: then}
    result_of(store.close())


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
def test_a_parked_fact_comes_back_whole(queue: SqliteStore, fact: told.Fact) -> None:
    seen = told.Observation("e", fact, said.Evidence(proof=said.Proof.QUERY, message="Ø"))
    parked = Parked("n", "rail", seen, 1)
    save(queue, parked=[parked])

    assert result_of(queue.due_parked(CHANNELS, 10)) == [parked]


# What a batch reaches.


def test_a_batch_reads_nothing_that_nobody_asked_for(store: SqliteStore) -> None:
    loaded = save(store, refund(key="acme/new", payment_id="acme/nobody"))

    assert loaded == Loaded(
        now=NOW,
        payments={},
        instructions={},
        numbers={},
        receipts={},
        facts={},
        cases={},
        holds={"channel:rail"},
        quarantined=set(),
        lines={},
    )


def test_receipts_and_lines_are_kept_in_the_same_commit(store: SqliteStore) -> None:
    loaded = save(
        store,
        refund(line=Line("file", 1)),
        refund(key="acme/key_2", line=Line("file", 2)),
        receipts=[Receipt("acme/key_2", bytes(32), b"two")],
        lines=[(Line("file", 2), "refused")],
    )
    assert loaded.receipts == {"acme/key_1": Receipt("acme/key_1", bytes(32), b"{}")}
    assert loaded.lines == {Line("file", 1): "ok"}

    again = save(
        store,
        refund(line=Line("file", 1)),
        refund(key="acme/key_2", line=Line("file", 2)),
        refund(key="acme/key_3", line=Line("other", 2)),
    )
    assert set(again.receipts) == {"acme/key_1", "acme/key_2"}
    assert again.lines == {Line("file", 1): "ok", Line("file", 2): "refused"}


FENCE = REFUND.fence


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
def test_an_instruction_comes_with_its_payment(store: SqliteStore, command: Command) -> None:
    loaded = save(store, command)

    assert loaded.instructions == {"acme/ref_1": REFUND}
    assert loaded.payments == {"acme/pay_1": PAYMENT}


@pytest.mark.parametrize("number", ["NEW", "OLD"])
def test_an_instruction_is_found_by_every_number_it_ever_had(
    store: SqliteStore, number: str
) -> None:
    """With its contradictions, closed ones included: the same one is never opened twice."""
    kind, about = CaseKind.CONTRADICTION, "acme/ref_1"
    case = replace(open_case(kind, object_id=about, cause="x", now=1), closed_at=2, closed_by="k")
    other = open_case(kind, object_id="acme/ref_10", cause="x", now=1)
    save(store, cases=[case, other])
    fact = told.Answered(number, said.Unknown())
    loaded = save(store, c.RecordFact(channel="rail", observation=told.Observation("e", fact)))

    assert loaded.numbers == {number: "acme/ref_1"}
    assert loaded.instructions == {"acme/ref_1": REFUND}
    assert loaded.payments == {"acme/pay_1": PAYMENT}
    assert loaded.cases == {case.case_id: case}


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
def test_a_cancel_of_an_unpaid_payment_sees_its_payment_command(
    queue: SqliteStore, command: Command, state: PaymentState
) -> None:
    payment = replace(PAYMENT, state=state)
    save(queue, payments=[payment], instructions=[PAY, waiting("other")])
    loaded = save(queue, command)

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
def test_a_capture_sees_what_it_is_too_late_for(store: SqliteStore, command: Command) -> None:
    """With the receipts of the refunds that our policy may have asked for before."""
    by_capture = Receipt(f"acme/policy:{CAPTURED.fact_id}", bytes(32), b"1")
    by_cancel = Receipt("acme/policy:acme/ref_1", bytes(32), b"2")
    save(store, receipts=[by_capture, by_cancel])
    loaded = save(store, command)

    assert loaded.payments == {"acme/pay_1": PAYMENT}
    assert loaded.instructions == {"acme/ref_1": REFUND}
    assert loaded.facts == {CAPTURED.fact_id: CAPTURED}
    assert set(loaded.receipts.values()) == {by_capture, by_cancel}


def test_an_expiry_sees_whether_it_asked_before(store: SqliteStore) -> None:
    asked = Receipt("acme/policy:expiry/acme/pay_1", bytes(32), b"")
    save(store, receipts=[asked])

    assert save(store, c.ExpirePayment(payment_id="acme/pay_1")).receipts == {asked.key: asked}


def test_a_refund_sees_the_capture_that_it_names(store: SqliteStore) -> None:
    assert save(store, refund(capture_id="cap_1")).facts == {CAPTURED.fact_id: CAPTURED}
    assert save(store, refund(capture_id="cap_2")).facts == {}
    assert save(store, refund()).facts == {}


def test_a_notice_sees_what_it_told_before(store: SqliteStore) -> None:
    notice = BookedFact(NOTICE, FactKind.NOTICE, "", 0, "", FactState.BOOKED, 1)
    elsewhere_id = fact_id_for("acme/pay_1", FactKind.REFUND_ELSEWHERE, "r")
    elsewhere = replace(CAPTURED, fact_id=elsewhere_id, kind=FactKind.REFUND_ELSEWHERE)
    save(store, facts=[notice, elsewhere])
    dispute = told.ChargedBack("acme/pay_1", "d", told.Dispute.WON, Money(200, "CNY"))
    refunded = told.RefundedElsewhere("acme/pay_1", "r", Money(1, "CNY"))
    loaded = save(
        store,
        c.RecordFact(channel="rail", observation=SEEN),
        c.RecordFact(channel="rail", observation=told.Observation("e2", dispute)),
        c.RecordFact(channel="rail", observation=told.Observation("e3", refunded)),
        facts=[replace(DISPUTE, state=FactState.WON, booked_at=99)],
    )

    assert set(loaded.facts.values()) == {notice, DISPUTE, elsewhere}
    assert contents_of(store).facts[DISPUTE.fact_id].state is FactState.WON


@pytest.mark.parametrize(
    ("fact", "object_id"),
    [
        (told.Expired("acme/pay_9"), "acme/pay_9"),
        (told.Answered("N9", said.Unknown()), "N9"),
    ],
)
def test_a_parked_fact_sees_its_case(store: SqliteStore, fact: told.Fact, object_id: str) -> None:
    case: Case = open_case(CaseKind.PARKED_FACT, object_id=object_id, cause=NOTICE, now=1)
    save(store, cases=[case])
    seen = told.Observation("evt_1", fact)
    loaded = save(store, c.RetryParked(channel="rail", observation=seen, again_at=1))

    assert loaded.cases == {case.case_id: case}


def test_a_new_generation_keeps_the_old_number(store: SqliteStore) -> None:
    assert rows_of(store, "SELECT * FROM old_number") == [("OLD", "acme/ref_1")]

    third = replace(REFUND, number="THIRD", generation=2)
    save(store, reaching(REFUND), instructions=[third])
    assert contents_of(store).instructions == {"acme/ref_1": third}
    assert rows_of(store, "SELECT * FROM old_number") == [
        ("NEW", "acme/ref_1"),
        ("OLD", "acme/ref_1"),
    ]


def run(store: SqliteStore, statement: str) -> None:
    store.connection.execute(statement).fetchall()


def rows_of(store: SqliteStore, statement: str) -> list[Any]:
    return store.connection.execute(statement).fetchall()


def columns_of(store: SqliteStore, table: str) -> list[str]:
    rows = rows_of(store, f"SELECT name FROM pragma_table_info('{table.lower()}')")
    return [row[0] for row in rows]


def dump(store: SqliteStore) -> bytes:
    """Every row of every table."""
    tables = rows_of(store, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    rows = {name: rows_of(store, f"SELECT * FROM {name} ORDER BY 1") for (name,) in tables}
    assert all(rows[name] for name in rows if name != "cursor"), "a table without a row"
    return msgspec.json.encode(rows)
