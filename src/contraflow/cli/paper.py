"""Two ways to print the same: JSON for programs, tables for people."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from contraflow.engine.views import AMOUNTS, CaseView, InstructionView, MoneyView, PaymentView

Rows = Sequence[Sequence[object]]
TENTHS = 10
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


class Bar(Protocol):
    """What is told of long work while it goes on."""

    def update(self, *, advance: float = 0, description: str | None = None) -> None: ...


class DrawnBar:
    """For a person who watches."""

    def __init__(self, progress: Progress, what: str, total: float | None) -> None:
        self._progress, self._task = progress, progress.add_task(what, total=total)

    def update(self, *, advance: float = 0, description: str | None = None) -> None:
        self._progress.update(self._task, advance=advance, description=description)


class WrittenBar:
    """For a log: a line at every tenth of what is counted, and none of what is not."""

    def __init__(self, what: str, total: float | None) -> None:
        self._what, self._total = what, total if total is not None and total >= TENTHS else None
        self._done, self._told = 0.0, 0

    def update(self, *, advance: float = 0, description: str | None = None) -> None:
        self._what = description or self._what
        self._done += advance
        tenths = int(self._done * TENTHS // self._total) if self._total else 0
        if tenths > self._told:
            self._told = tenths
            sys.stderr.write(f"{self._what}: {self._done:.0f} of {self._total:.0f}\n")
            sys.stderr.flush()


class NoBar:
    """For a program, which reads what comes at the end."""

    def update(self, *, advance: float = 0, description: str | None = None) -> None: ...


@contextmanager
def progress(what: str, *, total: float | None, is_quiet: bool) -> Iterator[Bar]:
    """On the error stream."""
    console = Console(stderr=True, markup=False, emoji=False)
    if is_quiet:
        yield NoBar()
    elif not console.is_terminal:
        yield WrittenBar(what, total)
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as drawn:
            yield DrawnBar(drawn, what, total)
