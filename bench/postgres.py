"""What one refund costs on PostgreSQL: the engine in 1 and 4 processes, the floor, the usual way.

    python bench/postgres.py [--quick | --even]

One JSON object a line on stdout, kept in bench/results/ as well; progress and verdicts on stderr;
it fails where a judged figure misses. The arms take turns, each in a fresh database of a private
server, and a ratio is of two turns of one round: its median counts. The data lie in a temporary
folder: where that is memory, little of this is of interest.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from pg_arms import SPREAD, TEMPLATES, WORKERS, Arm, Place, Turn, started_workers
from pg_even import note_writes
from pg_lives import BATCH
from pg_server import fdatasync_s, make_template, running_server, settings_of, slower_disk
from report import Figure, missed, publish, say

from contraflow.outside.postgres_found import find_servers
from contraflow.outside.postgres_server import PostgresServer

# What must hold. Alone, each commit of the engine waits for a sync of its own; side by side they
# may share it, but it is never left out.
AT_MOST = {
    "pg_hot_over_spread": 1.3,
    "pg_wal_syncs_per_commit": 1.2,
    "pg_wal_syncs_per_commit_of_4": 1.2,
}
AT_LEAST = {
    "pg_cpu_ratio_to_floor": 0.35,
    "pg_ratio_to_floor": 0.35,
    "pg_ratio_to_plain": 4.0,
    "pg_wal_syncs_per_commit": 0.8,
    "pg_wal_syncs_per_commit_of_4": 0.2,
}

ENGINE, ENGINE_4 = Arm("engine", "engine"), Arm("engine_4", "engine", processes=WORKERS)
SPREAD_1 = Arm("engine_spread", "engine", tenants=SPREAD)
SPREAD_4 = Arm("engine_4_spread", "engine", tenants=SPREAD, processes=WORKERS)
SLOTS_4 = Arm("engine_4_slots", "engine", processes=WORKERS, own_slots=1)
FLOOR = Arm("floor", "floor")
PLAIN, PLAIN_LAST = Arm("plain", "plain_first"), Arm("plain_account_last", "plain_last")
# Those that are compared are next to each other.
ARMS = (PLAIN_LAST, PLAIN, FLOOR, ENGINE, ENGINE_4, SPREAD_4, SPREAD_1, SLOTS_4)
SLOW_ARMS = (PLAIN_LAST, PLAIN, FLOOR, ENGINE, ENGINE_4, SPREAD_4)

Round = dict[Arm, Turn]


@dataclass(frozen=True, slots=True)
class Size:
    rounds: int
    slow_rounds: int  # With a slower disk.
    side_by_side: int  # Life cycles of a turn.
    one_by_one: int
    slowly_one_by_one: int


FULL = Size(
    rounds=5, slow_rounds=3, side_by_side=40 * BATCH, one_by_one=1_000, slowly_one_by_one=300
)
QUICK = Size(
    rounds=1, slow_rounds=1, side_by_side=12 * BATCH, one_by_one=300, slowly_one_by_one=100
)

FEW = Size(rounds=0, slow_rounds=0, side_by_side=BATCH, one_by_one=10, slowly_one_by_one=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--quick", action="store_true", help="one short round, and so rougher figures"
    )
    parser.add_argument(
        "--even", action="store_true", help="only see that all arms leave the same rows"
    )
    asked = parser.parse_args()
    if asked.even:
        asyncio.run(see_that_it_is_even())
        return
    figures = asyncio.run(measure(QUICK if asked.quick else FULL))
    publish(figures, "-postgres")
    sys.exit(1 if missed(figures, AT_MOST, AT_LEAST) else 0)


async def see_that_it_is_even() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="contraflow-bench-") as name,
        running_server(find_servers()[0], {}) as server,
    ):
        await prepare(server, Path(name), FEW)


async def measure(size: Size) -> list[Figure]:
    newest = find_servers()[0]
    with (
        tempfile.TemporaryDirectory(prefix="contraflow-bench-") as name,
        running_server(newest, {}) as server,
    ):
        say(await settings_of(server))
        sync_s = fdatasync_s(Path(name))
        writes = await prepare(server, Path(name), size)
        async with started_workers() as workers:
            place = Place(server, workers, writes, size.side_by_side, size.one_by_one)
            rounds = await take_turns(place, ARMS, size.rounds)
            slower = replace(place, one_by_one=size.slowly_one_by_one)
            slow = await take_slow_turns(slower, size.slow_rounds)
    return [
        *ratios(rounds, ""),
        *absolutes(rounds, ARMS, ""),
        Figure("pg_fdatasync_us", round(sync_s * 1e6), "us"),
        *(ratios(slow, "_2ms") if slow else ()),
        *(absolutes(slow, SLOW_ARMS, "_2ms") if slow else ()),
    ]


async def prepare(server: PostgresServer, folder: Path, size: Size) -> Path:
    """The databases that are copied for every turn; where the floor's writes are."""
    for tenants, template in TEMPLATES.items():
        payments = size.side_by_side + WORKERS * BATCH
        say(f"record {payments} payments of {tenants} merchants")
        await make_template(server, template, payments, tenants)
    say("note what the engine writes, and see that floor and plain leave the same rows")
    before_the_clock = range(size.side_by_side, size.side_by_side + BATCH)
    numbers = [*before_the_clock, *range(size.side_by_side)]
    transactions = await note_writes(server, numbers, size.one_by_one)
    path = folder / "writes"
    path.write_bytes(msgspec.msgpack.encode(transactions))
    return path


async def take_slow_turns(place: Place, count: int) -> list[Round]:
    """None where the disk cannot be made slower."""
    with slower_disk(place.server) as is_slower:
        if not is_slower:
            say("no C compiler, so no figures with 2 ms added to each fdatasync")
            return []
        say("the same with 2 ms added to each fdatasync of the server")
        return await take_turns(place, SLOW_ARMS, count)


async def take_turns(place: Place, arms: Sequence[Arm], count: int) -> list[Round]:
    """Every other round in the opposite order, so that no arm is always the one after a pause."""
    rounds: list[Round] = []
    for number in range(count):
        rounds.append({})
        for arm in arms if number % 2 == 0 else reversed(arms):
            rounds[-1][arm] = turn = await place.turn(arm)
            say(f"round {number + 1} of {count}: {arm.name}: {turn}")
    return rounds


def ratios(rounds: Sequence[Round], suffix: str) -> list[Figure]:
    def figure(name: str, of_round: Callable[[Round], float], unit: str = "ratio") -> Figure:
        return figure_of(f"pg_{name}{suffix}", [of_round(one) for one in rounds], unit, 3)

    return [
        figure("cpu_ratio_to_floor", lambda r: r[FLOOR].cpu / r[ENGINE].cpu),
        figure("ratio_to_floor", lambda r: r[FLOOR].wall / r[ENGINE].wall),
        figure("ratio_to_plain", lambda r: r[PLAIN].wall / r[ENGINE].wall),
        figure("ratio_to_plain_account_last", lambda r: r[PLAIN_LAST].wall / r[ENGINE].wall),
        figure("hot_over_spread", lambda r: r[ENGINE_4].wall / r[SPREAD_4].wall),
        figure("4_over_1", lambda r: r[ENGINE].wall / r[ENGINE_4].wall),
        figure("wal_syncs_per_commit", lambda r: r[ENGINE].syncs_per_commit, "syncs"),
        figure("wal_syncs_per_commit_of_4", lambda r: r[ENGINE_4].syncs_per_commit, "syncs"),
    ]


def absolutes(rounds: Sequence[Round], arms: Sequence[Arm], suffix: str) -> list[Figure]:
    def figure(arm: Arm, name: str, of_turn: Callable[[Turn], float], unit: str) -> Figure:
        values = [of_turn(one[arm]) for one in rounds]
        return figure_of(f"pg_{arm.name}_{name}{suffix}", values, unit, 0)

    figures = []
    for arm in arms:
        figures += [
            figure(arm, "lifecycles_per_s", lambda turn: 1 / turn.wall, "1/s"),
            figure(arm, "client_cpu_us", lambda turn: turn.client * 1e6, "us"),
            figure(arm, "server_cpu_us", lambda turn: turn.server * 1e6, "us"),
        ]
    return figures


def figure_of(name: str, values: Sequence[float], unit: str, digits: int) -> Figure:
    least, middle, most = min(values), statistics.median(values), max(values)
    return Figure(name, round(middle, digits), unit, round(least, digits), round(most, digits))


if __name__ == "__main__":
    main()
