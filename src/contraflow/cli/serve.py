"""Take requests and notices over HTTP until somebody stops it."""

from __future__ import annotations

from typing import Annotated

import typer
from msgspec.structs import replace

from contraflow import wiring
from contraflow.api.door import application
from contraflow.api.server import listening
from contraflow.api.table import OPERATIONS
from contraflow.cli import aside, paper
from contraflow.cli import parameters as p
from contraflow.cli.desk import open_desk, tls_of
from contraflow.cli.place import place_of
from contraflow.cli.stopping import stop_event
from contraflow.engine import loops
from contraflow.engine.session import drain, start_intake
from contraflow.engine.waiting import watch_others
from contraflow.settings import check, without_password

DoorName = Annotated[
    str | None, typer.Option("--door", metavar="HOST:PORT", help="Where; else as the settings say.")
]
DoesWork = Annotated[
    bool, typer.Option("--work", help="Send and inquire, too, as always beside a database file.")
]


def serve(
    *,
    door: DoorName = None,
    does_work: DoesWork = False,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Take requests and notices over HTTP until SIGTERM or Ctrl-C; then end within 10 seconds.

    On a database server it only decides and keeps them, and `contraflow work` does the rest.
    """
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    if door is not None:
        place = replace(place, settings=replace(place.settings, door=door))
        check(place.settings)
    is_alone = not wiring.is_shared(place.settings)

    async def until_stopped(embedded: wiring.Embedded) -> dict[str, int]:
        stopped = stop_event()
        async with open_desk(place, embedded) as desk:
            if not is_alone:
                embedded.parts.runtime.spawn(watch_others(embedded.parts, desk.views))
            if is_alone or does_work:
                aside.start(embedded, desk.mailroom, desk.batch_room)
            app, tls = application(desk, OPERATIONS), tls_of(place.settings)
            async with listening(app, place.settings.door, tls) as address:
                if as_json:
                    paper.print_json({"listening": address})
                else:
                    database = without_password(place.settings.database)
                    paper.print_line(f"door on {address}, database {database}; Ctrl-C ends it")
                paper.flush()
                await stopped.wait()
                desk.end()
            await drain(embedded.parts)
        return dict(embedded.parts.counts)

    start = loops.start if is_alone or does_work else start_intake
    counts = wiring.run(place.settings, until_stopped, start=start)
    if as_json:
        paper.print_json({"stopped": True, "counts": counts})
    else:
        paper.print_line("stopped")
