"""One engine works on a file of SQLite at a time, by a clock that never goes back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.stores.samples import NOW, REFUND, commit_of, fill, reaching, refund, save
from msgspec.structs import replace

from contraflow.domain.decision import Receipt
from contraflow.domain.lifecycle import State
from contraflow.errors import Superseded
from contraflow.outside.virtual_time import result_of
from contraflow.store import Commit, Contents, Loaded
from contraflow.store.sqlite import SqliteStore, connect, open_store

NAMES = itertools.count()


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        return f"file:/incarnations-{next(NAMES)}?vfs=memdb"
    return str(tmp_path / "contraflow.db")


@pytest.fixture
def store(place: str) -> Iterator[SqliteStore]:
    opened = open_store(place, lambda: NOW)
    result_of(fill(opened))
    yield opened
    result_of(opened.close())


def contents_of(store: SqliteStore) -> Contents:
    return result_of(store.contents())


def test_an_earlier_incarnation_changes_nothing(store: SqliteStore, place: str) -> None:
    later = SqliteStore(connect(place), lambda: NOW)
    before = contents_of(later)

    suspecting = store.suspect(["x"], is_proven=True)
    for write in (store.advance("sink", 5), suspecting, store.clear_suspects()):
        with pytest.raises(Superseded):
            result_of(write)
    with pytest.raises(Superseded):
        result_of(save(store, receipts=[Receipt("acme/k2", bytes(32), b"")]))
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
    assert result_of(save(store)).now == NOW

    later = SqliteStore(connect(place), lambda: 300)
    assert later.now() == NOW
    assert result_of(save(later)).now == NOW
    later.connection.close()


def test_a_dead_process_loses_its_marks(store: SqliteStore, place: str) -> None:
    """Its outcome is stale, and the attempt is asked about at once.

    No byte of a dead process leaves after now, whatever its clock had said.
    """
    sent = replace(REFUND, state=State.SENT, due_at=70_000)
    result_of(save(store, reaching(REFUND), instructions=[sent]))
    pending = replace(REFUND, instruction_id="acme/ref_2", number="N2", due_at=80_000)
    result_of(save(store, instructions=[pending]))
    later = SqliteStore(connect(place), lambda: 2_000)

    assert contents_of(later).instructions == {
        "acme/ref_1": replace(sent, due_at=2_000, lease=sent.lease + 1, leave_by=2_000),
        "acme/ref_2": replace(pending, leave_by=2_000),
    }
    later.connection.close()


def test_what_is_read_and_what_is_looked_at_has_the_time_of_the_store(store: SqliteStore) -> None:
    assert result_of(save(store)).now == NOW
    assert contents_of(store).now == NOW
