"""The sandbox's bank, put together: in this process, or as one of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from contraflow.channels import Channel
from contraflow.errors import SettingInvalid
from contraflow.outside.bank import Bank
from contraflow.outside.bank_book import FileBook, MemoryBook
from contraflow.outside.bank_door import open_door
from contraflow.outside.entropy import new_key
from contraflow.outside.event_loop import EventLoop
from contraflow.outside.http_transport import HttpTransport
from contraflow.settings import ChannelSettings, Settings
from contraflow.store.file_lock import FileLock, lock_file
from contraflow.store.places import is_server
from contraflow.wire.exchange import Notice, header
from contraflow.wire.sandbox import CARD, LINE, RAIL

T = TypeVar("T")


@dataclass(slots=True)
class OpenBank:
    """A bank whose book no other process may write into."""

    bank: Bank
    book: FileBook
    lock: FileLock

    def close(self) -> None:
        self.book.close()
        self.lock.release()

    async def aclose(self) -> None:
        self.close()


def book_of(database: str) -> Path:
    """Of the bank that is in one process with the engine."""
    return Path(f"{database}.bank")


def open_bank(path: Path) -> OpenBank:
    """A new book gets a new key. Raises DatabaseInUse while another process has it open."""
    lock = lock_file(path)
    try:
        book = FileBook(path, key_if_new=new_key())
        return OpenBank(Bank(book), book, lock)
    except BaseException:
        lock.release()
        raise


class Listening(Struct, frozen=True):
    address: str
    key: str  # Of its lines, for the settings of the channels.

    def __repr__(self) -> str:
        return f"Listening({self.address}, ***)"


def run_bank(
    path: Path, port: int, notify: Sequence[str], work: Callable[[Listening], Awaitable[T]]
) -> T:
    """Do the work while a bank of this book listens, and tells its notices at these addresses."""

    async def listen() -> T:
        async with asyncio.TaskGroup() as group:
            runtime = EventLoop(group)
            async with open_door(opened.bank, runtime, port, notify) as address:
                try:
                    return await work(Listening(address, opened.bank.key_text))
                finally:
                    runtime.stop()

    opened = open_bank(path)
    try:
        return asyncio.run(listen())
    except ExceptionGroup as group:
        first = group.exceptions[0]
        if isinstance(first, OSError):
            raise SettingInvalid(f"port: {first.strerror or first}") from first
        raise first from None
    finally:
        opened.close()


def refuse_homeless(settings: Settings) -> None:
    """Beside a server's database there is no place for a bank in this process."""
    has_sandbox = any(chosen.plugin == "sandbox" for chosen in settings.channels.values())
    if has_sandbox and is_server(settings.database) and not settings.bank:
        raise SettingInvalid(
            "bank: where the sandbox's bank listens; start one with: contraflow bank"
        )


def way_to_bank(settings: Settings, store_now: Callable[[], int]) -> HttpTransport:
    """To a bank that is a process of its own; its channels' slots are still to be said."""
    addresses = {scheme: f"{settings.bank}/{scheme}" for scheme in (CARD, RAIL)}
    return HttpTransport(addresses, {}, settings.reply_within_ms, store_now)


def slots_of(settings: Settings, channels: Mapping[str, Channel]) -> Mapping[str, int]:
    """How many calls may be under way on each line."""
    slots: Counter[str] = Counter()
    for name, channel in channels.items():
        slots[line_of(settings.channels[name])] += channel.abilities.slots
    return slots


def line_of(chosen: ChannelSettings) -> str:
    """The scheme of a sandbox's line."""
    return RAIL if chosen.credentials.get("line") == "rail" else CARD


def lines_at_bank(settings: Settings) -> Mapping[str, str]:
    """The bank knows its lines by scheme, the operator by the names in the settings."""
    return {
        line_of(chosen): name
        for name, chosen in settings.channels.items()
        if chosen.plugin == "sandbox"
    }


def memory_bank() -> Bank:
    """With a key and a book that end with it."""
    return Bank(MemoryBook(new_key()))


def channel_of(lines: Mapping[str, str], notice: Notice) -> str | None:
    """Whose notice it says it is; None if we have no such channel."""
    return lines.get(header(notice.headers, LINE))


def channel_finder(settings: Settings) -> Callable[[Notice], str | None]:
    return partial(channel_of, lines_at_bank(settings))
