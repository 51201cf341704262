"""A file is divided so that no payment and no key is in two shares; together they are the whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from servers import drop_database, fresh_database

from contraflow.errors import SettingInvalid
from contraflow.outside.postgres_server import PostgresServer
from contraflow.simulation.replay import play_all, task_of
from contraflow.simulation.replay_many import play_at_once, share_of
from contraflow.simulation.replay_rows import Row, read_rows
from contraflow.simulation.replay_shares import Share, rows_of

HEAD = "seq,at,kind,key,target,amount_minor,currency\n"


def day_of(number: int) -> str:
    """A payment with two refunds, one taken back in time and one too late; a stranger's key."""
    at = f"2026-01-{number % 28 + 1:02}T"
    first = number * 10
    return f"""{first},{at}00:00:00+00:00,payment,k{number},p{number},1000,GBP
{first + 1},{at}00:01:00+00:00,refund,r{number},p{number},400,GBP
{first + 2},{at}00:02:00+00:00,withdraw,w{number},r{number},,
{first + 3},{at}00:03:00+00:00,refund,s{number},p{number},600,GBP
{first + 4},{at}00:33:00+00:00,withdraw,v{number},s{number},,
{first + 5},{at}00:34:00+00:00,refund,r{number},p{number + 1},400,GBP
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text(HEAD + "".join(day_of(number) for number in range(1, 25, 2)))
    return path


def test_each_row_is_in_one_share(file: Path) -> None:
    rows = read_rows(file)
    shares = [rows_of(rows, Share(number, 4)) for number in range(4)]

    assert sorted(row.number for share in shares for row in share) == [row.number for row in rows]
    assert sum(bool(share) for share in shares) > 1
    for share in shares:
        assert [row.number for row in share] == sorted(row.number for row in share)


def test_what_has_to_do_with_each_other_is_in_one_share(file: Path) -> None:
    places: dict[str, set[int]] = {}
    rows = read_rows(file)
    for number in range(4):
        for row in rows_of(rows, Share(number, 4)):
            for name in names_of(row):
                places.setdefault(name, set()).add(number)

    assert all(len(numbers) == 1 for numbers in places.values())


def names_of(row: Row) -> tuple[str, str]:
    target = f"key {row.target}" if row.kind == "withdraw" else f"payment {row.target}"
    return (f"key {row.key}", target)


def test_a_file_is_not_worked_on_by_several(file: Path, tmp_path: Path) -> None:
    task = task_of(file, str(tmp_path / "a.db"), "main")
    with pytest.raises(SettingInvalid, match="jobs"):
        play_at_once(task, 2, lambda _: None)


def test_shares_have_channels_of_their_own(file: Path, tmp_path: Path) -> None:
    task = task_of(file, str(tmp_path / "a.db"), "main")
    assert len({share_of(task, number, 3).channel for number in range(3)}) == 3


@pytest.mark.slow
def test_a_server_and_a_file_come_to_the_same_end(
    file: Path, tmp_path: Path, postgres_servers: list[PostgresServer]
) -> None:
    """One process, several at once, and once more over what is there already."""
    expected = play_all(task_of(file, str(tmp_path / "a.db"), "main"), lambda _: None)
    codes = expected["codes"]
    assert isinstance(codes, dict)
    assert {"ok", "too_late", "key_reused"} <= codes.keys()
    for server in postgres_servers:
        for jobs in (1, 3):
            dsn = fresh_database(server)
            for _ in range(2):
                assert play_at_once(task_of(file, dsn, "main"), jobs, lambda _: None) == expected
            drop_database(dsn)
