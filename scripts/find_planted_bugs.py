"""Is the simulation itself any good? Plant each bug in a copy, and count the histories it lives.

A planted bug is a textual patch on a temporary copy; no switch for it exists in the source. It must
be found by a numbered invariant: a bug that ends a history in any other way counts as living, for
we would not know what it has broken. Progress goes to stderr, the findings to stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from planted_bugs import BUGS, NOTHING, Bug

SOURCE = Path(__file__).parent.parent / "src" / "contraflow"
HISTORIES_MAX = 20_000
HISTORIES_OF_NOTHING = 200
FOUND = 42  # The exit code of a hunt that ended by an invariant.
HUNT = """
import sys
from contraflow.errors import InvariantBroken
import contraflow
from contraflow.simulation.run import run

assert contraflow.__file__.startswith(sys.argv[3])

for seed in range(int(sys.argv[1])):
    try:
        run(seed)
    except InvariantBroken as broken:
        print(broken.invariant, seed + 1, str(broken)[:300])
        sys.exit(int(sys.argv[2]))
    except Exception as error:
        print(type(error).__name__, seed + 1, str(error)[:300])
        sys.exit(1)
"""


@dataclass(frozen=True, slots=True)
class Hunt:
    """By what a bug was found, if at all, and after how many histories."""

    bug: Bug
    invariant: str  # Empty if it lives.
    histories: int
    said: str


def main() -> int:
    asked = parse(sys.argv[1:])
    chosen = spread(asked.count)
    if asked.only:
        chosen = [bug for bug in BUGS if asked.only in bug.name]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.jobs) as pool:
        copies = plant_all((NOTHING, *chosen), Path(folder))
        nothing = pool.submit(hunt, NOTHING, copies[0], min(HISTORIES_OF_NOTHING, asked.histories))
        hunts = list(pool.map(hunt, chosen, copies[1:], repeat(asked.histories)))
    for one in hunts:
        print(f"{one.bug.name:64} {one.invariant or 'LIVES':6} {one.histories:6}")
    found = [one for one in hunts if one.invariant]
    worst = max((one.histories for one in found), default=0)
    print(json.dumps({"planted": len(hunts), "found": len(found), "worst": worst}))
    is_innocent = nothing.result().said == ""
    if not is_innocent:
        print(f"nothing at all was planted, and found: {nothing.result().said}", file=sys.stderr)
    return 0 if is_innocent and len(found) == len(hunts) else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, help="so many quick ones, spread over the list")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--histories", type=int, default=HISTORIES_MAX, help="each may live")
    parser.add_argument("--only", default="", help="those with this in their names")
    return parser.parse_args(arguments)


def spread(count: int | None) -> list[Bug]:
    """All of them, or so many of the quick ones, evenly over the list."""
    if count is None:
        return list(BUGS)
    quick = [bug for bug in BUGS if bug.is_quick]
    count = min(count, len(quick))
    return [quick[at * len(quick) // count] for at in range(count)]


def plant_all(bugs: Sequence[Bug], folder: Path) -> list[Path]:
    """A copy for each, all made before the first hunt: the source may be worked on meanwhile."""
    copies = []
    for at, bug in enumerate(bugs):
        copy = folder / str(at)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(SOURCE, copy / SOURCE.name, ignore=ignored)
        plant(bug, copy / SOURCE.name)
        copies.append(copy)
    return copies


def plant(bug: Bug, source: Path) -> None:
    for patch in bug.patches:
        path = source / patch.path
        text = path.read_text(encoding="utf-8")
        assert text.count(patch.old) == 1, f"a patch of '{bug.name}' no longer fits: {patch}"
        path.write_text(text.replace(patch.old, patch.new), encoding="utf-8")


def hunt(bug: Bug, copy: Path, histories_max: int) -> Hunt:
    """History after history on a copy with the bug in it, until an invariant is broken."""
    hunted = subprocess.run(
        [sys.executable, "-c", HUNT, str(histories_max), str(FOUND), str(copy)],
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = hunted.stdout.strip() or hunted.stderr.strip()
    invariant, histories = "", histories_max
    if hunted.stdout:
        name, seen, _ = hunted.stdout.split(" ", 2)
        histories = int(seen)
        invariant = name if hunted.returncode == FOUND else ""
    print(f"{bug.name}: {said[:160] or f'{histories} histories, and it lives'}", file=sys.stderr)
    return Hunt(bug, invariant, histories, said)


if __name__ == "__main__":
    sys.exit(main())
