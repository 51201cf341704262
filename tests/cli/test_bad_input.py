"""Bad input names its field and the reason, ends with 2, and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from contraflow.cli.main import app

GBP = ("--currency", "GBP")
WHOLE = ("--minor", "1050", *GBP)


@pytest.mark.parametrize(
    ("minor", "reason"),
    [
        ("10.5", "a whole number of minor units is needed, not '10.5'"),
        ("1e3", "a whole number of minor units is needed, not '1e3'"),
        ("", "a whole number of minor units is needed, not ''"),
        ("NaN", "a whole number of minor units is needed, not 'NaN'"),
        ("Infinity", "a whole number of minor units is needed, not 'Infinity'"),
        ("1,050", "a whole number of minor units is needed, not '1,050'"),
        (" 1050", "a whole number of minor units is needed, not ' 1050'"),
        ("007", "a whole number of minor units is needed, not '007'"),
        ("\uff11", "a whole number of minor units is needed, not '\uff11'"),
        ("0", "zero"),
        ("-1", "negative"),
        ("1000000000000001", "above 10^15"),
        ("10000000000000000", "above 10^15"),
        ("9" * 5_000, "above 10^15"),
    ],
)
def test_an_amount_is_refused_by_name(shell: Any, database: Path, minor: str, reason: str) -> None:
    for words in (("pay", "pay_1", "--captured"), ("refund", "pay_1"), ("capture", "pay_1")):
        reply = shell(*words, "--minor", minor, *GBP, code=2)
        assert reply == {"error": {"code": "amount_invalid", "detail": f"minor: {reason}"}}
    assert not database.exists()


@pytest.mark.parametrize("minor", ["1", "1000000000000000"])
def test_an_amount_at_the_edge_is_taken(shell: Any, minor: str) -> None:
    reply = shell("pay", "pay_1", "--minor", minor, *GBP, "--captured")

    assert reply["payment"]["captured"]["minor"] == int(minor)


@pytest.mark.parametrize(
    ("currency", "text"), [("JPY", "1050"), ("GBP", "10.50"), ("KWD", "1.050"), ("CLF", "0.1050")]
)
def test_money_is_shown_with_the_decimals_of_its_currency(
    shell: Any, currency: str, text: str
) -> None:
    reply = shell("pay", "pay_1", "--minor", "1050", "--currency", currency, "--captured")

    assert reply["payment"]["amount"] == {"minor": 1050, "currency": currency, "text": text}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--currency", "gbp"), "currency: not a currency of ISO 4217"),
        (("--currency", "XAU"), "currency: not a currency of ISO 4217"),
        (("--currency", ""), "currency: not a currency of ISO 4217"),
        (("--tenant", "Main"), "tenant: "),
        (("--tenant", "a/b"), "tenant: "),
        (("--tenant", ""), "tenant: "),
        (("--key", "policy:x"), "key: policy: is for what our own policies ask for"),
        (("--key", ""), "key: empty"),
        (("--key", "a\nb"), "key: only printable characters"),
        (("--key", "a" * 129), "key: longer than 128 characters"),
        (("--channel", ""), "channel: empty"),
        (("--channel", "a/b"), "channel: no '/'"),
        (("--method", "a\x00"), "method: only printable characters"),
        (("--script", "nope"), "script: "),
        (("--script", "ok", "--instrument", "tok_ok"), "script: it is either"),
        (("--customer", "a\x1b[31m"), "customer: no control characters"),
        (("--customer", "\ud800"), "customer: no control characters"),
        (("--customer", "a" * 501), "customer: longer than 500 characters"),
        (("--reference", "a\x00b"), "reference: no control characters"),
        (("--metadata", "a"), "metadata: KEY=VALUE is needed"),
        (("--metadata", "=b"), "metadata: KEY=VALUE is needed"),
        (("--metadata", "a=1", "--metadata", "a=2"), "metadata: a key is given twice"),
        (("--expires-in", "soon"), "expires_in: a duration"),
        (("--expires-in", "0s"), "expires_in: a duration"),
        (("--captured", "--authorized"), "authorized: it is either"),
        (("--captured", "--manual"), "manual: not of a payment"),
        (("--captured", "--expires-in", "5m"), "expires_in: not of a payment"),
        (("--wait", "-1"), "Invalid value for '--wait'"),
        (("--wait", "1.5"), "Invalid value for '--wait'"),
    ],
)
def test_a_field_is_refused_by_name(
    shell: Any, database: Path, words: tuple[str, ...], complaint: str
) -> None:
    reply = shell("pay", "pay_1", *WHOLE, *words, code=2)

    assert reply["error"]["code"] == "field_invalid"
    assert reply["error"]["detail"].startswith(complaint)
    assert not database.exists()


@pytest.mark.parametrize("name", ["", "a\n"])
def test_a_database_needs_a_name(name: str) -> None:
    result = CliRunner().invoke(app, ["pay", "pay_1", *WHOLE, "--json", "--db", name])

    assert result.exit_code == 2
    assert "db: the name of a file is needed" in result.stdout


@pytest.mark.parametrize("name", ["", "a/b", " a", "a\x00", "a\u202eb", "a" * 129, "\udcff"])
@pytest.mark.parametrize(
    ("command", "field"),
    [
        (("pay", *WHOLE), "payment"),
        (("refund", *WHOLE), "payment"),
        (("cancel",), "payment"),
        (("reverse",), "payment"),
        (("options",), "payment"),
        (("withdraw",), "id"),
        (("release",), "id"),
        (("reject",), "id"),
        (("show",), "id"),
    ],
)
def test_an_id_is_refused_by_name(
    shell: Any, database: Path, command: tuple[str, ...], field: str, name: str
) -> None:
    reply = shell(command[0], name, *command[1:], code=2)

    assert reply["error"]["code"] == "field_invalid"
    assert reply["error"]["detail"].startswith(f"{field}: ")
    assert not database.exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("reverse", "pay_1", "--minor", "5"), "currency: an amount needs both"),
        (("reverse", "pay_1", *GBP), "minor: an amount needs both"),
        (("capture", "pay_1", "--recorded"), "minor: of what was captured elsewhere"),
        (("refund", "pay_1", *WHOLE, "--expected-refundable", "-1"), "expected_refundable: "),
        (("refund", "pay_1", *WHOLE, "--expected-refundable", "1.0"), "expected_refundable: "),
        (("refund", "pay_1", *WHOLE, "--capture-id", "a/b"), "capture_id: no '/'"),
        (("refund", "pay_1", *GBP), "Missing option '--minor'"),
        (("hold", "on", "some"), "scope: "),
        (("hold", "on", "channel:nope"), "scope: "),
        (("hold", "off", "merchant:A"), "tenant: "),
        (("attention", "resolve", "x", "failed", "--evidence", " "), "evidence: empty"),
        (("attention", "resolve", "x", "failed"), "Missing option '--evidence'"),
        (("attention", "resolve", "x", "maybe", "--evidence", "y"), "Invalid value for"),
        (("list", "--state", "odd"), "Invalid value for '--state'"),
        (("list", "--after", "a/b"), "after: no '/'"),
        (("list", "--channel", "a/b"), "channel: no '/'"),
        (("list", "--limit", "0"), "Invalid value for '--limit'"),
        (("metrics", "--since", "yesterday"), "since: a time like"),
        (("metrics", "--since", "2026-11-24T08:00:00"), "since: the time needs its zone"),
        (("metrics", "--since", "1h", "--until", "2h"), "until: not after --since"),
        (("metrics", "--currency", "pounds"), "currency: not a currency"),
    ],
)
def test_other_fields_are_refused_by_name(
    shell: Any, database: Path, words: tuple[str, ...], complaint: str
) -> None:
    reply = shell(*words, code=2)

    assert reply["error"]["code"] == "field_invalid"
    assert reply["error"]["detail"].startswith(complaint)
    assert not database.exists()


@pytest.mark.parametrize(
    "text", ["attempts_max = 0", "undo_window_s = -1", "colour = 1", "tenant = 3", "= ="]
)
def test_settings_are_refused_by_name(shell: Any, database: Path, text: str) -> None:
    file = database.with_name("settings.toml")
    file.write_text(text)
    reply = shell("pay", "pay_1", *WHOLE, "--settings", str(file), code=2)

    assert reply["error"]["code"] == "setting_invalid"
    assert not database.exists()


SECRET = "c0ffee"  # noqa: S105 of nobody
ADDRESS = f"postgresql://writer:{SECRET}@db.invalid"


@pytest.mark.parametrize(
    "address",
    [
        *(f"{ADDRESS}:54x2/x", f"{ADDRESS}/x?colour=red", f"{ADDRESS}/x?sslmode=nonsense"),
        *(f"postgresql://[{SECRET}", f"postgresql://writer:{SECRET}%zz@db.invalid/x"),
        f"postgresql+psycopg://writer:{SECRET}@db.invalid/x",
    ],
)
@pytest.mark.parametrize(
    "words",
    [
        *(("pay", "pay_1", *WHOLE), ("cancel", "pay_1"), ("show", "pay_1"), ("options", "pay_1")),
        *(("list",), ("doctor",), ("metrics",), ("attention", "list"), ("hold", "on", "all")),
        *(("serve",), ("work",), ("migrate",), ("export",), ("demo",), ("replay", __file__)),
    ],
    ids=lambda words: words[0],
)
def test_a_bad_address_is_refused_by_name_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], address: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTRAFLOW_BANK", "http://127.0.0.1:1")
    result = CliRunner().invoke(app, [*words, "--db", address])

    assert result.exit_code == 2, (result.stdout, result.stderr, result.exception)
    assert result.stderr.startswith("setting_invalid: database: ")
    assert result.stderr.count("\n") == 1
    assert SECRET not in result.stdout + result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_replay_complains_to_a_program_in_json() -> None:
    words = ["replay", __file__, "--db", f"{ADDRESS}:0/x", "--json"]
    result = CliRunner().invoke(app, words)

    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "setting_invalid"


@pytest.mark.parametrize("words", [("pay", "pay_1", *WHOLE), ("list",), ("work",), ("migrate",)])
def test_a_file_of_an_address_is_named(words: tuple[str, ...]) -> None:
    address = f"{ADDRESS}/x?sslmode=verify-full&sslrootcert=/nowhere"
    environment = {"CONTRAFLOW_BANK": "http://127.0.0.1:1"}
    result = CliRunner().invoke(app, [*words, "--json", "--db", address], env=environment)

    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"] == {
        "code": "setting_invalid",
        "detail": "database: sslrootcert: No such file or directory",
    }


def test_for_people_a_complaint_is_one_line(page: Any) -> None:
    told = page("pay", "pay_1", "--minor", "x", *GBP, code=2)

    assert told == "amount_invalid: minor: a whole number of minor units is needed, not 'x'\n"
