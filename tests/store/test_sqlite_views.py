"""The doors read a file of SQLite on a connection of their own, which cannot write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from contract.stores.samples import NOW, PAYMENT, commit_of, fill

from contraflow.outside.virtual_time import result_of
from contraflow.store import Commit
from contraflow.store.sqlite import SqliteStore, open_store
from contraflow.store.sqlite_views import SqliteViews, open_views


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(tmp_path / "contraflow.db", lambda: NOW)
    result_of(fill(opened))
    yield opened
    result_of(opened.close())


@pytest.fixture
def views(store: SqliteStore, tmp_path: Path) -> Iterator[SqliteViews]:
    assert store.now() == NOW  # The file is there before one looks into it.
    opened = open_views(tmp_path / "contraflow.db")
    yield opened
    result_of(opened.close())


def test_views_cannot_write(views: SqliteViews) -> None:
    with pytest.raises(apsw.ReadOnlyError):
        views.connection.execute("UPDATE payment SET reference = 'x'").fetchall()
    assert result_of(views.payment("acme/pay_1")) == PAYMENT


def test_the_doors_see_nothing_of_a_commit_that_is_under_way(
    store: SqliteStore, views: SqliteViews
) -> None:
    seen: list[object] = []

    def plan(_: object) -> Commit:
        store.connection.execute("INSERT INTO hold VALUES ('x')").fetchall()
        seen.append(result_of(views.holds()))
        return commit_of(holds=[("y", True)])

    result_of(store.commit([], plan))

    assert seen == [["channel:rail"]]
    assert result_of(views.holds()) == ["channel:rail", "x", "y"]
    assert result_of(views.contents()) == result_of(store.contents())
