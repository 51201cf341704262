"""Places to listen at: which are free, and which follow each other."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from contraflow.errors import SettingInvalid
from contraflow.outside.ports import next_free, obstacle_at, places_from, refuse_taken


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def port_of(place: str) -> int:
    return int(place.rpartition(":")[2])


def test_places_follow_each_other() -> None:
    assert places_from("0.0.0.0:8080", 3) == ["0.0.0.0:8080", "0.0.0.0:8081", "0.0.0.0:8082"]
    assert places_from("localhost:65534", 2) == ["localhost:65534", "localhost:65535"]


@pytest.mark.parametrize(("place", "count"), [("h:0", 1), ("h:65535", 2), ("h:99999", 1)])
def test_there_are_only_so_many_ports(place: str, count: int) -> None:
    with pytest.raises(SettingInvalid, match=f"{place}: a port from 1 to "):
        places_from(place, count)


def test_what_is_taken_is_passed_over_or_named(taken: str) -> None:
    before = f"127.0.0.1:{port_of(taken) - 1}"

    assert obstacle_at(taken) == "Address already in use"
    assert port_of(next_free(taken, 1)) > port_of(taken)
    assert port_of(next_free(before, 2)) > port_of(taken)
    with pytest.raises(SettingInvalid, match=f"door: {taken}: Address already in use"):
        refuse_taken("door", [taken])


def test_a_host_that_is_not_ours_is_named() -> None:
    with pytest.raises(SettingInvalid, match=r"bank: 192\.0\.2\.1:9090: "):
        refuse_taken("bank", ["192.0.2.1:9090"])
