"""contraflow replay: a file of commands, on the file's own clock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from contraflow.cli import paper
from contraflow.cli import parameters as p
from contraflow.settings import Settings, check
from contraflow.simulation.replay import task_of
from contraflow.simulation.replay_many import play_at_once
from contraflow.simulation.replay_rows import read_rows


def replay(
    *,
    file: Annotated[Path, typer.Argument(help="CSV, also as .xz.", exists=True, dir_okay=False)],
    db: Annotated[str, typer.Option("--db", help="A database file, or postgresql://...")],
    tenant: Annotated[str, typer.Option(help="Whose payments they are.")] = "main",
    fresh_cursor: Annotated[
        bool, typer.Option("--fresh-cursor", help="Send every row again, under its old key.")
    ] = False,
    jobs: Annotated[
        int, typer.Option(min=1, max=16, help="Processes at once, on a server only.")
    ] = 1,
    as_json: p.AsJson = False,
) -> None:
    """Play `seq, at, kind, key, target, amount_minor, currency` through the whole engine.

    Killed and started again it goes on; on a database that has seen the whole file it changes
    nothing and prints the same.
    """
    check(Settings(database=db))
    total = len(read_rows(file))
    task = task_of(file, db, tenant, fresh_cursor=fresh_cursor)
    with paper.progress("rows", total=total, is_quiet=as_json) as bar:
        totals = play_at_once(task, jobs, lambda count: bar.update(advance=count))
    if as_json:
        typer.echo(msgspec.json.encode(totals).decode())
        return
    for name, value in totals.items():
        typer.echo(f"{name:24} {value}")
