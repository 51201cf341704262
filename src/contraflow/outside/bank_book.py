"""The book of the sandbox's bank: what it remembers, in memory or in a file of its own."""

from __future__ import annotations

import heapq
import os
from collections import defaultdict
from pathlib import Path
from typing import Protocol

import apsw
import msgspec
from msgspec import Struct, field

from contraflow.outside.bank_scripts import Result, Script
from contraflow.wire.sandbox import Key, Telling, key_of

SCHEMA = """
CREATE TABLE IF NOT EXISTS secret (key TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS ordered (number TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS due (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fact (event TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
"""
FIRST_KEY = "INSERT INTO secret SELECT ? WHERE NOT EXISTS (SELECT 1 FROM secret)"
ORDERED = (
    "INSERT INTO ordered VALUES (?, ?) ON CONFLICT (number) DO UPDATE SET body = excluded.body"
)
DUE = "INSERT INTO due VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
FACT = "INSERT INTO fact VALUES (?, ?) ON CONFLICT (event) DO NOTHING"


class Order(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A number as the bank knows it, and what really happened."""

    number: str
    scheme: str  # The line it came by.
    payment: str
    action: str
    minor: int
    currency: str
    payment_number: str
    script: Script
    result: Result = Result.ABSENT  # What the bank says of it, when it does not lie.
    code: str = ""
    submissions: int = 0
    inquiries: int = 0  # Those that were denied.
    times: int = 0  # How often the money moved.
    bounced: bool = False
    withdrawn: bool = False


class Due(Struct, frozen=True, kw_only=True, gc=False):
    """Something that will happen to an order, or be told until it is acknowledged."""

    id: int
    at: int
    number: str
    type: str  # "land", "act", or of a notice.
    minor: int


class Pages(Struct):
    """The whole book, or what has changed in it."""

    orders: dict[str, Order] = field(default_factory=dict)
    dues: dict[int, Due | None] = field(default_factory=dict)  # None: it is over.
    facts: dict[str, Telling] = field(default_factory=dict)  # What happened outside, by event.


class Book(Protocol):
    @property
    def key(self) -> Key: ...

    def load(self) -> Pages: ...

    def write(self, changed: Pages) -> None:
        """All of it or nothing."""
        ...


class MemoryBook:
    def __init__(self, key: str) -> None:
        self.key = key_of(key)
        self._pages = Pages()

    def load(self) -> Pages:
        pages = self._pages
        return Pages(dict(pages.orders), dict(pages.dues), dict(pages.facts))

    def write(self, changed: Pages) -> None:
        self._pages.orders.update(changed.orders)
        self._pages.facts.update(changed.facts)
        for number, due in changed.dues.items():
            if due is None:
                self._pages.dues.pop(number, None)
            else:
                self._pages.dues[number] = due


class FileBook:
    """A file that only its owner may read, since the key of the lines is in it."""

    def __init__(self, path: Path, key_if_new: str = "") -> None:
        """Raises SettingInvalid if the file is new and there is no key for it."""
        if not path.exists():
            key_of(key_if_new)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
        self._connection = apsw.Connection(str(path))
        self._connection.set_busy_timeout(5_000)
        self._connection.pragma("journal_mode", "wal")
        self._connection.pragma("synchronous", "normal")
        with self._connection:
            self._connection.execute(SCHEMA)
            if key_if_new:
                self._connection.execute(FIRST_KEY, (key_if_new,))
        self.key = key_of(str(self._connection.execute("SELECT key FROM secret").get or ""))

    def load(self) -> Pages:
        pages = Pages()
        with self._connection:
            for (body,) in self._connection.execute("SELECT body FROM ordered ORDER BY rowid"):
                order = msgspec.json.decode(str(body), type=Order)
                pages.orders[order.number] = order
            for (body,) in self._connection.execute("SELECT body FROM due ORDER BY id"):
                due = msgspec.json.decode(str(body), type=Due)
                pages.dues[due.id] = due
            for (body,) in self._connection.execute("SELECT body FROM fact ORDER BY rowid"):
                fact = msgspec.json.decode(str(body), type=Telling)
                pages.facts[fact.event] = fact
        return pages

    def write(self, changed: Pages) -> None:
        dues = changed.dues.items()
        with self._connection:
            for statement, rows in (
                (ORDERED, [(number, _text(order)) for number, order in changed.orders.items()]),
                (DUE, [(number, _text(due)) for number, due in dues if due is not None]),
                ("DELETE FROM due WHERE id = ?", [(number,) for number, due in dues if not due]),
                (FACT, [(event, _text(fact)) for event, fact in changed.facts.items()]),
            ):
                self._connection.executemany(statement, rows)

    def close(self) -> None:
        self._connection.close()


def _text(value: Struct) -> str:
    return msgspec.json.encode(value).decode()


class OpenBook:
    """The bank's working copy: it collects what changes, and writes it down at once."""

    def __init__(self, book: Book) -> None:
        pages = book.load()
        self.orders, self.facts = pages.orders, pages.facts
        self._book = book
        self._dues = {due.id: due for due in pages.dues.values() if due is not None}
        self._queue = [(due.at, due.id) for due in self._dues.values()]
        heapq.heapify(self._queue)
        self._last_id = max(self._dues, default=0)
        self._of_payment: defaultdict[str, list[str]] = defaultdict(list)
        for order in self.orders.values():
            self._of_payment[order.payment].append(order.number)
        self._changed = Pages()

    @property
    def key(self) -> Key:
        return self._book.key

    def of_payment(self, payment: str) -> list[Order]:
        return [self.orders[number] for number in self._of_payment[payment]]

    def keep(self, order: Order) -> Order:
        if order.number not in self.orders:
            self._of_payment[order.payment].append(order.number)
        self.orders[order.number] = self._changed.orders[order.number] = order
        return order

    def note(self, fact: Telling) -> None:
        self.facts[fact.event] = self._changed.facts[fact.event] = fact

    def schedule(self, order: Order, what: str, at: int, minor: int) -> None:
        self._last_id += 1
        due = Due(id=self._last_id, at=at, number=order.number, type=what, minor=minor)
        self._dues[due.id] = self._changed.dues[due.id] = due
        heapq.heappush(self._queue, (at, due.id))

    def next_due(self) -> int | None:
        return self._queue[0][0] if self._queue else None

    def take_due(self, now: int) -> Due | None:
        """The earliest, once; a bank that opens the book again takes it too, until forgotten."""
        if not self._queue or self._queue[0][0] > now:
            return None
        return self._dues[heapq.heappop(self._queue)[1]]

    def forget(self, due_id: int) -> None:
        del self._dues[due_id]
        self._changed.dues[due_id] = None

    def write_down(self) -> None:
        changed = self._changed
        if changed.orders or changed.dues or changed.facts:
            self._book.write(changed)
            self._changed = Pages()
