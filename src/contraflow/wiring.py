"""Build a running engine from settings. The only module that knows every part."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from contraflow import catalog
from contraflow.channels import Abilities, Action, Channel
from contraflow.domain.instruction import Kind
from contraflow.domain.policy import Policy, Terms
from contraflow.engine import loops
from contraflow.engine.bell import Bell
from contraflow.engine.gate import Gate
from contraflow.engine.intake import Intake
from contraflow.engine.limits import LEAVE_WITHIN_MS_MAX
from contraflow.engine.notices import receive_notice
from contraflow.engine.parts import Parts
from contraflow.errors import ContraflowError, PluginInvalid, StoreUnwritable
from contraflow.outside import Runtime, Transport
from contraflow.outside.bank import Bank
from contraflow.outside.bank_book import FileBook
from contraflow.outside.bank_scripts import GROUPS, Script
from contraflow.outside.entropy import new_key, new_name
from contraflow.outside.event_loop import EventLoop, wall_clock_ms
from contraflow.outside.local_bank import LocalBank
from contraflow.settings import Settings
from contraflow.store import Store, Views
from contraflow.store.sqlite import file_of, open_store
from contraflow.store.sqlite_trouble import in_our_words
from contraflow.store.sqlite_views import open_views
from contraflow.wire.exchange import Notice, header
from contraflow.wire.sandbox import CARD, LINE, RAIL

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
        sinks=[catalog.load("contraflow.sinks", n, "open_sink")() for n in settings.sinks],
        intake=Intake(runtime, Bell(runtime)),
        dispatch_bell=Bell(runtime),
        notify_bell=Bell(runtime),
        gates={
            name: Gate(channel.abilities.slots, channel.abilities.calls_per_s)
            for name, channel in channels.items()
        },
    )


def open_channel(name: str, plugin: str, credentials: Mapping[str, str]) -> Channel:
    channel: Channel = catalog.load("contraflow.channels", plugin, "open_channel")(
        name, credentials
    )
    if not 0 < channel.abilities.leave_within_ms <= LEAVE_WITHIN_MS_MAX:
        raise PluginInvalid(f"{name}: leave_within_ms is above {LEAVE_WITHIN_MS_MAX}")
    return channel


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
    """An engine on the embedded database, with the sandbox's bank in the same process."""

    parts: Parts
    bank: Bank
    local_bank: LocalBank
    close: Callable[[], None]  # Lets the database go, so that another process may have it.


def embed(settings: Settings, runtime: Runtime) -> Embedded:
    """Open (or create) the database file and the bank's book beside it: `FILE.bank`.

    Raises DatabaseInUse while another process works on the file.
    """
    store = open_store(settings.database, runtime.now)
    try:
        bank = open_bank(settings.database)
        lines = lines_at_bank(settings)
        local_bank = LocalBank(
            bank, runtime, deliver=lambda told: deliver(parts, lines, told), store_now=store.now
        )
        secrets = {"key": bank.key_text}
        parts = assemble(settings, store, runtime, local_bank, secrets)
    except BaseException:
        store.close()
        raise
    return Embedded(parts, bank, local_bank, store.close)


def run(
    settings: Settings,
    work: Callable[[Embedded], Awaitable[T]],
    *,
    start: Callable[[Parts], None] = loops.start,
) -> T:
    """Do the work beside the loops of an engine; when it is done, or anything fails, all stop."""
    try:
        return asyncio.run(_run(settings, work, start))
    except ExceptionGroup as group:
        ours = [error for error in group.exceptions if isinstance(error, AssertionError)]
        raise (ours or group.exceptions)[0] from None


async def _run(
    settings: Settings, work: Callable[[Embedded], Awaitable[T]], start: Callable[[Parts], None]
) -> T:
    with ExitStack() as at_the_end:
        async with asyncio.TaskGroup() as group:
            runtime = EventLoop(group)
            embedded = embed(settings, runtime)
            at_the_end.callback(embedded.close)
            start(embedded.parts)
            embedded.local_bank.set_alarm()
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


def now_ms() -> int:
    """The wall clock, for display and for what a person calls `24h`; the store has its own."""
    return wall_clock_ms()


def open_reading(settings: Settings) -> Views:
    """Look into the database, also while another process works on it."""
    refuse_missing(settings)
    return open_views(settings.database)


def refuse_missing(settings: Settings) -> None:
    """A mistyped name must not make a new database. Raises StoreUnwritable."""
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
    if not Path(f"{database}.bank").exists():
        return None
    with in_our_words():
        bank = open_bank(database)
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


def open_bank(database: str) -> Bank:
    return Bank(FileBook(Path(f"{database}.bank"), key_if_new=new_key()))


async def deliver(parts: Parts, lines: Mapping[str, str], notice: Notice) -> bool:
    """Whether it was committed; else the bank keeps it. `lines`: channels by the bank's scheme."""
    name = lines.get(header(notice.headers, LINE))
    if name is None:
        return False
    try:
        await receive_notice(parts, name, notice)
    except StoreUnwritable:
        return False
    return True


def lines_at_bank(settings: Settings) -> Mapping[str, str]:
    """The bank knows its lines by scheme, the operator by the names in the settings."""
    return {
        RAIL if chosen.credentials.get("line") == "rail" else CARD: name
        for name, chosen in settings.channels.items()
        if chosen.plugin == "sandbox"
    }


def latest_of(settings: Settings, at_least: int) -> int:
    """The clock of a database that was worked on before, in milliseconds, or `at_least`."""
    store = open_store(settings.database, lambda: at_least)
    try:
        return store.now()
    finally:
        store.close()


def lines_of(settings: Settings, source: str) -> Mapping[int, str]:
    """The answers that were given to the lines of a file."""
    views = open_views(settings.database)
    try:
        return views.lines(source)
    finally:
        views.close()


def scripts_by_group() -> Mapping[str, Sequence[str]]:
    """The faults of the sandbox's bank, without the one that no engine can undo: acting twice."""
    return {
        group: [script for script in scripts if script is not Script.IGNORE_IDEMPOTENCY]
        for group, scripts in GROUPS.items()
    }


def bank_is_quiet(embedded: Embedded) -> bool:
    return embedded.bank.next_due() is None
