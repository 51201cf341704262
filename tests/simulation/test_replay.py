"""A replay comes to the same end: played once, again, or killed anywhere and started again."""

import json
import lzma
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from contraflow.errors import SettingInvalid
from contraflow.simulation.replay import play_all, task_of
from contraflow.simulation.replay_rows import read_rows

RETAIL = Path(__file__).parent.parent.parent.parent / "shared" / "data" / "retail"
HEAD = "seq,at,kind,key,target,amount_minor,currency\n"
ROWS = """1,2026-01-01T00:00:00+00:00,payment,k1,p1,1000,GBP
2,2026-01-01T00:00:00+00:00,payment,k2,p1,1000,GBP
3,2026-01-01T00:00:00+00:00,payment,k1,p1,1000,GBP
4,2026-01-01T00:01:00+00:00,refund,k3,p1,400,GBP
5,2026-01-01T00:01:00+00:00,refund,k3,p1,401,GBP
6,2026-01-01T00:01:00+00:00,refund,k4,p1,601,GBP
7,2026-01-01T00:01:00+00:00,refund,k5,p1,1.5,GBP
8,2026-01-01T00:01:00+00:00,refund,k5,p1,100,USD
9,2026-01-01T00:02:00+00:00,withdraw,k6,k3,,
10,2026-01-01T00:02:00+00:00,withdraw,k7,k3,,
11,2026-01-01T00:02:00+00:00,withdraw,k8,nobody,,
12,2026-01-01T00:02:00+00:00,refund,k9,p1,600,GBP
13,2026-01-01T00:32:00+00:00,withdraw,k10,k9,,
14,2026-01-01T00:32:00+00:00,reverse,k11,p1,,
15,2026-01-01T00:33:00+00:00,authorize,k12,p2,50,GBP
16,2026-01-01T00:33:00+00:00,refund,k13,p2,5,GBP
17,2026-01-01T00:33:00+00:00,cancel,k14,p2,,
18,2026-01-01T00:33:00+00:00,cancel,k15,p2,,
19,2026-01-01T00:33:00+00:00,reverse,k16,p2,,
20,2026-01-01T00:33:00+00:00,cancel,k17,p1,,
21,2026-01-01T00:33:00+00:00,capture,k18,p3,5,GBP
"""
CODES = [
    *("ok", "payment_exists", "replayed", "ok", "key_reused"),
    *("amount_exceeds_refundable", "amount_invalid", "currency_differs", "ok"),
    *("state_forbids", "reversal_unknown", "ok", "too_late", "ok", "ok"),
    *("payment_not_captured", "ok", "payment_canceled", "nothing_to_reverse"),
    *("payment_captured", "payment_unknown"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text(HEAD + ROWS)
    return path


def played(file: Path, database: Path, *, fresh: bool = False) -> dict[str, object]:
    return play_all(task_of(file, str(database), "main", fresh_cursor=fresh), lambda _: None)


@pytest.mark.parametrize("count", range(1, len(CODES) + 1))
def test_each_row_gets_the_first_code_that_applies(file: Path, tmp_path: Path, count: int) -> None:
    file.write_text("\n".join(file.read_text().splitlines()[: count + 1]) + "\n")
    expected = {code: CODES[:count].count(code) for code in CODES[:count]}

    assert played(file, tmp_path / "a.db")["codes"] == dict(sorted(expected.items()))


def test_a_second_run_changes_nothing_and_says_the_same(file: Path, tmp_path: Path) -> None:
    first = played(file, tmp_path / "a.db")

    assert first["states"] == {"canceled": 1, "refunded": 1}
    assert played(file, tmp_path / "a.db") == first


def test_every_keyed_row_that_is_sent_again_is_replayed(file: Path, tmp_path: Path) -> None:
    first = played(file, tmp_path / "a.db")
    again = played(file, tmp_path / "a.db", fresh=True)

    assert again["sha256_of_final_state"] == first["sha256_of_final_state"]
    assert again["codes"] == {"amount_invalid": 1, "key_reused": 1, "replayed": 19}


@pytest.mark.parametrize(
    "row",
    [
        "1,yesterday,payment,k,p,1,GBP",
        "1,2026-01-01T00:00:00,payment,k,p,1,GBP",
        "1,2026-01-01T00:00:00+00:00,pay,k,p,1,GBP",
        "x,2026-01-01T00:00:00+00:00,payment,k,p,1,GBP",
        "1,2026-01-01T00:00:00+00:00,payment,,p,1,GBP",
    ],
)
def test_a_row_that_is_none_is_named_by_its_line(tmp_path: Path, row: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(HEAD + row + "\n")

    with pytest.raises(SettingInvalid, match="line 2"):
        read_rows(path)


@pytest.fixture
def retail() -> Path:
    path = RETAIL / "events.csv.xz"
    if not path.exists():
        pytest.skip("the retail file is not here")
    return path


@pytest.mark.slow
def test_seven_months_of_a_shop_end_as_two_other_programs_say(retail: Path, tmp_path: Path) -> None:
    expected = json.loads((RETAIL / "expected_totals.json").read_text())

    assert played(retail, tmp_path / "a.db") == expected


@pytest.fixture
def beginning(retail: Path, tmp_path: Path) -> Path:
    """The first 2,500 rows, so that killing it often does not take long."""
    path = tmp_path / "events.csv"
    with lzma.open(retail, "rt", encoding="utf-8") as lines:
        path.write_text("".join(line for _, line in zip(range(2_501), lines, strict=False)))
    return path


@pytest.mark.slow
def test_a_replay_that_is_killed_anywhere_ends_the_same(beginning: Path, tmp_path: Path) -> None:
    expected = played(beginning, tmp_path / "whole.db")
    program = [str(Path(sys.executable).parent / "contraflow"), "replay", str(beginning), "--json"]
    program += ["--db", str(tmp_path / "killed.db")]
    prng, kills = random.Random(7), 0
    for _ in range(12):
        process = subprocess.Popen(
            program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
        )
        try:
            process.wait(timeout=0.4 + 0.6 * prng.random())
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    said = subprocess.run(program, capture_output=True, check=True).stdout

    assert kills > 0
    assert json.loads(said) == expected
