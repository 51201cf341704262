"""A file of events: whole lines, in order, whatever happened to the line before."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from contraflow.errors import SettingInvalid, SinkUnwritable
from contraflow.sinks import file


def test_each_event_is_a_line(tmp_path: Path) -> None:
    path = tmp_path / "events"
    sink = file.open_sink("out", {"path": str(path)})
    sink.deliver(3, b'{"type":"refund.sent"}')
    first = path.read_bytes()
    sink.deliver(9, '{"detail":"\u20ac"}'.encode())

    assert first == b'{"position":3,"event":{"type":"refund.sent"}}\n'
    assert [json.loads(line)["position"] for line in path.read_bytes().splitlines()] == [3, 9]
    assert path.stat().st_mode & 0o007 == 0


def test_what_was_delivered_is_on_the_disk_once_it_is_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []  # Sizes.
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    sink = file.open_sink("out", {"path": str(tmp_path / "events")})
    sink.deliver(1, b"{}")
    sink.deliver(2, b"{}")
    of_folder = len(synced)
    sink.flush()
    sink.flush()

    assert of_folder == 1
    assert synced[1:] == [(tmp_path / "events").stat().st_size]


def test_what_could_not_be_flushed_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = file.open_sink("out", {"path": str(tmp_path / "events")})
    sink.deliver(1, b"{}")
    sink.flush()
    sink.deliver(2, b"{}")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(SinkUnwritable, match="Input/output error"):
            sink.flush()
    for position in (1, 2):
        sink.deliver(position, b"{}")
    sink.flush()

    lines = (tmp_path / "events").read_bytes().splitlines()
    assert [json.loads(line)["position"] for line in lines] == [1, 2, 2]


def fail(_: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_what_it_has_is_not_written_again_and_what_others_wrote_stays(tmp_path: Path) -> None:
    path = tmp_path / "events"
    sink, other = (file.open_sink("out", {"path": str(path)}) for _ in range(2))
    for each, position in ((sink, 1), (other, 2), (sink, 1), (sink, 3)):
        each.deliver(position, b"{}")

    lines = [json.loads(line)["position"] for line in path.read_bytes().splitlines()]
    assert lines == [1, 2, 3]


def test_a_line_that_was_cut_off_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b'{"position":1,"event":{}}\n{"posi')
    file.open_sink("out", {"path": str(path)}).deliver(2, b"{}")

    assert path.read_bytes().splitlines()[1:] == [b'{"posi', b'{"position":2,"event":{}}']


def test_while_it_cannot_write_it_says_so_and_goes_on_later(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    sink = file.open_sink("out", {"path": str(folder / "events")})
    with pytest.raises(SinkUnwritable, match="events: No such file"):
        sink.deliver(1, b"{}")
    folder.mkdir()
    sink.deliver(1, b"{}")

    assert (folder / "events").read_bytes() == b'{"position":1,"event":{}}\n'


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="of Linux")
def test_a_full_disk_is_trouble_of_the_world(tmp_path: Path) -> None:
    path = tmp_path / "events"
    os.symlink("/dev/full", path)
    sink = file.open_sink("out", {"path": str(path)})
    with pytest.raises(SinkUnwritable, match="No space"):
        sink.deliver(1, b"{}")


@pytest.mark.parametrize("options", [{}, {"path": ""}, {"path": "x", "mode": "w"}])
def test_it_needs_a_path_and_nothing_else(options: dict[str, str]) -> None:
    with pytest.raises(SettingInvalid, match=r"sinks\.out\.options"):
        file.open_sink("out", options)
