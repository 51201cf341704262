# ruff: noqa: S608 the statements are made of our own words.
"""The database refuses a row that cannot be: our assertions, a second time and from its side."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from store.databases import Database, filled_of

from contraflow.domain.cases import CaseKind
from contraflow.domain.facts import FactKind, FactState
from contraflow.domain.instruction import Kind, Mode, Waiting, Withdrawal
from contraflow.domain.lifecycle import FINAL, PaymentState, State
from contraflow.domain.money import AMOUNT_MINOR_MAX
from contraflow.domain.payment import Capturing

TOO_MUCH = str(AMOUNT_MINOR_MAX + 1)
# What makes a copy of a row another row.
FRESH = {
    "payment": {"payment_id": "'acme/pay_2'"},
    "instruction": {"instruction_id": "'acme/ref_2'", "number": "'N2'"},
    "receipt": {"key": "'acme/key_2'"},
    "event": {"event_id": "event_id + 1", "object_id": "'acme/ref_2'"},
    "entry": {"event_id": "event_id + 1"},
    "account": {"account": "'z'"},
    "fact": {"fact_id": "'x'"},
    "operator_case": {"case_id": "'x'"},
    "suspect": {"object_id": "'x'"},
    "home": {"one": "2"},
    "sequencer": {"one": "2"},
    "migration": {"name": "'x'"},
    "api_key": {"key_id": "'x'", "sha256": "decode(repeat('01', 32), 'hex')"},
    "nonce": {"nonce_id": "'x'"},
    "webhook_endpoint": {"endpoint_id": "'acme/x'"},
    "delivery": {"delivery_id": "'x'"},
    "refund_batch": {"batch_id": "'acme/x'"},
    "refund_batch_lines": {"first_line": "first_line + 1"},
}
# One row and sometimes two for each rule, by its name.
NEVER: list[tuple[str, dict[str, str]]] = [
    ("payment_amount_check", {"amount": "-1"}),
    ("payment_amount_check", {"amount": TOO_MUCH}),
    ("payment_authorized_check", {"authorized": TOO_MUCH}),
    ("payment_capture_in_flight_check", {"capture_in_flight": "-1"}),
    ("payment_captured_check", {"captured": "-1", "excess": "1101"}),
    ("payment_capturing_check", {"capturing": "'by_hand'"}),
    ("payment_charged_back_check", {"charged_back": "-1", "excess": "0"}),
    ("payment_charged_back_check", {"charged_back": TOO_MUCH, "excess": f"{TOO_MUCH} - 100"}),
    ("payment_check", {"voided": "1000"}),
    ("payment_check", {"capture_in_flight": "1000"}),
    ("payment_check", {"void_in_flight": "1000"}),
    ("payment_check", {"authorized": "10"}),
    ("payment_check1", {"reserved": "1001"}),
    ("payment_check1", {"refunded": "refunded + 1"}),
    ("payment_check1", {"charged_back": "charged_back + 1"}),
    ("payment_check1", {"excess": "0"}),
    ("payment_check2", {"excess": "101"}),
    ("payment_check2", {"reserved": "0"}),
    ("payment_closing_check", {"closing": "-1"}),
    ("payment_currency_check", {"currency": "'CN'"}),
    ("payment_currency_check", {"currency": "''"}),
    ("payment_refunded_check", {"refunded": "-1", "excess": "0"}),
    ("payment_refunded_check", {"refunded": TOO_MUCH, "excess": f"{TOO_MUCH} - 200"}),
    ("payment_refunds_check", {"refunds": "-1"}),
    ("payment_reserved_check", {"reserved": "-1", "excess": "0"}),
    ("payment_reserved_check", {"reserved": TOO_MUCH, "excess": f"{TOO_MUCH} - 500"}),
    ("payment_sequence_check", {"sequence": "0"}),
    ("payment_state_check", {"state": "'lost'"}),
    ("payment_unknown_check", {"unknown": "-1"}),
    ("payment_void_in_flight_check", {"void_in_flight": "-1"}),
    ("payment_voided_check", {"voided": "-1"}),
    ("instruction_attempt_check", {"attempt": "-1", "fruitless": "-1"}),
    ("instruction_check", {"fruitless": "2"}),
    ("instruction_check", {"fruitless": "-1"}),
    ("instruction_check1", {"attempt": "0", "fruitless": "0"}),
    ("instruction_check1", {"leave_by": "NULL"}),
    ("instruction_check2", {"state": "'failed'"}),
    ("instruction_check2", {"final_at": "5", "due_at": "NULL"}),
    ("instruction_check3", {"state": "'succeeded'", "final_at": "5"}),
    ("instruction_check4", {"state": "'held'", "deadline_at": "NULL"}),
    ("instruction_generation_check", {"generation": "-1"}),
    ("instruction_kind_check", {"kind": "'chargeback'"}),
    ("instruction_lease_check", {"lease": "-1"}),
    ("instruction_leg_check", {"leg": "-1"}),
    ("instruction_minor_check", {"minor": "0"}),
    ("instruction_minor_check", {"minor": TOO_MUCH}),
    ("instruction_mode_check", {"mode": "'by_hand'"}),
    ("instruction_sequence_check", {"sequence": "0"}),
    ("instruction_state_check", {"state": "'lost'"}),
    ("instruction_waiting_check", {"waiting": "'long'"}),
    ("instruction_withdrawal_check", {"withdrawal": "'perhaps'"}),
    ("receipt_fingerprint_check", {"fingerprint": "''"}),
    ("receipt_fingerprint_check", {"fingerprint": "fingerprint || '\\x00'"}),
    ("event_sequence_check", {"sequence": "0"}),
    ("entry_check", {"credit": "debit"}),
    ("entry_currency_check", {"currency": "'CN'"}),
    ("entry_line_check", {"line": "0"}),
    ("entry_minor_check", {"minor": "0"}),
    ("entry_minor_check", {"minor": TOO_MUCH}),
    ("account_slot_check", {"slot": "-1"}),
    ("account_slot_check", {"slot": "1024"}),
    ("fact_kind_check", {"kind": "'rumour'"}),
    ("fact_minor_check", {"minor": "-1"}),
    ("fact_minor_check", {"minor": TOO_MUCH}),
    ("fact_state_check", {"state": "'perhaps'"}),
    ("operator_case_kind_check", {"kind": "'other'"}),
    ("suspect_failures_check", {"failures": "0"}),
    ("home_one_check", {}),
    ("sequencer_one_check", {}),
    ("migration_sha256_check", {"sha256": "'x'"}),
    ("api_key_mode_check", {"mode": "'real'"}),
    ("api_key_sha256_check", {"sha256": "'x'"}),
    ("api_key_algorithm_check", {"algorithm": "'none'"}),
    ("nonce_digest_check", {"digest": "'x'"}),
    ("webhook_endpoint_mode_check", {"mode": "'real'"}),
    ("webhook_endpoint_status_check", {"status": "'asleep'"}),
    ("delivery_status_check", {"status": "'lost'", "due_at": "NULL"}),
    ("delivery_attempts_check", {"attempts": "-1"}),
    ("delivery_check", {"due_at": "NULL"}),
    ("delivery_check", {"status": "'failed'"}),
    ("refund_batch_state_check", {"state": "'lost'"}),
    ("refund_batch_format_check", {"format": "'xml'"}),
    ("refund_batch_check", {"next_line": "0"}),
    ("refund_batch_check", {"lines": "1"}),
    ("refund_batch_check1", {"accepted": "2"}),
    ("refund_batch_accepted_check", {"accepted": "-1", "refused": "3"}),
    ("refund_batch_refused_check", {"refused": "-1", "accepted": "3"}),
    ("refund_batch_lines_first_line_check", {"first_line": "0"}),
]


@pytest.fixture
def rows(major: int) -> Database:
    return filled_of(major)


def table_of(rule: str) -> str:
    names = [name for name in FRESH if rule.startswith(f"{name}_")]
    return max(names, key=len)


async def insert(database: Database, table: str, changes: dict[str, str]) -> dict[str, Any]:
    """Another row like the one that is there, as it was stored before it is undone again."""
    found = await database.ask(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 "
        "AND NOT attisdropped ORDER BY attnum",
        table,
    )
    changed = FRESH[table] | changes
    values = ", ".join(changed.get(name, name) for (name,) in found)
    assert set(changed) <= {name for (name,) in found}
    await database.execute("BEGIN")
    try:
        [stored] = await database.ask(
            f"INSERT INTO {table} SELECT {values} FROM {table} LIMIT 1 RETURNING *"
        )
    finally:
        await database.execute("ROLLBACK")
    return {name: value for (name,), value in zip(found, stored, strict=True)}


@pytest.mark.parametrize("table", sorted(FRESH.keys() - {"sequencer", "home"}))
async def test_another_row_like_it_may_be(rows: Database, table: str) -> None:
    [first, *_] = await rows.ask(f"SELECT * FROM {table}")
    stored = await insert(rows, table, {})
    fresh = {name for (name, value), old in zip(stored.items(), first, strict=True) if value != old}

    assert fresh == FRESH[table].keys()


@pytest.mark.parametrize(("rule", "changes"), NEVER, ids=lambda each: each if each else "")
async def test_no_row_is_stored_that_cannot_be(
    rows: Database, rule: str, changes: dict[str, str]
) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await insert(rows, table_of(rule), changes)
    assert caught.value.constraint_name == rule


async def test_there_is_a_row_for_every_rule(rows: Database) -> None:
    found = await rows.ask(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' "
        "AND connamespace = 'contraflow'::regnamespace"
    )

    assert {rule for rule, _ in NEVER} | {"gate_check"} == {name for (name,) in found}


async def test_the_gate_never_has_a_row(rows: Database) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="gate_check"):
        await rows.execute("INSERT INTO gate VALUES (1)")


MAY_BE_NULL = {
    "payment": {"paid_at", "captured_at", "refund_sent_at", "expires_at"},
    "instruction": {"due_at", "deadline_at", "sent_at", "leave_by", "known_at", "final_at"},
    "operator_case": {"closed_at"},
    "parked": {"due_at"},
    "api_key": {"expires_at", "revoked_at"},
    "webhook_endpoint": {"failing_since"},
    "delivery": {"due_at", "attempted_at"},
    "refund_batch": {"finished_at"},
}


async def test_nothing_is_missing_but_what_may_be(rows: Database) -> None:
    found = await rows.ask(
        "SELECT relname, attname FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid "
        "WHERE relnamespace = 'contraflow'::regnamespace AND relkind = 'r' AND attnum > 0 "
        "AND NOT attnotnull"
    )

    assert set(found) == {(table, name) for table, names in MAY_BE_NULL.items() for name in names}


WORDS = {
    "payment": {"state": PaymentState, "capturing": Capturing},
    "instruction": {"kind": Kind, "mode": Mode, "waiting": Waiting, "withdrawal": Withdrawal},
    "fact": {"kind": FactKind, "state": FactState},
    "operator_case": {"kind": CaseKind},
}


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table, columns in WORDS.items() for column in columns]
)
async def test_every_word_of_ours_may_be_stored(rows: Database, table: str, column: str) -> None:
    for word in WORDS[table][column]:
        stored = await insert(rows, table, {column: f"'{word}'"})
        assert stored[column] == word


@pytest.mark.parametrize("state", State)
async def test_every_state_of_an_instruction_may_be_stored(rows: Database, state: State) -> None:
    ends = {"final_at": "5", "due_at": "NULL"} if state in FINAL else {}
    stored = await insert(rows, "instruction", {"state": f"'{state}'"} | ends)

    assert stored["state"] == state
    assert stored["final_at"] == (5 if state in FINAL else None)
