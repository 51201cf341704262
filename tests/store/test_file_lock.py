from pathlib import Path

import pytest

from contraflow.errors import DatabaseInUse, StoreUnwritable
from contraflow.outside.virtual_time import result_of
from contraflow.store.file_lock import lock_file
from contraflow.store.sqlite import file_of, open_store
from contraflow.store.sqlite_views import open_views


def test_a_second_worker_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    path = tmp_path / "contraflow.db"
    first = open_store(path, lambda: 1)

    with pytest.raises(DatabaseInUse, match="database_in_use"):
        open_store(path, lambda: 1)
    with pytest.raises(DatabaseInUse):
        open_store(f"file:{path}", lambda: 1)
    result_of(first.close())
    result_of(open_store(path, lambda: 1).close())


def test_whoever_only_reads_needs_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "contraflow.db"
    store = open_store(path, lambda: 1)
    views = open_views(path)

    assert result_of(views.payment("acme/pay_1")) is None
    result_of(views.close())
    result_of(store.close())


def test_a_lock_is_given_back_once(tmp_path: Path) -> None:
    lock = lock_file(tmp_path / "a")
    lock.release()
    lock.release()

    assert lock_file(tmp_path / "a").descriptor is not None


def test_a_store_that_does_not_open_gives_its_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "contraflow.db"

    with pytest.raises(ZeroDivisionError):
        open_store(path, lambda: 1 // 0)
    result_of(open_store(path, lambda: 1).close())


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(StoreUnwritable, match="No such file"):
        lock_file(tmp_path / "nowhere" / "contraflow.db")


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("a.db", Path("a.db")),
        (Path("a.db"), Path("a.db")),
        ("file:a.db", Path("a.db")),
        ("file:///tmp/a%20b.db?cache=private", Path("/tmp/a b.db")),  # noqa: S108 only a name
        ("file:/a?vfs=memdb", None),
        ("file:a?mode=memory", None),
        (":memory:", None),
    ],
)
def test_only_a_file_is_locked(place: str | Path, expected: Path | None) -> None:
    assert file_of(place) == expected
