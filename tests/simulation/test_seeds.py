"""A seed is a history: the same one again, in every process."""

import json
import os
import subprocess
import sys

import pytest

from contraflow.simulation.faults import KINDS
from contraflow.simulation.many import MANY, Report, run_many, run_seeds
from contraflow.simulation.run import LIAR_EVERY, run

SEEDS = (0, LIAR_EVERY - 1)  # Of channels that keep their word, and of liars.
TRACE = """
import sys
from contraflow.simulation.run import run

for seed in map(int, sys.argv[1:]):
    history = run(seed)
    print(seed, history.commits, history.crashes, sorted(history.pairs), history.trace.hex())
"""


@pytest.mark.slow
def test_a_seed_comes_to_the_same_history_every_time() -> None:
    for seed in SEEDS:
        assert run(seed) == run(seed)


@pytest.mark.slow
def test_the_order_of_a_set_orders_nothing() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", TRACE, *map(str, SEEDS)],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]

    assert told[0] == told[1]
    assert len(told[0].splitlines()) == len(SEEDS)


@pytest.mark.slow
def test_many_seeds_in_several_processes_are_the_same_histories() -> None:
    alone, together = Report(), Report()
    for jobs, total in ((1, alone), (2, together)):
        for report in run_many(0, 12, jobs=jobs):
            total.add(report)

    assert alone.violations == together.violations == []
    assert (alone.histories, alone.traces) == (12, together.traces)
    assert (alone.faults, alone.pairs) == (together.faults, together.pairs)


def test_a_history_meets_much_and_is_told_in_figures() -> None:
    report = run_seeds(SEEDS)
    figures = json.loads(json.dumps(report.as_json(wall_s=1.0)))

    assert (figures["histories"], figures["violations"]) == (len(SEEDS), 0)
    assert figures["requests"] >= 20 * len(SEEDS)
    assert figures["commits"] >= 50 * len(SEEDS)
    assert figures["crashes"] >= 5 * len(SEEDS)
    assert set(figures["faults"]) <= set(KINDS)


def test_only_a_long_run_may_be_blamed_for_a_fault_that_never_happened() -> None:
    assert Report(histories=MANY - 1).missing() == []
    assert Report(histories=MANY).missing() == list(KINDS)
