"""Is the campaign itself any good? Plant each bug in a copy of the engine; it must be found.

A planted bug is a textual patch: the text that is replaced stands in its file exactly once. Choose
it short, and with the mistake in it: a patch that no longer fits stops the hunt.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crucible.campaign import Keep, run_campaign
from crucible.fleet import ROOT, Plan

TRIES_MAX = 3  # Chance has a part in it.
SLOW_COMMITS = "commit_delay = 100000\ncommit_siblings = 0"


@dataclass(frozen=True, slots=True)
class Patch:
    path: str  # Below src/contraflow.
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Bug:
    name: str
    sort: str  # By which figure it must be found.
    plan: Plan
    patches: tuple[Patch, ...]


@dataclass(frozen=True, slots=True)
class Hunt:
    bug: Bug
    tries: int
    is_found: bool
    evidence: str


BUGS = (
    Bug(
        "a blind look after a lost commit",
        "double_effects",
        # Some COMMITs reach the server after their answer was given up.
        Plan(seconds=20, serves=2, works=1, workers=8, cut_commit=0.08, cut_commit_late=1.0),
        (
            Patch(
                "store/postgres.py",
                "                    await connection.execute(sql.KILL, batch_id)\n",
                "",
            ),
            Patch(
                "store/postgres.py", "assert is_dead is not None", "is_dead = is_dead is not False"
            ),
            Patch(
                "store/postgres.py",
                "elif asyncio.get_running_loop().time() > until:",
                "elif batch.commit is not None:",
            ),
        ),
    ),
    Bug(
        "locks in no order",
        "deadlocks",
        Plan(seconds=20, serves=4, works=2, clients=4, workers=16),
        (
            Patch(
                "store/postgres_statements.py",
                "WHERE payment_id = ANY($1) ORDER BY payment_id FOR NO KEY UPDATE",
                "WHERE payment_id = ANY($1) ORDER BY random() FOR NO KEY UPDATE",
            ),
        ),
    ),
    Bug(
        "a feed by id",
        "lost",
        # Transactions take long, so that a later one is often committed first.
        Plan(seconds=20, serves=3, works=2, workers=8, database_settings=SLOW_COMMITS),
        (
            Patch(
                "store/postgres_statements.py",
                "SELECT feed.position, event_id, object_id, sequence, body\n"
                "FROM feed JOIN event USING (event_id)\n"
                "WHERE feed.position > $1 ORDER BY feed.position LIMIT $2",
                "SELECT event_id, event_id, object_id, sequence, body\n"
                "FROM event WHERE event_id > $1 ORDER BY event_id LIMIT $2",
            ),
        ),
    ),
    Bug(
        "sent after the lease",
        "double_effects",
        # A worker that is stopped while its mark is being committed sends when it goes on; another
        # one has asked in the meantime, and has sent again.
        Plan(
            pauses=6,
            pauses_at_once=2,
            pause_s=(16.5, 18.5),
            spares_serves=True,
            serves=2,
            works=3,
            workers=8,
            rail_factor=4.0,
            answer_late_s=0.3,
        ),
        (
            Patch(
                "outside/http_transport.py",
                "limit = asyncio.timeout(max(1, leave_by - self.store_now()) / 1_000)",
                "limit = asyncio.timeout(60)",
            ),
            Patch(
                "outside/http_transport.py",
                "        if self.store_now() > leave_by or limit.expired():\n"
                "            raise LeaveByMissed\n"
                "        limit.reschedule",
                "        limit.reschedule",
            ),
        ),
    ),
)


# Nothing is planted, and all of it happens at once: nothing may be found.
NOTHING = Plan(
    pauses=4,
    pauses_at_once=2,
    works=3,
    workers=8,
    rail_factor=2.0,
    cut_commit=0.05,
    cut_commit_late=1.0,
    database_settings=SLOW_COMMITS,
)


def find_nothing(seed: int) -> bool:
    verdict = run_campaign(replace(NOTHING, seed=seed))
    say(f"nothing at all: {len(verdict.findings)} findings")
    return verdict.is_good


def hunt_all(seed: int, only: str = "") -> list[Hunt]:
    return [hunt(bug, seed) for bug in BUGS if only in bug.name]


def hunt(bug: Bug, seed: int) -> Hunt:
    """Campaign after campaign on a copy with the bug in it, until it is found."""
    folder = Path(tempfile.mkdtemp(prefix="crucible-planted-"))
    folder.chmod(0o711)
    try:
        source = folder / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        plant(bug.patches, source / "contraflow")
        for number in range(1, TRIES_MAX + 1):
            plan = replace(bug.plan, seed=seed + number - 1, source=source, rest_within_s=40.0)
            verdict = run_campaign(plan, Keep.NEVER)
            figure = verdict.figures[bug.sort]
            say(f"{bug.name}: {bug.sort} {figure}")
            if figure:
                found = [each.what for each in verdict.findings if each.sort == bug.sort]
                return Hunt(bug, number, is_found=True, evidence=(found or [""])[0][:300])
        return Hunt(bug, TRIES_MAX, is_found=False, evidence="")
    finally:
        shutil.rmtree(folder)


def plant(patches: Sequence[Patch], source: Path) -> None:
    for patch in patches:
        path = source / patch.path
        text = path.read_text(encoding="utf-8")
        assert text.count(patch.old) == 1, f"a patch no longer fits: {patch}"
        path.write_text(text.replace(patch.old, patch.new), encoding="utf-8")


def say(text: str) -> None:
    print(text, file=sys.stderr)
