"""Run the engine until somebody stops it."""

from __future__ import annotations

from contraflow import wiring
from contraflow.cli import aside, paper
from contraflow.cli import parameters as p
from contraflow.cli.place import place_of
from contraflow.cli.stopping import stop_event
from contraflow.engine.session import drain
from contraflow.settings import without_password


def work(
    *,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Send, inquire, and take notices until SIGTERM or Ctrl-C; then end within 10 seconds."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)

    async def until_stopped(embedded: wiring.Embedded) -> dict[str, int]:
        stopped = stop_event()
        async with aside.started(place, embedded) as tells_webhooks:
            if not as_json:
                database = without_password(place.settings.database)
                quiet = "" if tells_webhooks else ", no webhooks (secret_file is not set)"
                paper.print_line(f"working on {database}{quiet}; Ctrl-C ends it")
                paper.flush()
            await stopped.wait()
            await drain(embedded.parts)
        return dict(embedded.parts.counts)

    counts = wiring.run(place.settings, until_stopped)
    if as_json:
        paper.print_json({"stopped": True, "counts": counts})
    else:
        paper.print_line("stopped")
