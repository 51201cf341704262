"""Many seeds, on several cores: what they found, and what they met."""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from contraflow.errors import InvariantBroken
from contraflow.simulation.faults import KINDS
from contraflow.simulation.pairs import Pair, impossible_seen, never_seen
from contraflow.simulation.run import run, run_canary
from contraflow.simulation.unit import unit_s

CHUNK = 40  # Seeds of one task.
MANY = 1_000  # From so many histories on, a fault that never happened fails the run.
UNIT_TURNS = 4_000


@dataclass(slots=True)
class Report:
    histories: int = 0
    requests: int = 0
    commands: int = 0
    commits: int = 0
    crashes: int = 0
    units: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    pairs: set[Pair] = field(default_factory=set)
    traces: list[bytes] = field(default_factory=list)
    violations: list[tuple[int, str]] = field(default_factory=list)  # Seed, and what broke.

    def add(self, other: Report) -> None:
        self.histories += other.histories
        self.requests += other.requests
        self.commands += other.commands
        self.commits += other.commits
        self.crashes += other.crashes
        self.units += other.units
        self.faults += other.faults
        self.pairs |= other.pairs
        self.traces += other.traces
        self.violations += other.violations

    def missing(self) -> list[str]:
        """Kinds of fault that never happened, where there was time for all of them."""
        if self.histories < MANY:
            return []
        return [kind for kind in KINDS if not self.faults[kind]]

    def as_json(self, wall_s: float) -> dict[str, object]:
        return {
            "histories": self.histories,
            "violations": len(self.violations),
            "histories_per_s": round(self.histories / wall_s, 1),
            "requests": self.requests,
            "commands": self.commands,
            "commits": self.commits,
            "crashes": self.crashes,
            "cpu_units_per_command": round(self.units / max(self.commands, 1), 1),
            "faults": dict(sorted(self.faults.items())),
            "faults_never_seen": self.missing(),
            "pairs_never_seen": never_seen(self.pairs),
            "impossible_pairs_seen": impossible_seen(self.pairs),
            "trace_sha256": hashlib.sha256(b"".join(self.traces)).hexdigest(),
        }


def run_seeds(seeds: Sequence[int]) -> Report:
    """One task, in one process; a violation ends its history, not the run."""
    report = Report()
    unit = unit_s(UNIT_TURNS)
    begun = time.process_time()
    for seed in seeds:
        report.histories += 1
        try:
            history = run(seed)
        except InvariantBroken as broken:
            report.violations.append((seed, str(broken)))
            continue
        except Exception as error:  # noqa: BLE001 a history that ends otherwise is one, too
            report.violations.append((seed, f"{type(error).__name__}: {error}"))
            continue
        report.requests += history.requests
        report.commands += history.commands
        report.commits += history.commits
        report.crashes += history.crashes
        report.faults += history.faults
        report.pairs |= history.pairs
        report.traces.append(history.trace)
    report.units = (time.process_time() - begun) / unit
    return report


def run_many(first: int, end: int, *, jobs: int) -> Iterator[Report]:
    """The reports of its chunks, in the order of their seeds. Raises if the canary lives."""
    run_canary(first)
    chunks = [range(at, min(at + CHUNK, end)) for at in range(first, end, CHUNK)]
    if jobs == 1:
        yield from map(run_seeds, chunks)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(run_seeds, chunks)
