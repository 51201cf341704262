"""Run the sandbox's bank as a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contraflow import banking
from contraflow.cli import paper
from contraflow.cli import parameters as p
from contraflow.cli.stopping import stop_event
from contraflow.requests import fields

Book = Annotated[Path, typer.Option(metavar="FILE", help="What it remembers; made if need be.")]
Port = Annotated[
    int, typer.Option(min=0, max=65_535, help="Where it listens on 127.0.0.1; 0: anywhere free.")
]
Notify = Annotated[
    list[str] | None,
    typer.Option(metavar="URL", help="Where it tells its notices; several are tried in turn."),
]
PrintKey = Annotated[
    bool, typer.Option("--print-key", help="Print the key of its lines, for the settings.")
]


def bank(
    *,
    book: Book,
    port: Port = 9090,
    notify: Notify = None,
    print_key: PrintKey = False,
    as_json: p.AsJson = False,
) -> None:
    """Run the sandbox's bank as a process of its own, until SIGTERM or Ctrl-C.

    With --json the first line has its address.
    """
    addresses = [fields.address("notify", each) for each in notify or ()]

    async def until_stopped(listening: banking.Listening) -> None:
        stopped = stop_event()
        if as_json:
            key = {"key": listening.key} if print_key else {}
            paper.print_json({"listening": listening.address, "book": str(book), **key})
        else:
            paper.print_line(f"bank on {listening.address}; its key is in {book}; Ctrl-C ends it")
            if print_key:
                paper.print_line(f"key {listening.key}")
        paper.flush()
        await stopped.wait()

    banking.run_bank(book, port, addresses, until_stopped)
    if as_json:
        paper.print_json({"stopped": True})
    else:
        paper.print_line("stopped")
