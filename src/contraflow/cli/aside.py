"""What a process does beside the business: tell the webhooks, and work files of refunds off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contraflow import annex, wiring
from contraflow.cli.place import Place, reading
from contraflow.engine.bell import Bell
from contraflow.engine.refund_batches import BatchRoom, batch_loop
from contraflow.engine.webhook_delivery import webhook_loop
from contraflow.engine.webhooks import Mailroom
from contraflow.errors import SettingInvalid


def start(embedded: wiring.Embedded, mailroom: Mailroom | None, batch_room: BatchRoom) -> None:
    parts = embedded.parts
    if mailroom is not None:
        parts.runtime.spawn(webhook_loop(parts, mailroom))
    parts.runtime.spawn(batch_loop(parts, batch_room))


@asynccontextmanager
async def started(place: Place, embedded: wiring.Embedded) -> AsyncIterator[bool]:
    """For a process without a door; whether it can sign, and so tells the webhooks."""
    settings, parts = place.settings, embedded.parts
    modes = annex.modes_of(parts.channels)
    async with reading(place) as views, annex.open_annex(settings) as beside:
        try:
            bell = Bell(parts.runtime)
            mailroom = annex.mailroom_of(settings, beside, views, modes, bell)
        except SettingInvalid:
            mailroom = None
        start(embedded, mailroom, annex.batch_room_of(beside, modes, Bell(parts.runtime)))
        yield mailroom is not None
