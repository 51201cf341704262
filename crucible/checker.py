"""The judge: what the clients were told, what the bank has in its book, what the ledger says."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable

from crucible.check_books import check_books
from crucible.check_effects import check_effects
from crucible.check_promises import check_promises
from crucible.evidence import Evidence, Finding, by_sort

SORTS = ("lost", "double_effects", "over_refunds", "unbalanced", "replays_differing", "deadlocks")
SHOWN_MAX = 10  # Of each sort.


def judge(evidence: Evidence) -> list[Finding]:
    return [
        *check_promises(evidence),
        *check_effects(evidence),
        *check_books(evidence),
    ]


def figures_of(findings: Iterable[Finding], deadlocks: int = 0) -> dict[str, int]:
    counts = Counter(finding.sort for finding in findings)
    assert set(counts) <= set(SORTS)
    return {sort: counts[sort] for sort in SORTS} | {"deadlocks": deadlocks}


def show(findings: Iterable[Finding]) -> None:
    """The evidence of the first of each sort, for a person."""
    for sort, found in by_sort(findings):
        for finding in found[:SHOWN_MAX]:
            print(f"{sort}: {finding.what}", file=sys.stderr)
        if len(found) > SHOWN_MAX:
            print(f"{sort}: ... and {len(found) - SHOWN_MAX} more", file=sys.stderr)
