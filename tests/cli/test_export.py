"""The whole ledger as lines of JSON: complete, in order, and of the same words as the rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from contraflow.cli.main import app

PART = ("--minor", "300", "--currency", "GBP")


def rows_of(database: Path) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, ["export", "--db", str(database)])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_everything_is_there_and_in_order(shell: Any, captured: Any, database: Path) -> None:
    captured("pay_2", "refund_elsewhere")
    captured("pay_1")
    shell("refund", "pay_1", *PART, "--key", "k1", "--wait", "5")
    told = shell("refund", "pay_1", "--minor", "9999", "--currency", "GBP", "--key", "k2", code=3)
    rows = rows_of(database)
    tables = [row["table"] for row in rows]

    assert list(dict.fromkeys(tables)) == [
        *("payments", "instructions", "receipts", "facts", "events", "entries", "balances")
    ]
    assert Counter(tables)["payments"] == 2
    assert [row["payment_id"] for row in rows[:2]] == ["main/pay_1", "main/pay_2"]
    assert rows[0]["refunded"] == 300
    [refund] = [row for row in rows if row["table"] == "instructions"]
    assert (refund["state"], refund["minor"], refund["key"]) == ("succeeded", 300, "main/k1")
    refused = [row for row in rows if row["table"] == "receipts" and row["key"] == "main/k2"]
    assert refused[0]["body"] == told["receipt"]
    assert len(bytes.fromhex(refused[0]["fingerprint"])) == 32
    events = [row for row in rows if row["table"] == "events"]
    assert [row["position"] for row in events] == sorted({row["position"] for row in events})
    assert {row["body"]["id"] for row in events} == {row["object_id"] for row in events}


def test_the_entries_add_up_to_the_balances(shell: Any, captured: Any, database: Path) -> None:
    captured()
    shell("refund", "pay_1", *PART, "--wait", "5")
    rows = rows_of(database)
    sums: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row["table"] == "entries":
            sums[row["debit"], row["currency"]] += row["minor"]
            sums[row["credit"], row["currency"]] -= row["minor"]

    balances = [row for row in rows if row["table"] == "balances"]
    assert {(row["account"], row["currency"]): row["balance"] for row in balances} == sums


@pytest.mark.slow
def test_facts_and_cases_are_there_too(shell: Any, captured: Any, database: Path) -> None:
    """The bank refunds one unit more than there is, before a slow payment is made."""
    captured("pay_1", "refund_elsewhere")
    shell("refund", "pay_1", "--minor", "1050", "--currency", "GBP", "--wait", "5")
    shell("pay", "pay_9", *PART, "--script", "pay_slow", "--wait", "5")
    tables = {row["table"] for row in rows_of(database)}

    assert {"facts", "cases"} <= tables


def test_of_what_is_not_there_nothing_is_written(shell: Any, database: Path) -> None:
    assert shell("export", code=4)["error"]["code"] == "store_unwritable"
    assert not database.exists()
