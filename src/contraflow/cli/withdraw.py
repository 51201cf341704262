"""Take an instruction back, release one that is held, or reject it."""

from __future__ import annotations

from contraflow.cli import parameters as p
from contraflow.cli.asking import ask, key_of
from contraflow.cli.place import place_of
from contraflow.domain.commands import RejectHold, ReleaseHold, WithdrawReversal
from contraflow.requests.asked import fingerprinted


def withdraw(
    *,
    instruction: p.InstructionName,
    key: p.Key = None,
    wait: p.Wait = None,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Take an instruction back: at once while it was not sent, else as the channel decides."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    own_key, own_id = key_of(place, key), place.id("id", instruction)
    command = WithdrawReversal(key=own_key, fingerprint=b"", instruction_id=own_id)
    ask(place, fingerprinted("withdraw", command), wait)


def release(
    *,
    instruction: p.InstructionName,
    key: p.Key = None,
    wait: p.Wait = None,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Let an instruction go on that is held for a person or for its undo window."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    own_key, own_id = key_of(place, key), place.id("id", instruction)
    command = ReleaseHold(key=own_key, fingerprint=b"", instruction_id=own_id)
    ask(place, fingerprinted("release", command), wait)


def reject(
    *,
    instruction: p.InstructionName,
    key: p.Key = None,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Refuse an instruction that is held; what it reserved is free again."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    own_key, own_id = key_of(place, key), place.id("id", instruction)
    command = RejectHold(key=own_key, fingerprint=b"", instruction_id=own_id)
    ask(place, fingerprinted("reject", command))
