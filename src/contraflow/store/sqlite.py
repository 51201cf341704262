"""The business rows in one SQLite file, or in a named database in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import apsw

from contraflow.domain.cases import Parked
from contraflow.domain.commands import Command
from contraflow.domain.instruction import Fence, Instruction
from contraflow.domain.payment import Payment
from contraflow.errors import LibraryTooOld, Superseded
from contraflow.ledger.journal import Entry
from contraflow.store import Commit, Contents, Loaded, Record
from contraflow.store import sqlite_statements as sql
from contraflow.store.file_lock import FileLock, lock_file
from contraflow.store.rows import Found, instructions_of, parked_of, payments_of
from contraflow.store.schema import migrate
from contraflow.store.sqlite_contents import contents_of
from contraflow.store.sqlite_load import as_json, load
from contraflow.store.sqlite_save import save, write
from contraflow.store.sqlite_trouble import in_our_words

OLDEST = (3, 51, 3)
IDLE_MS = 600_000
OPEN = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI


def open_store(place: str | Path, clock: Callable[[], int]) -> SqliteStore:
    """Open it to work on it, alone: a path, or `file:/name?vfs=memdb`.

    A database in memory lives as long as a connection to it, and is not locked. Raises
    DatabaseInUse, SchemaUnknown, StoreUnwritable or LibraryTooOld.
    """
    file = file_of(place)
    lock = None if file is None else lock_file(file)
    try:
        with in_our_words():
            if file is not None and not file.exists():
                file.touch(mode=0o600)  # It names payers and amounts.
            connection = connect(place)
            migrate(connection, now=clock())
            return SqliteStore(connection, clock, lock=lock)
    except BaseException:
        if lock is not None:
            lock.release()
        raise


def migrate_file(place: str | Path, now: int) -> list[str]:
    """What was applied; a new file is made. Raises as `open_store` does."""
    file = file_of(place)
    with ExitStack() as at_the_end, in_our_words():
        if file is not None:
            at_the_end.callback(lock_file(file).release)
            file.touch(mode=0o600)
        connection = connect(place)
        at_the_end.callback(connection.close)
        return migrate(connection, now=now)


def connect(place: str | Path) -> apsw.Connection:
    """A hardened connection that may write; `open_store` also locks, migrates and takes over."""
    refuse_old_library(apsw.sqlite_lib_version())
    connection = apsw.Connection(str(place), flags=OPEN | apsw.SQLITE_OPEN_CREATE)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.execute(sql.HARDEN).fetchall()
    return connection


def refuse_old_library(version: str) -> None:
    if tuple(int(part) for part in version.split(".")) < OLDEST:
        raise LibraryTooOld


def file_of(place: str | Path) -> Path | None:
    """The file that is to be locked; None for a database in memory."""
    if isinstance(place, Path) or not place.startswith("file:"):
        return None if str(place) == ":memory:" else Path(place)
    parts = urlsplit(place)
    is_in_memory = "vfs=memdb" in parts.query or "mode=memory" in parts.query
    return None if is_in_memory else Path(unquote(parts.path))


@dataclass(slots=True)
class SqliteStore:
    """Takes the database over when it is opened: whoever came before may write no more."""

    connection: apsw.Connection
    clock: Callable[[], int]
    lock: FileLock | None = field(default=None, kw_only=True)
    incarnation: int = field(init=False)
    latest: int = field(init=False)  # The store's clock at the last commit.
    has_exceptions: bool = field(init=False)  # Something is on hold or quarantined.
    ahead: int = field(init=False)  # By how much it runs before a clock that was set back.

    def __post_init__(self) -> None:
        """A dead process may have marks out; what becomes of those attempts is in doubt now."""
        self.connection.execute(sql.BEGIN)
        clock = self.clock()
        [row] = self._rows(sql.RAISE_INCARNATION, (clock,))
        self.incarnation, self.latest = row
        self.ahead = self.latest - clock
        self._rows(sql.VOID_LEASES, (self.latest,))
        self._rows(sql.LEAVE_BY_NOW, (self.latest,))
        self.has_exceptions = self._has_exceptions()
        self.connection.execute(sql.COMMIT)

    @property
    def ahead_ms_max(self) -> int:
        return 0

    @property
    def poll_ms(self) -> int:
        return IDLE_MS  # Nobody else writes.

    async def close(self) -> None:
        self.connection.close()
        if self.lock is not None:
            self.lock.release()

    def now(self) -> int:
        return max(self.clock() + self.ahead, self.latest)

    async def commit(self, commands: Sequence[Command], plan: Callable[[Loaded], Commit]) -> Commit:
        with self._writing() as now:
            found = load(self.connection, now, commands)
            commit = plan(found.loaded)
            self._save(commit, found)
        if commit.holds or commit.cases:
            self.has_exceptions = self._has_exceptions()
        return commit

    def on_wake(self, ring: Callable[[], None]) -> None:
        """Nobody else writes."""

    async def due(
        self, channel: str, count_max: int, busy: Collection[Fence] = ()
    ) -> list[Instruction]:
        statement = sql.DUE if self.has_exceptions else sql.DUE_PLAIN
        rows = self._rows(statement, (channel, self.now(), count_max + len(busy)))
        found = [i for i in instructions_of(rows).values() if i.fence not in busy]
        return found[:count_max]

    async def due_payments(self, channels: Collection[str], count_max: int) -> list[Payment]:
        rows = self._rows(sql.DUE_PAYMENTS, (self.now(), count_max, as_json(channels)))
        return list(payments_of(rows).values())

    async def due_parked(self, channels: Collection[str], count_max: int) -> list[Parked]:
        rows = self._rows(sql.DUE_PARKED, (self.now(), count_max, as_json(channels)))
        return [parked_of(row) for row in rows]

    async def next_due(self, channels: Collection[str]) -> int | None:
        statement = sql.NEXT_DUE if self.has_exceptions else sql.NEXT_DUE_PLAIN
        [[due_at]] = self._rows(statement, (as_json(channels),))
        return None if due_at is None else int(due_at)

    async def undelivered(self, sink: str, count_max: int) -> list[tuple[int, Record]]:
        rows = self._rows(sql.UNDELIVERED, (sink, count_max))
        if not rows:
            return []
        entries: defaultdict[int, list[Entry]] = defaultdict(list)
        for position, *entry in self._rows(sql.ENTRIES_BETWEEN, (rows[0][0], rows[-1][0])):
            entries[position].append(Entry(*entry))
        return [(p, Record(i, n, body, tuple(entries.get(p, ())))) for p, i, n, body in rows]

    async def advance(self, sink: str, position: int) -> None:
        with self._writing():
            write(self.connection, sql.ADVANCE, [(sink, position)])

    async def suspect(self, object_ids: Sequence[str], *, is_proven: bool) -> None:
        with self._writing():
            write(self.connection, sql.SUSPECT, [(each, is_proven) for each in object_ids])

    async def suspects(self) -> Mapping[str, int]:
        return dict(self._rows(sql.SUSPECTS))

    async def clear_suspects(self) -> None:
        with self._writing():
            self._rows(sql.CLEAR_SUSPECTS)

    async def contents(self) -> Contents:
        return contents_of(self.connection)

    def _has_exceptions(self) -> bool:
        [[answer]] = self._rows(sql.HAS_EXCEPTIONS)
        return bool(answer)

    def _rows(self, statement: str, bindings: tuple[Any, ...] = ()) -> list[Any]:
        return self.connection.execute(statement, bindings).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[int]:
        """One transaction, whole or not at all; the store's time in it."""
        with in_our_words():
            try:
                self.connection.execute(sql.BEGIN)
                now = self._enter()
                yield now
                self.connection.execute(sql.COMMIT)
            finally:
                if self.connection.in_transaction:
                    self.connection.execute(sql.ROLLBACK)
        self.latest = now

    def _enter(self) -> int:
        """The first statement of every write: are we still the engine, and what time is it?"""
        rows = self._rows(sql.ENTER, (self.clock() + self.ahead, self.incarnation))
        if not rows:
            raise Superseded
        return int(rows[0][0])

    def _save(self, commit: Commit, found: Found) -> None:
        save(self.connection, commit, found)
