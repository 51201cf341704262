"""contraflow up: a private PostgreSQL, and all of contraflow on it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from contraflow import wiring
from contraflow.cli import paper
from contraflow.cli import parameters as p
from contraflow.engine.views import time_text
from contraflow.settings import Settings, check
from contraflow.upkeep import Standing, Wish, keep_up

Folder = Annotated[
    Path, typer.Option(metavar="DIR", help="Where everything is kept; made if need be.")
]
Serves = Annotated[int, typer.Option("--serve", min=1, max=32, help="How many take requests.")]
Works = Annotated[int, typer.Option("--work", min=1, max=32, help="How many do what is due.")]
DoorName = Annotated[
    str | None,
    typer.Option("--door", metavar="HOST:PORT", help="Of the first serve; the others follow it."),
]
HOW = """\
PostgreSQL {postgresql}, door on {doors}{bank}

From another shell:

  export CONTRAFLOW_SETTINGS={settings}
  contraflow pay coffee --minor 1050 --currency GBP --wait 10
  contraflow refund coffee --minor 1050 --currency GBP --wait 10

Or over HTTP, with a key that is shown once:

  export KEY="$(contraflow keys create --name me)"
  curl -s -H "Authorization: Bearer $KEY" {first}/v1/refunds

Ctrl-C ends it; what is kept stays, and the next `contraflow up` goes on with it."""


def up(
    *,
    folder: Folder = Path("contraflow.d"),
    serve: Serves = 1,
    work: Works = 1,
    door: DoorName = None,
    as_json: p.AsJson = False,
) -> None:
    """Run a private PostgreSQL and all of contraflow on it, until SIGTERM or Ctrl-C.

    The folder, the server, its passwords and the settings are made when they are missing, and
    found again when they are not. Whatever ends by itself is started again.
    """
    if door is not None:
        check(Settings(door=door))

    def say_how(standing: Standing) -> None:
        if as_json:
            paper.print_json(standing)
        else:
            typer.echo(how_to_use(standing))  # To be pasted, so never broken into lines.
        paper.flush()

    def complain(text: str) -> None:
        typer.echo(f"{time_text(wiring.now_ms())} {text}", err=True)

    keep_up(Wish(folder=folder, door=door, serve=serve, work=work), say_how, complain)
    if as_json:
        paper.print_json({"stopped": True})
    else:
        paper.print_line("stopped")


def how_to_use(standing: Standing) -> str:
    return HOW.format(
        postgresql=standing.postgresql,
        doors=", ".join(standing.doors),
        first=standing.doors[0],
        bank=f", bank on {standing.bank}" if standing.bank else "",
        settings=shlex.quote(standing.settings),
    )
