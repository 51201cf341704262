"""One campaign from its first process to the verdict."""

from __future__ import annotations

import asyncio
import enum
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg

from crucible.book import read_book
from crucible.checker import figures_of, judge, show
from crucible.evidence import Evidence, Finding, read_export, read_feed, read_logs
from crucible.fleet import Fleet, Plan
from crucible.killer import Kill, Killer

CLIENTS_END_WITHIN_S = 70.0
ENGINE_ENDS_WITHIN_S = 10.0
EXPORT_WITHIN_S = 300.0
READY_WITHIN_S = 60.0
AFTER_KILL_P99_S = 2.0
AFTER_KILL_S = 4.0  # The load goes on after the last kill, so that it can be measured.
NEVER_S = 9_999.0
AFTER_DATABASE_MAX_S = 15.0
OPEN = "SELECT count(*) FROM contraflow.instruction WHERE final_at IS NULL AND state <> 'attention'"
DEADLOCKS = "SELECT sum(deadlocks)::bigint FROM pg_stat_database"
UNTOLD = """
SELECT (SELECT count(*) FROM contraflow.event) - coalesce(min(position), 0)
FROM contraflow.cursor WHERE sink = 'file'
"""


@dataclass(slots=True)
class Verdict:
    figures: dict[str, object]
    findings: list[Finding] = field(default_factory=list)
    is_good: bool = False


class Keep(enum.Enum):
    """What becomes of the folder with all that happened."""

    ON_FAILURE = enum.auto()
    ALWAYS = enum.auto()
    NEVER = enum.auto()


def run_campaign(plan: Plan, keep: Keep = Keep.ON_FAILURE) -> Verdict:
    """Raises whatever goes wrong with the campaign itself; no process is left behind."""
    folder = Path(tempfile.mkdtemp(prefix="crucible-"))
    folder.chmod(0o711)  # The database runs as somebody else.
    fleet = Fleet(folder, plan)
    is_over = False
    try:
        verdict = asyncio.run(_run(fleet))
        is_over = verdict.is_good
    finally:
        fleet.end()
        if keep is Keep.NEVER or (is_over and keep is Keep.ON_FAILURE):
            shutil.rmtree(folder)
        else:
            print(f"what happened is kept in {folder}", file=sys.stderr)
    return verdict


async def _run(fleet: Fleet) -> Verdict:
    fleet.start()
    await ready(fleet)
    begun = time.monotonic()
    for client in fleet.clients:
        client.start()
    killer = Killer(fleet, random.Random(f"{fleet.plan.seed}/killer"))
    await load(fleet, killer)
    loaded_s = time.monotonic() - begun
    say(f"{loaded_s:.0f} s of load; now it comes to rest")
    rest_s = await come_to_rest(fleet, killer)
    counted = await ask_database(fleet, DEADLOCKS)
    slow = [proc.name for proc in fleet.engine if proc.end(ENGINE_ENDS_WITHIN_S) is None]
    exported = fleet.ask("export", within_s=EXPORT_WITHIN_S)
    (fleet.folder / "export.ndjson").write_text(exported)
    evidence = Evidence(
        told=read_logs(fleet.logs),
        book=read_book(fleet.book),
        export=read_export(exported.splitlines()),
        feed=read_feed(fleet.feed),
    )
    findings = judge(evidence)
    show(findings)
    figures = figures_of(findings, max(counted, fleet.database.deadlocks()))
    times = times_of(evidence, killer)
    is_good = (
        not any(figures.values())
        and (rest_s is not None and not slow and not killer.deaths and not evidence.told.odd)
        and times["first_success_p99_s"] <= AFTER_KILL_P99_S
        and times["first_success_after_db_max_s"] <= AFTER_DATABASE_MAX_S
    )
    said: dict[str, object] = {
        "seed": fleet.plan.seed,
        "kills": len(killer.kills) + len(killer.database_kills),
        "database_kills": len(killer.database_kills),
        "pauses": killer.pauses,
        "ops": len(evidence.told.answered),
        "acknowledged": len(evidence.told.receipts),
        **figures,
        **times,
        "seconds": round(loaded_s, 1),
        "ops_per_s": round(len(evidence.told.answered) / loaded_s, 1),
        "rest_s": rest_s,
        "slow_to_end": slow,
        "ended_by_themselves": len(killer.deaths),
        **counts_of(evidence),
    }
    return Verdict(said, findings, is_good)


async def ready(fleet: Fleet) -> None:
    """Every door is open."""
    deadline = time.monotonic() + READY_WITHIN_S
    for port in [*fleet.doors, fleet.bank_port]:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                writer.close()
                break


async def load(fleet: Fleet, killer: Killer) -> None:
    plan = fleet.plan
    if plan.kills or plan.pauses:
        await killer.run()
        last = killer.database_kills[-1].at if killer.database_kills else 0.0
        await asyncio.sleep(max(AFTER_KILL_S, last + AFTER_DATABASE_MAX_S - time.monotonic()))
    elif plan.seconds:
        await asyncio.sleep(plan.seconds)
    while plan.ops and any(client.is_alive for client in fleet.clients):
        await asyncio.sleep(0.2)


async def come_to_rest(fleet: Fleet, killer: Killer) -> float | None:
    """How long it took; None if it has not."""
    begun = time.monotonic()
    tending = asyncio.create_task(killer.tend())
    for client in fleet.clients:
        if client.is_alive:
            client.send(signal.SIGTERM)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{fleet.bank_port}") as bank:
        async with bank.post("/behave"):
            pass
        while time.monotonic() < begun + CLIENTS_END_WITHIN_S:
            if not any(client.is_alive for client in fleet.clients):
                break
            await asyncio.sleep(0.1)
        begun = time.monotonic()
        is_at_rest = False
        while not is_at_rest and time.monotonic() < begun + fleet.plan.rest_within_s:
            await asyncio.sleep(0.5)
            async with bank.get("/rest") as reply:
                is_quiet = (await reply.json())["is_quiet"]
            is_at_rest = is_quiet and await is_everything_done(fleet)
    tending.cancel()
    return round(time.monotonic() - begun, 1) if is_at_rest else None


async def is_everything_done(fleet: Fleet) -> bool:
    """Only to know when to stop waiting: the judge does not look into the database."""
    return await ask_database(fleet, OPEN) == 0 and await ask_database(fleet, UNTOLD) <= 0


async def ask_database(fleet: Fleet, question: str) -> int:
    connection = await asyncpg.connect(fleet.database.address())
    try:
        return int(await connection.fetchval(question))
    finally:
        await connection.close()


def times_of(evidence: Evidence, killer: Killer) -> dict[str, float]:
    after_kills = sorted(first_successes(evidence.told.answered, killer.kills))
    after_database = first_successes(evidence.told.answered, killer.database_kills)
    rank = max(0, -(-99 * len(after_kills) // 100) - 1)
    return {
        "first_success_p99_s": round(after_kills[rank], 3) if after_kills else 0.0,
        "first_success_max_s": round(max(after_kills, default=0.0), 3),
        "first_success_after_db_max_s": round(max(after_database, default=0.0), 3),
    }


def first_successes(answered: Sequence[tuple[float, float]], kills: Sequence[Kill]) -> list[float]:
    """For each kill: until the first answer to a request that was sent after it."""
    latest, firsts = sorted(answered, reverse=True), []
    got, at = float("inf"), 0
    for kill in sorted(kills, key=lambda kill: -kill.at):
        while at < len(latest) and latest[at][0] > kill.at:
            got = min(got, latest[at][1])
            at += 1
        firsts.append(min(got - kill.at, NEVER_S))
    return firsts


def counts_of(evidence: Evidence) -> dict[str, object]:
    book, told = evidence.book, evidence.told
    return {
        "events": len(evidence.export.events),
        "effects": sum(order.times for order in book.orders.values()),
        "notices": len(book.tellings),
        "forged": len(book.forged),
        "nothing_stored": told.nothing,
        "left": len(told.left),
        "silences": told.silence,
        "odd_answers": len(told.odd),
        "uncertain": told.uncertain,
    }


def say(text: str) -> None:
    print(text, file=sys.stderr)
