"""Build a running engine from settings. The only module that knows every part."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

from msgspec import Struct

from contraflow import banking, catalog
from contraflow.channels import Abilities, Action, Channel
from contraflow.domain.decision import Refused
from contraflow.domain.instruction import Kind
from contraflow.domain.policy import Policy, Terms
from contraflow.engine import loops
from contraflow.engine.bell import Bell
from contraflow.engine.gate import Gate
from contraflow.engine.intake import Intake
from contraflow.engine.limits import LEAVE_WITHIN_MS_MAX
from contraflow.engine.notices import receive_notice
from contraflow.engine.parts import Parts
from contraflow.errors import ContraflowError, PluginInvalid, SignatureInvalid, StoreUnwritable
from contraflow.outside import Runtime, Transport
from contraflow.outside.bank import Bank
from contraflow.outside.bank_book import FileBook
from contraflow.outside.bank_scripts import GROUPS, Script
from contraflow.outside.entropy import new_bytes, new_key, new_name
from contraflow.outside.event_loop import EventLoop, new_loop, wall_clock_ms
from contraflow.outside.local_bank import LocalBank
from contraflow.settings import Settings, SinkSettings
from contraflow.sinks import Sink
from contraflow.store import Store, Views
from contraflow.store.places import is_server, open_store, open_views
from contraflow.store.places import migrate as migrate_place
from contraflow.store.sqlite import file_of
from contraflow.store.sqlite_trouble import in_our_words
from contraflow.wire.exchange import Notice

T = TypeVar("T")
SCRIPTS = frozenset(script.value for script in Script)  # What the sandbox can be told to do.


def assemble(
    settings: Settings,
    store: Store,
    runtime: Runtime,
    transport: Transport,
    secrets: Mapping[str, str],
) -> Parts:
    """The engine of these parts. `secrets` are credentials that no settings file needs to hold."""
    if not __debug__:
        raise ContraflowError("contraflow refuses to run without its assertions (python -O)")
    channels = {
        name: open_channel(name, chosen.plugin, {**secrets, **chosen.credentials})
        for name, chosen in settings.channels.items()
    }
    return Parts(
        store=store,
        runtime=runtime,
        transport=transport,
        channels=channels,
        policy=policy_of(settings, channels),
        rules=[catalog.load("contraflow.risk.rules", n, "RULE") for n in settings.risk_rules],
        sinks=[open_sink(name, chosen) for name, chosen in settings.sinks.items()],
        intake=Intake(runtime, Bell(runtime)),
        dispatch_bell=Bell(runtime),
        notify_bell=Bell(runtime),
        watch_bell=Bell(runtime),
        gates={
            name: Gate(channel.abilities.slots, channel.abilities.calls_per_s)
            for name, channel in channels.items()
        },
        reply_within_ms=settings.reply_within_ms,
    )


def open_channel(name: str, plugin: str, credentials: Mapping[str, str]) -> Channel:
    channel: Channel = catalog.load("contraflow.channels", plugin, "open_channel")(
        name, credentials
    )
    if not 0 < channel.abilities.leave_within_ms <= LEAVE_WITHIN_MS_MAX:
        raise PluginInvalid(f"{name}: leave_within_ms is above {LEAVE_WITHIN_MS_MAX}")
    return channel


def open_sink(name: str, chosen: SinkSettings) -> Sink:
    sink: Sink = catalog.load("contraflow.sinks", chosen.plugin, "open_sink")(name, chosen.options)
    return sink


def policy_of(settings: Settings, channels: Mapping[str, Channel]) -> Policy:
    return Policy(
        terms={name: terms_of(channel.abilities) for name, channel in channels.items()},
        undo_window_ms=settings.undo_window_s * 1_000,
        review_within_ms=settings.review_within_s * 1_000,
        attempts_max=settings.attempts_max,
        late_capture=settings.late_capture,
    )


def terms_of(abilities: Abilities) -> Terms:
    return Terms(
        kinds=frozenset(kind for kind in Kind if Action(kind) in abilities.actions),
        same_number_again=abilities.same_number_again,
        not_found_is_proof=abilities.not_found_is_proof,
        dead_after_ms=abilities.dead_after_ms,
        attention_after_ms=abilities.attention_after_ms,
        is_final_at_once=abilities.is_final_at_once,
        windows=abilities.windows,
    )


@dataclass(slots=True)
class Embedded:
    """An engine, with the sandbox's bank in the same process if the settings know no other."""

    parts: Parts
    local_bank: LocalBank | None
    close_way: Callable[[], Awaitable[None]]

    @property
    def bank(self) -> Bank:
        assert self.local_bank is not None, "the bank is a process of its own"
        return self.local_bank.bank

    def wake_bank(self) -> None:
        """A bank that was reopened may have things to say."""
        if self.local_bank is not None:
            self.local_bank.set_alarm()

    async def close(self) -> None:
        """Let the database and the bank's book go, so that another process may have them."""
        await self.close_way()
        await self.parts.store.close()


def embed(settings: Settings, runtime: Runtime, store: Store, bank: Bank | None = None) -> Embedded:
    """Put all together, with this bank, or with the one of the settings.

    Beside a database file that is `FILE.bank`, which is created if need be. Whoever opened the
    store closes it, also when a part is bad.
    """
    if bank is not None:
        return embed_beside(settings, runtime, store, bank)
    if settings.bank:
        return embed_far_from(settings, runtime, store)
    banking.refuse_homeless(settings)
    opened = banking.open_bank(banking.book_of(settings.database))
    try:
        embedded = embed_beside(settings, runtime, store, opened.bank)
    except BaseException:
        opened.close()
        raise
    embedded.close_way = opened.aclose
    return embedded


def embed_beside(settings: Settings, runtime: Runtime, store: Store, bank: Bank) -> Embedded:
    """In one process with the bank."""
    lines = banking.lines_at_bank(settings)
    local_bank = LocalBank(
        bank, runtime, deliver=lambda told: deliver(parts, lines, told), store_now=store.now
    )
    parts = assemble(settings, store, runtime, local_bank, {"key": bank.key_text})
    return Embedded(parts, local_bank, leave_open)


def embed_far_from(settings: Settings, runtime: Runtime, store: Store) -> Embedded:
    """The bank is a process of its own, and the settings of its channels hold its key."""
    way = banking.way_to_bank(settings, store.now)
    parts = assemble(settings, store, runtime, way, {})
    way.slots = banking.slots_of(settings, parts.channels)
    return Embedded(parts, None, way.close)


async def leave_open() -> None:
    """Of a bank that somebody else has opened."""


def run(
    settings: Settings,
    work: Callable[[Embedded], Awaitable[T]],
    *,
    start: Callable[[Parts], None] = loops.start,
) -> T:
    """Do the work beside the loops of an engine; when it is done, or anything fails, all stop."""
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(_run(settings, work, start))
    except ExceptionGroup as group:
        ours = [error for error in group.exceptions if isinstance(error, AssertionError)]
        raise (ours or group.exceptions)[0] from None


async def _run(
    settings: Settings, work: Callable[[Embedded], Awaitable[T]], start: Callable[[Parts], None]
) -> T:
    async with AsyncExitStack() as at_the_end, asyncio.TaskGroup() as group:
        runtime = EventLoop(group)
        store = await open_store(
            settings.database,
            runtime.now,
            slot=settings.account_slot,
            owner=settings.database_owner,
        )
        at_the_end.push_async_callback(store.close)
        embedded = embed(settings, runtime, store)
        at_the_end.push_async_callback(embedded.close_way)
        start(embedded.parts)
        embedded.wake_bank()
        try:
            return await work(embedded)
        finally:
            runtime.stop()


def read_policy(settings: Settings) -> Policy:
    """What the rules know of the channels, for who only reads: nothing is signed with this key."""
    channels = {
        name: open_channel(name, chosen.plugin, {"key": new_key(), **chosen.credentials})
        for name, chosen in settings.channels.items()
    }
    return policy_of(settings, channels)


def fresh_key() -> str:
    """An idempotency key for who brought none."""
    return new_name()


def fresh_bytes(count: int) -> bytes:
    """That nobody can guess."""
    return new_bytes(count)


def now_ms() -> int:
    """The wall clock, for display and for what a person calls `24h`; the store has its own."""
    return wall_clock_ms()


async def open_reading(settings: Settings) -> Views:
    """Look into the database, also while another process works on it."""
    refuse_missing(settings)
    return await open_views(settings.database)


def is_shared(settings: Settings) -> bool:
    """Whether several processes may work on the database."""
    return is_server(settings.database)


def refuse_missing(settings: Settings) -> None:
    """A mistyped name must not make a new database. Raises StoreUnwritable."""
    if is_server(settings.database):
        return  # Which makes none by itself.
    file = file_of(settings.database)
    if file is not None and not file.exists():
        raise StoreUnwritable(f"{file}: there is no such database")


class Effect(Struct, frozen=True, kw_only=True):
    """What the sandbox's bank did under a number, by its own book."""

    number: str
    payment_id: str
    minor: int
    currency: str
    times: int  # How often the money moved.
    has_bounced: bool


def effects_at_bank(database: str) -> list[Effect] | None:
    """None if there is no such bank."""
    book = banking.book_of(database)
    if not book.exists():
        return None
    with in_our_words():
        bank = Bank(FileBook(book))
    return [
        Effect(
            number=number,
            payment_id=order.payment,
            minor=order.minor,
            currency=order.currency,
            times=order.times,
            has_bounced=order.bounced,
        )
        for number, order in bank.effects().items()
    ]


async def deliver(parts: Parts, lines: Mapping[str, str], notice: Notice) -> bool:
    """Whether it was kept; else the bank keeps it. `lines`: channels by the bank's scheme."""
    name = banking.channel_of(lines, notice)
    if name is None:
        return False
    try:
        answer = await receive_notice(parts, name, notice)
    except (StoreUnwritable, SignatureInvalid):
        return False
    return not isinstance(answer, Refused)


async def migrate(settings: Settings, *, with_post: bool) -> Sequence[str]:
    """Bring the tables up to date, without taking a file over; the names of what was applied."""
    return await migrate_place(
        settings.database, wall_clock_ms(), owner=settings.database_owner, with_post=with_post
    )


def prepare(settings: Settings) -> None:
    """A database file that is not there yet is made; a server's is there."""
    file = None if is_server(settings.database) else file_of(settings.database)
    if file is not None and not file.exists():
        asyncio.run(migrate(settings, with_post=False))


async def latest_of(settings: Settings, at_least: int) -> int:
    """The clock of a file that was worked on before, in milliseconds, or `at_least`.

    A new database gets its tables. A server remembers no clock: each share of a file has its own.
    """
    store = await open_store(settings.database, lambda: at_least, owner=settings.database_owner)
    try:
        return at_least if is_server(settings.database) else store.now()
    finally:
        await store.close()


async def lines_of(settings: Settings, source: str) -> Mapping[int, str]:
    """The answers that were given to the lines of a file."""
    views = await open_views(settings.database)
    try:
        return await views.lines(source)
    finally:
        await views.close()


def scripts_by_group() -> Mapping[str, Sequence[str]]:
    """The faults of the sandbox's bank, without the one that no engine can undo: acting twice."""
    return {
        group: [script for script in scripts if script is not Script.IGNORE_IDEMPOTENCY]
        for group, scripts in GROUPS.items()
    }


def bank_is_quiet(embedded: Embedded) -> bool:
    """As far as one can know: one that is a process of its own has its own pace."""
    return embedded.local_bank is None or embedded.bank.next_due() is None
