"""The same life cycles in a database with many more payments, drawn from all of them by chance."""

from __future__ import annotations

import random
from pathlib import Path

from stopwatch import Took, timed
from workload import frozen_clock, live, neighbour_of, payment_name, policy

from contraflow.outside.virtual_time import result_of
from contraflow.store.sqlite import open_store


def run_among(path: Path, payments: int, numbers: range) -> Took:
    """`numbers` must be new to this database."""
    draw = random.Random(numbers.start)
    drawn = {number: payment_name(draw.randrange(payments)) for number in numbers}
    store, rules = open_store(path, frozen_clock), policy()
    took = timed(
        lambda: live(store, rules, numbers, lambda number: drawn[neighbour_of(number)]),
        len(numbers),
    )
    result_of(store.close())
    return took
