"""Build a running engine from settings. The only module that knows every part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contraflow import catalog
from contraflow.channels import Abilities, Action, Channel
from contraflow.domain.instruction import Kind
from contraflow.domain.policy import Policy, Terms
from contraflow.engine.bell import Bell
from contraflow.engine.gate import Gate
from contraflow.engine.intake import Intake
from contraflow.engine.limits import LEAVE_WITHIN_MS_MAX
from contraflow.engine.notices import receive_notice
from contraflow.engine.parts import Parts
from contraflow.errors import ContraflowError, PluginInvalid
from contraflow.outside import Runtime, Transport
from contraflow.outside.bank import Bank
from contraflow.outside.bank_book import FileBook
from contraflow.outside.entropy import new_key
from contraflow.outside.local_bank import LocalBank
from contraflow.settings import Settings
from contraflow.store import Store
from contraflow.store.sqlite import open_store
from contraflow.wire.exchange import Notice, header
from contraflow.wire.sandbox import LINE, RAIL


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
        can_withdraw=Action.WITHDRAW in abilities.actions,
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


def embed(settings: Settings, runtime: Runtime) -> Embedded:
    """Open (or create) the database file and the bank's book beside it: `FILE.bank`.

    Raises DatabaseInUse while another process works on the file.
    """
    store = open_store(settings.database, runtime.now)
    bank = open_bank(settings.database)
    local_bank = LocalBank(bank, runtime, deliver=lambda notice: deliver(parts, notice))
    secrets = {"key": bank.key_text}
    parts = assemble(settings, store, runtime, local_bank, secrets)
    return Embedded(parts, bank, local_bank)


def open_bank(database: str) -> Bank:
    return Bank(FileBook(Path(f"{database}.bank"), key_if_new=new_key()))


async def deliver(parts: Parts, notice: Notice) -> None:
    """The sandbox knows its lines by scheme, the operator by name."""
    name = "sandbox_rail" if header(notice.headers, LINE) == RAIL else "sandbox"
    if name in parts.channels:
        await receive_notice(parts, name, notice)
