"""The commands that only look: show, list, options, metrics, doctor."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import apsw
import pytest

GBP = ("--currency", "GBP")
WHOLE = ("--minor", "1050", *GBP)
PART = ("--minor", "300", *GBP)
LOOKING = [
    ("show", "pay_1"),
    ("options", "pay_1"),
    ("list",),
    ("metrics",),
    ("doctor",),
    ("attention", "list"),
    ("reverse", "pay_1", "--plan"),
    ("refund", "pay_1", *PART),
    ("withdraw", "some"),
]


@pytest.mark.parametrize("words", LOOKING, ids=lambda words: words[0])
def test_a_mistyped_database_is_not_made(
    shell: Any, database: Path, words: tuple[str, ...]
) -> None:
    assert shell(*words, code=4)["error"]["code"] == "store_unwritable"
    assert not database.exists()


@pytest.mark.parametrize("words", LOOKING, ids=lambda words: words[0])
def test_a_file_that_is_no_database_is_said_to_be_none(
    shell: Any, database: Path, words: tuple[str, ...]
) -> None:
    database.write_text("not at all a database " * 50)

    assert shell(*words, code=4)["error"]["code"] == "schema_unknown"


def test_a_payment_is_shown_with_its_instructions(shell: Any, captured: Any) -> None:
    captured()
    shell("refund", "pay_1", *PART, "--wait", "5")
    shown = shell("show", "pay_1")

    assert shown["payment"]["id"] == "pay_1"
    assert [i["kind"] for i in shown["instructions"]] == ["refund"]
    assert shown["story"] is None


def test_what_is_unknown_is_said_to_be(shell: Any, captured: Any) -> None:
    captured()

    assert shell("show", "nobody", code=3)["error"]["code"] == "reversal_unknown"
    assert shell("options", "nobody", code=3)["error"]["code"] == "payment_unknown"
    assert shell("refund", "nobody", *PART, code=3)["error"]["code"] == "payment_unknown"


def test_a_tenant_sees_its_own_alone(shell: Any, captured: Any) -> None:
    captured()
    shell("refund", "pay_1", *PART)
    other = ("--tenant", "other")

    assert shell("show", "pay_1", *other, code=3)["error"]["code"] == "reversal_unknown"
    assert shell("refund", "pay_1", *PART, *other, code=3)["error"]["code"] == "payment_unknown"
    assert shell("list", *other)["instructions"] == []


def test_a_story_tells_attempts_proofs_entries_and_events(shell: Any, captured: Any) -> None:
    captured(script="lose_reply")
    [refund] = shell("refund", "pay_1", *PART, "--wait", "10")["instructions"]
    story = shell("show", refund["id"], "--story")["story"]

    assert [attempt["attempt"] for attempt in story["attempts"]] == [1]
    assert story["proofs"][-1]["led_to"] == "refund.succeeded"
    assert story["proofs"][-1]["proof"] in ("signature", "query")
    assert [(e["credit"].rpartition("/")[2], e["amount"]["minor"]) for e in story["entries"]] == [
        ("refunds.in_flight", 300),
        ("channel.receivable", 300),
    ]
    steps = [event["step"] for event in story["events"]]
    assert steps == ["request", "send", "lose", "succeed"]


def test_a_story_of_a_payment_is_that_of_all_its_instructions(
    shell: Any, page: Any, captured: Any
) -> None:
    captured()
    shell("refund", "pay_1", *PART, "--wait", "5")
    types = [event["type"] for event in shell("show", "pay_1", "--story")["story"]["events"]]

    assert types == ["payment.captured", "refund.accepted", "refund.sent", "refund.succeeded"]
    told = page("show", "pay_1", "--story")
    for title in ("payment pay_1", "instructions", "attempts", "proofs", "entries", "events"):
        assert title in told


def test_what_others_wrote_is_no_markup(page: Any, shell: Any) -> None:
    shell("pay", "[red]pay :smile:", *WHOLE, "--captured")

    assert "[red]pay :smile:" in page("show", "[red]pay :smile:")


def test_instructions_are_listed_a_page_at_a_time(shell: Any, captured: Any) -> None:
    captured()
    ids = sorted(
        shell("refund", "pay_1", "--minor", str(n), *GBP)["instructions"][0]["id"]
        for n in (1, 2, 3)
    )
    first = shell("list", "--limit", "2")
    rest = shell("list", "--limit", "2", "--after", first["next"])

    assert [i["id"] for i in first["instructions"]] == ids[:2]
    assert [i["id"] for i in rest["instructions"]] == ids[2:]
    assert rest["next"] is None


def test_a_list_is_filtered(shell: Any, captured: Any) -> None:
    captured()
    shell("refund", "pay_1", *PART)
    shell("pay", "pay_2", *WHOLE)

    assert [i["kind"] for i in shell("list", "--kind", "pay")["instructions"]] == ["pay"]
    assert len(shell("list", "--state", "accepted")["instructions"]) == 2
    assert shell("list", "--state", "failed")["instructions"] == []
    assert shell("list", "--channel", "sandbox_rail")["instructions"] == []


def test_options_say_what_can_be_done_and_why_not(shell: Any, captured: Any) -> None:
    captured()
    told = shell("options", "pay_1")
    by_action = {option["action"]: option for option in told["options"]}

    assert by_action["refund"]["is_allowed"] is True
    assert by_action["refund"]["amount_max"]["text"] == "10.50"
    assert by_action["void"]["why_not"] == "payment_captured"
    assert told["plan"][0]["kind"] == "refund"
    assert told["recommended"] in ("synchronous_refund", "asynchronous_refund")


def test_metrics_stand_beside_their_counts(shell: Any, captured: Any) -> None:
    captured()
    captured("pay_2", script="decline")
    shell("pay", "pay_3", *WHOLE, "--authorized")
    shell("cancel", "pay_3", "--wait", "5")
    shell("refund", "pay_1", *PART, "--wait", "5")
    shell("refund", "pay_2", *PART, "--wait", "5", code=5)
    told = shell("metrics", "--since", "1h")

    assert told["SR"] == {"value": 0.333333, "succeeded": 1, "sent": 3, "open": 0}
    assert told["RR"] == {"value": 0.5, "succeeded": 1, "sent": 2, "open": 0}
    assert told["cancel_command_success_rate"]["value"] == 1.0
    assert (told["DL"]["value"], told["DL"]["final"]) == (0.0, 1)
    assert (told["RL"]["succeeded"], told["RL"]["final"]) == (1, 2)
    assert told["stages_ms"]["refund"]["requested_to_final"]["count"] == 2
    assert told["stages_ms"]["payment"]["requested_to_sent"]["p50"] is None


def test_metrics_are_of_a_window_a_channel_and_a_currency(shell: Any, captured: Any) -> None:
    captured()
    shell("refund", "pay_1", *PART, "--wait", "5")

    for words in (
        ("--currency", "EUR"),
        ("--channel", "sandbox_rail"),
        ("--until", "2020-01-01T00:00:00Z"),
        ("--tenant", "other"),
    ):
        told = shell("metrics", *words)
        assert (told["SR"]["sent"], told["RR"]["sent"]) == (0, 0)
        assert (told["RR"]["value"], told["RL"]["value"]) == (None, None)
    assert shell("metrics", "--currency", "GBP")["RR"]["value"] == 1.0


def test_for_people_metrics_are_tables(page: Any, captured: Any) -> None:
    captured()
    told = page("metrics")

    assert "SR  cancelled payment commands" in told
    assert "RL  refunds" in told


# The doctor.


def test_a_healthy_database_is_ok(shell: Any, page: Any, captured: Any) -> None:
    captured()
    shell("refund", "pay_1", *PART, "--wait", "5")
    shell("refund", "pay_1", *PART)
    told = shell("doctor")

    assert told == {
        "ok": True,
        "attention": 0,
        "cases": 0,
        "holds": [],
        "findings": [],
        "unresolved": 1,
        "payments": 1,
        "instructions": 2,
        "events": 5,
        "is_compared": True,
    }
    assert page("doctor").endswith("unresolved: 1\ndoctor: ok\n")


def tamper(database: Path, *statements: str) -> None:
    """As nobody may: the triggers are dropped first."""
    connection = apsw.Connection(str(database))
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for (name,) in names:
        connection.execute(f'DROP TRIGGER "{name}"')
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_a_balance_that_is_not_the_sum_of_its_lines_is_found(
    shell: Any, page: Any, database: Path, captured: Any
) -> None:
    captured()
    tamper(database, "UPDATE account SET balance = balance + 1")

    assert {f["invariant"] for f in shell("doctor", code=1)["findings"]} == {"I12"}
    assert "doctor: 2 of I12" in page("doctor", code=1)


def test_what_the_bank_did_and_we_do_not_know_is_found(
    shell: Any, database: Path, captured: Any
) -> None:
    captured()
    shell("refund", "pay_1", *PART, "--wait", "5")
    spare = apsw.Connection(f"{database}.bank")
    spare.execute(
        """INSERT INTO ordered SELECT 'UNKNOWN', json_replace(body, '$.number', 'UNKNOWN')
        FROM ordered"""
    )
    spare.close()
    [finding] = shell("doctor", code=1)["findings"]

    assert finding["invariant"] == "I2"
    assert "nobody asked for" in finding["detail"]


@pytest.mark.parametrize(
    ("change", "invariant", "says"),
    [
        (("$.times", 0), "I4", "the bank did nothing"),
        (("$.times", 2), "I2", "has 2 effects"),
        (("$.minor", 301), "I4", "asked for"),
        (("$.currency", "EUR"), "I4", "asked for"),
    ],
)
def test_a_bank_that_did_something_else_is_found(
    shell: Any,
    database: Path,
    captured: Any,
    change: tuple[str, int | str],
    invariant: str,
    says: str,
) -> None:
    captured()
    shell("refund", "pay_1", *PART, "--wait", "5")
    bank = apsw.Connection(f"{database}.bank")
    bank.execute("UPDATE ordered SET body = json_replace(body, ?, ?)", change)
    bank.close()
    [finding] = shell("doctor", code=1)["findings"]

    assert finding["invariant"] == invariant
    assert says in finding["detail"]


def test_a_refund_that_failed_here_and_happened_there_is_found(
    shell: Any, database: Path, captured: Any
) -> None:
    captured(script="decline")
    shell("refund", "pay_1", *PART, "--wait", "5", code=5)
    bank = apsw.Connection(f"{database}.bank")
    bank.execute("UPDATE ordered SET body = json_set(body, '$.times', 1)")
    bank.close()

    assert "the bank did it" in shell("doctor", code=1)["findings"][0]["detail"]


def test_a_broken_file_is_found(shell: Any, database: Path, captured: Any) -> None:
    captured()
    with contextlib.closing(apsw.Connection(str(database))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        [[page]] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'payment'")
    raw = bytearray(database.read_bytes())
    raw[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    database.write_bytes(raw)

    assert shell("doctor", code=1)["findings"][0]["invariant"] == "file"
