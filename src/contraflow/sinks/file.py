"""Appends each event to a file, as one line of JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping

from contraflow.errors import SettingInvalid, SinkUnwritable


class File:
    """Several processes may have it open: every line is one write at the end of the file."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.position = 0
        self._flushed = 0  # The position up to which it is on the disk.
        self._path = path
        self._descriptor: int | None = None

    def deliver(self, position: int, body: bytes) -> None:
        if position <= self.position:
            return
        line = b'{"position":%d,"event":%b}\n' % (position, body)
        try:
            descriptor = self._open()
            written = os.write(descriptor, line)
        except OSError as error:
            self._close()
            raise SinkUnwritable(f"{self._path}: {error.strerror}") from error
        if written < len(line):
            self._close()
            raise SinkUnwritable(f"{self._path}: only a part of a line could be written")
        self.position = position

    def flush(self) -> None:
        if self._flushed == self.position:
            return
        try:
            os.fsync(self._open())
        except OSError as error:
            self._close()
            self.position = self._flushed  # What was not kept is written again.
            raise SinkUnwritable(f"{self._path}: {error.strerror}") from error
        self._flushed = self.position

    def _open(self) -> int:
        if self._descriptor is None:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o640)
            self._end_last_line(self._descriptor)
            self._keep_name()
        return self._descriptor

    def _end_last_line(self, descriptor: int) -> None:
        """A line that was cut off (a full disk, a crash) must not swallow the next."""
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            os.write(descriptor, b"\n")

    def _keep_name(self) -> None:
        """A new file is in its folder for good only once that is written, too."""
        folder = os.open(os.path.dirname(self._path) or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def open_sink(name: str, options: Mapping[str, str]) -> File:
    """`path` is where to. Opened at the first event, so that a bad path stops nobody's refund."""
    if set(options) != {"path"} or not options["path"]:
        raise SettingInvalid(f"sinks.{name}.options: file needs a path, and nothing else")
    return File(name, options["path"])
