"""contraflow simulate: seeded histories of the whole engine in a hostile world."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
import typer

from contraflow.cli import paper
from contraflow.simulation.many import Report, run_many
from contraflow.simulation.pairs import impossible_seen
from contraflow.simulation.run import run

SHOWN_MAX = 10


def simulate(
    seeds: Annotated[str, typer.Option(help="FIRST:END, the end not included.")] = "0:1000",
    seed: Annotated[int | None, typer.Option(help="Replay this one history.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,  # noqa: FBT002
) -> None:
    """Run the engine and its real SQL under crashes, lost replies and lying clocks.

    A history that breaks an invariant is named by its seed, which alone brings it back. Exit
    code 1 if any did, or if a kind of fault never happened in a long run.
    """
    if seed is not None:
        history = run(seed)
        typer.echo(f"seed {seed}: {history.commits} commits, {history.crashes} crashes, all held")
        return
    first, end = parse_seeds(seeds)
    begun, total = time.monotonic(), Report()
    with paper.progress("histories", total=end - first, is_quiet=False) as bar:
        for report in run_many(first, end, jobs=jobs):
            total.add(report)
            bar.update(advance=report.histories)
    show(total, total.as_json(time.monotonic() - begun), as_json=as_json)
    is_well = not (total.violations or total.missing() or impossible_seen(total.pairs))
    raise typer.Exit(0 if is_well else 1)


def parse_seeds(text: str) -> tuple[int, int]:
    first, _, end = text.partition(":")
    if not (first.isdigit() and end.isdigit() and int(first) < int(end)):
        raise typer.BadParameter("--seeds: FIRST:END, for instance 0:1000")
    return int(first), int(end)


def show(total: Report, figures: dict[str, object], *, as_json: bool) -> None:
    for seed, broken in total.violations[:SHOWN_MAX]:
        typer.echo(f"{broken[:400]}\n  replay: contraflow simulate --seed {seed}", err=True)
    if as_json:
        typer.echo(msgspec.json.encode(figures).decode())
        return
    for name, value in figures.items():
        typer.echo(f"{name:24} {value}")
