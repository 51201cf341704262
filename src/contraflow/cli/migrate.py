"""contraflow migrate: give a database its tables, or bring them up to date."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from contraflow import wiring
from contraflow.cli import paper
from contraflow.cli import parameters as p
from contraflow.cli.place import place_of


def migrate(
    *,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    post: Annotated[
        bool, typer.Option("--post", help="Also what an older contraflow would miss.")
    ] = False,
    as_json: p.AsJson = False,
) -> None:
    """Apply what is missing. Safe while an older contraflow serves, unless --post is given.

    On a server it logs in as `database_owner` of the settings, if that is set.
    """
    place = place_of(db=db, settings_file=settings, tenant=None, as_json=as_json)
    applied = asyncio.run(wiring.migrate(place.settings, with_post=post))
    if as_json:
        paper.print_json({"applied": list(applied)})
        return
    for name in applied:
        paper.print_line(f"applied {name}")
    paper.print_line("the tables are up to date")
