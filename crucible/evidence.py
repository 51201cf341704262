"""What a campaign leaves behind for its judge: the clients' logs, the bank's book, an export."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crucible.book import State, lines_of
from crucible.letters import canonical

Row = dict[str, Any]

TENANT = "main"
FINAL = frozenset({"succeeded", "failed", "withdrawn", "bounced"})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be."""

    sort: str  # One of the figures of the verdict.
    what: str  # With the evidence.


@dataclass(slots=True)
class Told:
    """What the clients were told, by key."""

    receipts: defaultdict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    refusals: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    left: set[str] = field(default_factory=set)  # It was said that nothing is stored of these.
    answered: list[tuple[float, float]] = field(default_factory=list)  # Sent, got.
    nothing: int = 0  # How often it was said that nothing is stored.
    silence: int = 0
    odd: list[Row] = field(default_factory=list)
    uncertain: int = 0  # Wishes whose end no client knows.


@dataclass(slots=True)
class Export:
    payments: dict[str, Row] = field(default_factory=dict)
    instructions: dict[str, Row] = field(default_factory=dict)
    receipts: dict[str, bytes] = field(default_factory=dict)  # By key, without the tenant.
    facts: dict[str, Row] = field(default_factory=dict)
    cases: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    entries: list[Row] = field(default_factory=list)
    balances: list[Row] = field(default_factory=list)

    def of_payments(self) -> dict[str, list[Row]]:
        own: defaultdict[str, list[Row]] = defaultdict(list)
        for instruction in self.instructions.values():
            own[instruction["payment_id"]].append(instruction)
        return own


@dataclass(frozen=True, slots=True)
class Evidence:
    told: Told
    book: State
    export: Export
    feed: list[Row] | None = None  # What the file sink was given; None if there was none.


def read_logs(paths: Iterable[Path]) -> Told:
    told = Told()
    for path in paths:
        for line in lines_of(path):
            _hear(told, line)
    return told


def _hear(told: Told, line: Row) -> None:
    match line["what"]:
        case "ack":
            told.receipts[line["key"]].append(canonical(line["receipt"] or {}))
            told.answered.append((line["sent"], line["got"]))
        case "refused":
            told.refusals[line["key"]].add(str(line["code"]))
            told.answered.append((line["sent"], line["got"]))
        case "left":
            told.left.add(line["key"])
        case "nothing":
            told.nothing += 1
        case "silence":
            told.silence += 1
        case "odd":
            told.odd.append(line)
        case "end":
            told.uncertain += line["uncertain"]
        case other:
            raise ValueError(f"a line of a client that means nothing: {other}")


def read_export(lines: Iterable[str]) -> Export:
    export = Export()
    for line in lines:
        if line.strip():
            _take(export, json.loads(line))
    return export


def _take(export: Export, row: Row) -> None:
    match row["table"]:
        case "payments":
            export.payments[row["payment_id"]] = row
        case "instructions":
            export.instructions[row["instruction_id"]] = row
        case "receipts":
            export.receipts[unqualified(row["key"])] = canonical(content(row["body"]))
        case "facts":
            export.facts[row["fact_id"]] = row
        case "cases":
            export.cases.append(row)
        case "events":
            export.events.append({**row, "body": content(row["body"])})
        case "entries":
            export.entries.append(row)
        case "balances":
            export.balances.append(row)
        case other:
            raise ValueError(f"a table that nobody has told us about: {other}")


def content(body: str | Row) -> Row:
    """A body as it was stored: as JSON in a text, or as it is."""
    found: Row = json.loads(body) if isinstance(body, str) else body
    return found


def unqualified(name: str) -> str:
    return name.removeprefix(f"{TENANT}/")


def read_feed(path: Path) -> list[Row]:
    """Without the lines that were torn by a kill: their event comes again."""
    found = []
    for text in path.read_bytes().splitlines() if path.exists() else ():
        with suppress(ValueError):
            line = json.loads(text)
            found.append({**line, "event": content(line["event"])})
    return found


def by_sort(findings: Iterable[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    sorts: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        sorts[finding.sort].append(finding)
    yield from sorts.items()
