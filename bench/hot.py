"""Where the engine's CPU time goes, function by function: own time, and time with what it calls.

    python bench/hot.py [LIFE_CYCLES]

Samples the stack by CPU time, so that nothing is slowed down as a tracing profiler would do. What
runs outside the package (SQLite, msgspec, a hash) counts as own time of the function that calls it.
"""

from __future__ import annotations

import gc
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from payments import copy_of, record_payments, remove
from stopwatch import Took, timed
from unit import unit_s
from workload import BATCH, live, policy

from contraflow.outside.virtual_time import result_of

TICK_S = 0.001  # The kernel may round it up.
ROUNDS_MAX = 8
SHOWN = 25
PACKAGE = f"{Path('src') / 'contraflow'}/"
ELSEWHERE = "(the benchmark itself: building commands, reading answers)"


@dataclass(slots=True)
class Samples:
    own: Counter[str] = field(default_factory=Counter)
    whole: Counter[str] = field(default_factory=Counter)

    def take(self, _: int, frame: FrameType | None) -> None:
        stack = names_in(frame)
        self.own[stack[0] if stack else ELSEWHERE] += 1
        self.whole.update(set(stack))


def names_in(frame: FrameType | None) -> list[str]:
    """Functions of the package, the innermost first."""
    names = []
    while frame is not None:
        code = frame.f_code
        _, found, module = code.co_filename.rpartition(PACKAGE)
        if found:
            names.append(f"{module}:{code.co_qualname}")
        frame = frame.f_back
    return names


def main() -> None:
    life_cycles = int(sys.argv[1]) if len(sys.argv) > 1 else 40 * BATCH
    samples = Samples()
    signal.signal(signal.SIGPROF, samples.take)
    with tempfile.TemporaryDirectory(prefix="contraflow-hot-") as name:
        took = [sampled(Path(name), life_cycles) for _ in range(ROUNDS_MAX)]
    report(samples, sum(one.cpu for one in took) / len(took), unit_s())


def sampled(folder: Path, life_cycles: int) -> Took:
    payments, path = folder / "payments.db", folder / "work.db"
    if not payments.exists():
        record_payments(payments, life_cycles)
    store, rules = copy_of(payments, path), policy()
    gc.collect()
    gc.freeze()
    signal.setitimer(signal.ITIMER_PROF, TICK_S, TICK_S)
    took = timed(lambda: live(store, rules, range(life_cycles)), life_cycles)
    signal.setitimer(signal.ITIMER_PROF, 0)
    result_of(store.close())
    remove(path)
    return took


def report(samples: Samples, cpu_s: float, unit: float) -> None:
    total = samples.own.total()
    print(f"{total} samples, {cpu_s * 1e6:.1f} us a life cycle, {unit * 1e6:.3f} us a unit")
    for title, counts in (("own time", samples.own), ("with what it calls", samples.whole)):
        print(f"\n{title}\n{'us':>8} {'units':>8}")
        for name, count in counts.most_common(SHOWN):
            each = cpu_s * count / total
            print(f"{each * 1e6:8.2f} {each / unit:8.2f}  {name}")


if __name__ == "__main__":
    main()
