"""What one refund costs on the embedded database, against the floor, the usual way and a crowd.

    python bench/run.py [--quick]

One JSON object a line on stdout, kept in bench/results/ as well; progress and verdicts on stderr.
The arms take turns, because a machine that others use is slow in phases, and the best of an arm's
rounds counts. All files lie in a temporary folder: where that is memory, wall time says little.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clients import run_clients
from floor import Writes, assert_the_floor_is_even, run_floor, spied
from growth import run_among
from payments import copy_of, insert_payments, record_payments, remove
from plain import assert_plain_is_even, run_plain
from report import Figure, missed, publish, say
from stopwatch import Took, best, timed
from unit import unit_s
from workload import BATCH, live, policy

from contraflow.outside.virtual_time import result_of

CLIENTS = 256
FEW, MANY = 10_000, 1_000_000  # Payments that are present.
FSYNCS = 60
# What must hold, where the figure is judged.
AT_MOST = {
    "sqlite_units_per_lifecycle": 60.0,
    "sqlite_commits_per_lifecycle": 0.05,
    "sqlite_growth_units": 12.0,
}
AT_LEAST = {
    "sqlite_cpu_ratio_to_floor": 0.20,
    "sqlite_cpu_ratio_to_plain": 15.0,
    "sqlite_wall_ratio_to_one_at_a_time": 3.0,
}


@dataclass(frozen=True, slots=True)
class Size:
    """How many rounds, and life cycles of a turn: one by one there are fewer, for they take long.

    What grows is a small difference, so its two arms have several turns in each round, in databases
    that `before` as many life cycles have filled: in an empty one the first turn would be the best.
    """

    rounds: int
    side_by_side: int
    one_by_one: int
    before: int
    among: int


FULL = Size(rounds=3, side_by_side=40 * BATCH, one_by_one=400, before=40 * BATCH, among=10 * BATCH)
QUICK = Size(rounds=1, side_by_side=10 * BATCH, one_by_one=100, before=10 * BATCH, among=5 * BATCH)
AMONG_TURNS = 6  # In a round: the growth is a small difference, and the best counts.


@dataclass(frozen=True, slots=True)
class Arm:
    name: str
    run: Callable[[int], Took]  # Told how many turns it has had.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--quick", action="store_true", help="one short round, and so rougher figures"
    )
    size = QUICK if parser.parse_args().quick else FULL
    with tempfile.TemporaryDirectory(prefix="contraflow-bench-") as name:
        figures = measure(Path(name), size)
    publish(figures, "")
    missed(figures, AT_MOST, AT_LEAST)  # Words only: the machine may be busy with something else.


def measure(folder: Path, size: Size) -> list[Figure]:
    fsync_s = measure_fsync(folder / "fsync")
    arms = prepare(folder, size)
    gc.collect()
    gc.freeze()  # What was made so far is nobody's garbage.
    units = [unit_s()]
    took: defaultdict[str, list[Took]] = defaultdict(list)
    for number in range(size.rounds):
        for arm in arms:
            turns = took[arm.name]
            turns.append(arm.run(len(turns)))
            units.append(unit_s())
            say(f"round {number + 1} of {size.rounds}: {arm.name}: {shown(turns[-1])}")
    return figures_of({name: best(each) for name, each in took.items()}, min(units), fsync_s)


def prepare(folder: Path, size: Size) -> list[Arm]:
    """The databases, and the proof that the arms to be compared do equal work."""
    numbers, few_numbers = range(size.side_by_side), range(size.one_by_one)
    payments, work = folder / "payments.db", folder / "work.db"
    say(f"record {size.side_by_side} payments")
    record_payments(payments, size.side_by_side)
    say("note what the engine writes, and see that floor and plain leave the same rows")
    writes = note_writes(payments, folder, numbers)
    run_plain(payments, folder / "plain.db", few_numbers)
    assert_plain_is_even(payments, folder / "plain.db", work, few_numbers)
    remove(folder / "plain.db")
    remove(work)
    crowds = {count: folder / f"{count}.db" for count in (FEW, MANY)}
    for count, path in crowds.items():
        say(f"insert {count} payments")
        insert_payments(path, count)
        run_among(path, count, range(size.before))

    def among(count: int) -> Callable[[int], Took]:
        def run(turn: int) -> Took:
            first = size.before + turn * size.among
            return run_among(crowds[count], count, range(first, first + size.among))

        return run

    def on_a_copy(run: Callable[[Path], Took]) -> Callable[[int], Took]:
        return lambda _: removing(work, run)

    many, one = size.side_by_side, size.one_by_one
    return [
        Arm("engine", on_a_copy(lambda path: run_engine(payments, path, numbers))),
        Arm("floor", on_a_copy(lambda path: run_floor(payments, path, writes, many))),
        Arm("plain", on_a_copy(lambda path: run_plain(payments, path, few_numbers))),
        Arm("clients", on_a_copy(lambda path: crowd_of(CLIENTS, payments, path, many))),
        Arm("one_at_a_time", on_a_copy(lambda path: crowd_of(1, payments, path, one))),
        *[Arm("among_few", among(FEW)), Arm("among_many", among(MANY))] * AMONG_TURNS,
    ]


def note_writes(payments: Path, folder: Path, numbers: Sequence[int]) -> Writes:
    by_engine, by_floor = folder / "spied.db", folder / "floor.db"
    writes = spied(payments, by_engine, numbers)
    assert_the_floor_is_even(payments, by_engine, by_floor, writes)
    remove(by_engine)
    remove(by_floor)
    return writes


def run_engine(payments: Path, path: Path, numbers: Sequence[int]) -> Took:
    store, rules = copy_of(payments, path), policy()
    took = timed(lambda: live(store, rules, numbers), len(numbers))
    result_of(store.close())
    return took


def crowd_of(clients: int, payments: Path, path: Path, life_cycles: int) -> Took:
    return run_clients(payments, path, clients=clients, life_cycles=life_cycles)


def removing(path: Path, run: Callable[[Path], Took]) -> Took:
    try:
        return run(path)
    finally:
        remove(path)


def measure_fsync(path: Path) -> float:
    """The median of appending one page and making it durable, in seconds."""
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            begun = time.perf_counter()
            file.write(bytes(4_096))
            os.fsync(file.fileno())
            took.append(time.perf_counter() - begun)
    path.unlink()
    return statistics.median(took)


def figures_of(took: dict[str, Took], unit: float, fsync_s: float) -> list[Figure]:
    engine, crowd, alone = took["engine"], took["clients"], took["one_at_a_time"]
    growth = took["among_many"].cpu - took["among_few"].cpu
    judged = [
        Figure("sqlite_units_per_lifecycle", round(engine.cpu / unit, 1), "units"),
        Figure("sqlite_cpu_ratio_to_floor", round(took["floor"].cpu / engine.cpu, 3), "ratio"),
        Figure("sqlite_cpu_ratio_to_plain", round(took["plain"].cpu / engine.cpu, 1), "ratio"),
        Figure("sqlite_commits_per_lifecycle", round(crowd.commits, 4), "commits"),
        Figure("sqlite_wall_ratio_to_one_at_a_time", round(alone.wall / crowd.wall, 1), "ratio"),
        Figure("sqlite_growth_units", round(growth / unit, 1), "units"),
    ]
    absolute = [
        Figure("unit_us", round(unit * 1e6, 3), "us"),
        Figure("fsync_us", round(fsync_s * 1e6), "us"),
        Figure("one_at_a_time_commits_per_lifecycle", round(alone.commits, 2), "commits"),
    ]
    for name, one in took.items():
        absolute.append(Figure(f"{name}_cpu_us", round(one.cpu * 1e6, 1), "us"))
        absolute.append(Figure(f"{name}_wall_us", round(one.wall * 1e6, 1), "us"))
        absolute.append(Figure(f"{name}_lifecycles_per_s", round(1 / one.wall), "1/s"))
    return judged + absolute


def shown(took: Took) -> str:
    return f"{took.cpu * 1e6:.0f} us of CPU, {took.wall * 1e6:.0f} us"


if __name__ == "__main__":
    main()
