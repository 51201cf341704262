"""Two ways to print the same: JSON for programs, tables for people."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from contraflow.engine.views import AMOUNTS, CaseView, InstructionView, MoneyView, PaymentView

Rows = Sequence[Sequence[object]]
WIDE = 240  # Columns of what no person watches, so that no id is broken in two.


def paper() -> Console:
    """What others have written is shown as it is: no markup, no emoji, no colours of its own."""
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    return console


def print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def flush() -> None:
    sys.stdout.flush()


def print_line(text: str) -> None:
    paper().print(text)


def print_table(title: str, heads: Sequence[str], rows: Rows) -> None:
    """Nothing at all where there are no rows; columns that say nothing are left out."""
    if not rows:
        return
    told = [[shown(cell) for cell in row] for row in rows]
    used = [column for column in range(len(heads)) if any(row[column] for row in told)]
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for column in used:
        table.add_column(heads[column], overflow="fold")
    for row in told:
        table.add_row(*(row[column] for column in used))
    paper().print(table)


def shown(cell: object) -> str:
    if isinstance(cell, MoneyView):
        return f"{cell.text} {cell.currency}"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return "" if cell is None else str(cell)


def print_instructions(instructions: Sequence[InstructionView]) -> None:
    heads = ("id", "payment", "kind", "amount", "status", "state", "why", "withdrawal", "requested")
    rows = [
        (
            *(i.id, i.payment, i.kind, i.amount, i.status, i.state),
            i.failure_reason or i.pending_reason,
            "" if i.withdrawal == "none" else i.withdrawal,
            i.requested_at,
        )
        for i in instructions
    ]
    print_table("instructions", heads, rows)


def print_payment(payment: PaymentView) -> None:
    rows: list[tuple[str, object]] = [("state", payment.state)]
    values: list[tuple[str, MoneyView]] = [(name, getattr(payment, name)) for name in AMOUNTS]
    rows += [(name.replace("_", " "), value) for name, value in values if value.minor]
    rows += [("channel", payment.channel), ("created", payment.created_at)]
    print_table(f"payment {payment.id}", ("", ""), rows)


def print_cases(cases: Sequence[CaseView]) -> None:
    heads = ("id", "kind", "about", "deadline", "detail")
    print_table(
        "attention", heads, [(c.id, c.kind, c.about, c.deadline_at, c.detail) for c in cases]
    )


@contextmanager
def progress(what: str, *, total: float | None, is_quiet: bool) -> Iterator[Progress]:
    """On the error stream, and only for a person who watches."""
    console = Console(stderr=True, markup=False, emoji=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    is_off = is_quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=is_off) as bar:
        bar.add_task(what, total=total)
        yield bar
