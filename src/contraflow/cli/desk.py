"""What stands behind the HTTP door of this process, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from contraflow import annex, banking, wiring
from contraflow.api.caller import KeyRing
from contraflow.api.desk import Desk
from contraflow.api.gauges import Gauges
from contraflow.api.rate import Rates
from contraflow.api.server import Tls
from contraflow.cli.place import Place, reading
from contraflow.engine.bell import Bell
from contraflow.requests.tokens import MODES
from contraflow.settings import Settings

MINUTE_S = 60
STRANGERS_PER_MINUTE = 120  # Refused calls of one address.


@asynccontextmanager
async def open_desk(place: Place, embedded: wiring.Embedded) -> AsyncIterator[Desk]:
    settings, parts = place.settings, embedded.parts
    vault, modes = annex.vault_of(settings), annex.modes_of(parts.channels)
    reach = {mode: frozenset(n for n, m in modes.items() if m == mode) for mode in MODES}
    async with reading(place) as views, annex.open_annex(settings) as beside:
        gauges = Gauges()
        gauges.watch(parts)
        yield Desk(
            parts=parts,
            views=views,
            ring=KeyRing(beside.keys, reach),
            modes=modes,
            mailroom=annex.mailroom_of(settings, beside, views, modes, Bell(parts.runtime)),
            batch_room=annex.batch_room_of(beside, modes, Bell(parts.runtime)),
            cursor_key=vault.derived("cursor"),
            channel_of=banking.channel_finder(settings),
            unseal=vault.unseal,
            now_ms=wiring.now_ms,
            default_wait_s=settings.default_wait_s,
            gauges=gauges,
            key_rates=Rates("key", settings.requests_per_minute, MINUTE_S),
            stranger_rates=Rates("address", STRANGERS_PER_MINUTE, MINUTE_S),
        )


def tls_of(settings: Settings) -> Tls | None:
    if not settings.tls_certificate:
        return None
    authorities = Path(settings.tls_client_ca) if settings.tls_client_ca else None
    return Tls(Path(settings.tls_certificate), Path(settings.tls_key), authorities)
