"""contraflow demo: a thousand payments, undone while the bank misbehaves."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from contraflow import wiring
from contraflow.cli import paper
from contraflow.cli import parameters as p
from contraflow.cli.demo_shop import Purchase, Shop, purchases
from contraflow.cli.doctor import Examination, examine, print_examination
from contraflow.cli.exits import Exit
from contraflow.cli.figures import measured_in, print_metrics
from contraflow.cli.place import Place, place_of, reading
from contraflow.domain.instruction import REVERSALS, Instruction
from contraflow.domain.lifecycle import State
from contraflow.engine.figures import figures_of
from contraflow.engine.metrics import Metrics
from contraflow.errors import SettingInvalid
from contraflow.store import Contents, Views, Window

PAYMENTS = 1_200
ENDS = (State.SUCCEEDED, State.FAILED, State.WITHDRAWN, State.BOUNCED, State.ATTENTION)


def demo(
    *,
    payments: Annotated[int, typer.Option(min=1, max=100_000, help="How many.")] = PAYMENTS,
    seed: Annotated[int, typer.Option(help="Of the shop's choices.")] = 1,
    db: p.Database = None,
    as_json: p.AsJson = False,
) -> None:
    """Pay, cancel and refund through the sandbox, whose bank loses, delays and contradicts.

    Works in a folder of its own that it removes, or in a new database named by --db. Exit code 1
    if anything is unresolved or `doctor` finds anything.
    """
    if db is not None and Path(db).exists():
        raise SettingInvalid("db: the demo needs a new database, and this one is there")
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder) / "demo.db") if db is None else db
        place = place_of(db=database, settings_file=None, tenant=None, as_json=as_json)
        shopping = list(purchases(payments, seed))
        contents, measured, window = run(place, shopping)
        examined = examine(place)
    if as_json:
        paper.print_json(
            {
                "payments": payments,
                "groups": dict(Counter(purchase.group or "none" for purchase in shopping)),
                "outcomes": outcomes(contents),
                "metrics": figures_of(window, measured),
                "cases": len(contents.cases),
                "unresolved": examined.unresolved,
                "ok": not examined.findings,
            }
        )
    else:
        print_all(shopping, contents, window, measured, examined)
    is_well = not examined.findings and examined.unresolved == 0
    raise typer.Exit(Exit.DONE if is_well else Exit.NOT_YET)


def run(place: Place, shopping: list[Purchase]) -> tuple[Contents, Metrics, Window]:
    async def work(embedded: wiring.Embedded) -> tuple[Contents, Metrics, Window]:
        async with reading(place) as views:
            with paper.progress("payments", total=len(shopping), is_quiet=place.as_json) as bar:
                await sell(embedded, views, bar)
            window = Window(since=0, until=wiring.now_ms() + 1, tenant=place.tenant)
            return await views.contents(), await measured_in(views, window), window

    async def sell(embedded: wiring.Embedded, views: Views, bar: paper.Bar) -> None:
        shop = Shop(embedded, views, place.tenant)
        await shop.sell_all(shopping, lambda: bar.update(advance=1))
        await shop.close(list((await views.contents()).instructions))

    return wiring.run(place.settings, work)


def outcomes(contents: Contents) -> dict[str, dict[str, int]]:
    """How many of each kind and mode came to which end."""
    counted: dict[str, Counter[str]] = {}
    for instruction in contents.instructions.values():
        counted.setdefault(label(instruction), Counter())[instruction.state] += 1
    return {name: dict(counted[name]) for name in sorted(counted)}


def label(instruction: Instruction) -> str:
    return instruction.mode if instruction.kind in REVERSALS else instruction.kind


def print_all(
    shopping: Sequence[Purchase],
    contents: Contents,
    window: Window,
    measured: Metrics,
    examined: Examination,
) -> None:
    groups = Counter(purchase.group or "none" for purchase in shopping)
    shares = [(name, count, f"{count / len(shopping):.1%}") for name, count in groups.items()]
    paper.print_table("Faults that the payments met", ("group", "payments", "share"), shares)
    rows = [
        (name, *(states.get(state, 0) for state in ENDS))
        for name, states in outcomes(contents).items()
    ]
    paper.print_table("What became of it", ("", *ENDS), rows)
    print_metrics(window, measured)
    print_examination(examined)
