"""What stands beside the business, opened as the settings say: keys, webhooks, and their rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from contraflow.channels import Channel
from contraflow.engine.bell import Bell
from contraflow.engine.refund_batches import BatchRoom
from contraflow.engine.webhooks import Mailroom
from contraflow.errors import SettingInvalid
from contraflow.outside.addresses import LOOPBACK, PORTS, Denied, judge_url
from contraflow.outside.egress import Egress, post
from contraflow.outside.entropy import new_bytes, new_name
from contraflow.outside.event_loop import wall_clock_ms
from contraflow.outside.ports import PORT_MAX
from contraflow.outside.vault import Vault, open_vault
from contraflow.settings import Settings
from contraflow.store import Keys, Views
from contraflow.store.keys import StoredKeys
from contraflow.store.places import is_server, open_shelf
from contraflow.store.refund_batches import StoredBatches
from contraflow.store.shelf import Shelf
from contraflow.store.sqlite import file_of
from contraflow.store.webhooks import StoredWebhooks


@dataclass(frozen=True, slots=True)
class Annex:
    shelf: Shelf
    keys: Keys


@asynccontextmanager
async def open_annex(settings: Settings) -> AsyncIterator[Annex]:
    """Also while others work on the database, which must be there.

    Raises SettingInvalid, SchemaUnknown or StoreUnwritable.
    """
    shelf = await open_shelf(settings.database, wall_clock_ms)
    try:
        yield Annex(shelf, StoredKeys(shelf))
    finally:
        await shelf.close()


def vault_of(settings: Settings) -> Vault:
    """Beside a database file it is `FILE.secret`, made if need be; for a server it is said.

    Raises SettingInvalid.
    """
    if settings.secret_file:
        return open_vault(Path(settings.secret_file), may_make=False)
    file = file_of(settings.database)
    if is_server(settings.database) or file is None:
        raise SettingInvalid("secret_file: a file with 32 random bytes in hexadecimal is needed")
    return open_vault(file.with_name(f"{file.name}.secret"), may_make=True)


def modes_of(channels: Mapping[str, Channel]) -> Mapping[str, str]:
    """`test` for a channel that moves no money, `live` for every other."""
    return {
        name: "test" if channel.abilities.is_test else "live" for name, channel in channels.items()
    }


def mailroom_of(
    settings: Settings, annex: Annex, views: Views, modes: Mapping[str, str], bell: Bell
) -> Mailroom:
    vault = vault_of(settings)
    is_local = settings.webhooks_to_loopback
    egress = Egress(
        allows_http=is_local,
        ports=frozenset(range(1, PORT_MAX + 1)) if is_local else PORTS,
        permitted=LOOPBACK if is_local else (),
    )
    return Mailroom(
        webhooks=StoredWebhooks(annex.shelf),
        views=views,
        modes=modes,
        seal=vault.seal,
        unseal=vault.unseal,
        fresh_bytes=new_bytes,
        judge=partial(_objection, egress),
        post=partial(_post, egress),
        bell=bell,
    )


def batch_room_of(annex: Annex, modes: Mapping[str, str], bell: Bell) -> BatchRoom:
    return BatchRoom(
        batches=StoredBatches(annex.shelf), modes=modes, fresh_name=new_name, bell=bell
    )


def _objection(egress: Egress, url: str) -> str:
    judged = judge_url(
        url, allows_http=egress.allows_http, ports=egress.ports, permitted=egress.permitted
    )
    return judged.reason if isinstance(judged, Denied) else ""


async def _post(egress: Egress, url: str, headers: Mapping[str, str], body: bytes) -> int:
    answer = await post(egress, url, headers=headers, body=body)
    return answer.status
