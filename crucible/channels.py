"""`python -m crucible channels`: one of five channels is dead or slow, and four keep their pace.

Refunds are asked for at one pace over all five, whatever becomes of them, while phases with a fault
and phases without one take turns. `python -m crucible.channels` is the bank. It has one address for
all of them, so that it cannot refuse the connections of one; it knows them by their payments.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
from aiohttp import web

from crucible.bank import application, now_ms
from crucible.book import Book, read_book
from crucible.campaign import DEADLOCKS, Keep, Verdict, ask_database, ready, say
from crucible.checker import figures_of, judge, show
from crucible.counter import LOST, Counter, Reply
from crucible.dialect import Keys, letter_of
from crucible.door import Door, NoAnswer
from crucible.evidence import Evidence, Export, Told, read_export
from crucible.fleet import ROOT, Fleet
from crucible.fleet import Plan as FleetPlan
from crucible.letters import canonical, read_ask
from crucible.postman import Postman
from crucible.procs import Proc

NAMES = ("c1", "c2", "c3", "c4", "c5")
SICK, *WELL = NAMES
SHARE_MIN = 0.95  # Of what the four do without a fault.
SICK_SHARE_MAX = 0.1  # Of what the fifth is asked for: else there was no fault.
ENDS_WITHIN_S = 10.0  # A worker that is told to, while a channel is slow.

# What the bank is like, towards one of the five.
FINE = "fine"
SILENT = "silent"  # It takes requests, does nothing, and never answers.
HANGS_UP = "hangs_up"  # It does nothing, and closes the connection.
SLOW = "slow"  # It acts at once, and answers 30 s later.
RECOVERING = "recovering"  # It is fine again, and much is left to do.
WAIT_MS = {FINE: 50, SILENT: 3_600_000, HANGS_UP: 0, SLOW: 30_000}

# What the engine is like.
SLOTS = 16  # Of each channel.
INQUIRE_AFTER_MS = ",".join(map(str, (200, 500, 1_000, *range(2_000, 600_000, 2_000))))
HASTY_MS, PATIENT_MS = 2_000, 35_000  # Until it gives up a reply: too soon for SLOW, or not.

# What is asked for.
PAYMENTS = 200  # Of each channel; each is refunded again and again, a little.
LOAD_SHARE, PER_S_MAX = 0.6, 250.0  # Of what the engine can do; so much is enough for anybody.
RUSH_AT_ONCE = 64
WAITS_EVERY, WAITS_S = 10, 3  # Some clients want to hear of the end.
ANSWER_WITHIN_S, AGAIN_S = 20.0, 0.5

NEVER = 1 << 62  # The end of what did not come to a good one.
SETTLE_S = 1.0  # After a change, before it is measured what the four do without a fault.
RESTS_WITHIN_S, LOOK_EVERY_S, EXPORT_WITHIN_S = 60.0, 0.2, 120.0
OPEN = "SELECT count(*) FROM contraflow.instruction WHERE requested_at < {} AND final_at IS NULL"


@dataclass(frozen=True, slots=True)
class Plan:
    rush_s: float = 4.0
    phase_s: float = 7.0
    faults: tuple[str, ...] = (SILENT, HANGS_UP, SILENT)
    slow_s: float = 32.0  # With a patient engine, so that the answers are heard; 0: not at all.
    source: Path = ROOT / "src"  # The engine, or a copy with a bug in it.


SHORT = Plan(rush_s=1.5, phase_s=4.0, faults=(SILENT, SLOW), slow_s=0.0)


def run_channels(plan: Plan, keep: Keep = Keep.ON_FAILURE) -> Verdict:
    """Raises whatever goes wrong with the campaign itself; no process is left behind."""
    folder = Path(tempfile.mkdtemp(prefix="crucible-"))
    folder.chmod(0o711)  # The database runs as somebody else.
    fleet, is_over = fleet_of(folder, plan), False
    try:
        verdict = asyncio.run(Campaign(fleet, plan, Clients(fleet.doors[0], fleet.api_keys)).run())
        is_over = verdict.is_good
    finally:
        fleet.end()
        if keep is Keep.NEVER or (is_over and keep is Keep.ON_FAILURE):
            shutil.rmtree(folder)
        else:
            say(f"what happened is kept in {folder}")
    return verdict


def fleet_of(folder: Path, plan: Plan) -> Fleet:
    """One process of each sort, five channels, and a bank that treats them differently."""
    fleet = Fleet(folder, FleetPlan(serves=1, works=1, clients=0, source=plan.source))
    bank = ("--book", str(fleet.book), "--port", str(fleet.bank_port), "--key", fleet.key)
    fleet.bank.command = [sys.executable, "-m", "crucible.channels", *bank]
    fleet.works[0].environment["CONTRAFLOW_REPLY_WITHIN_MS"] = str(HASTY_MS)
    channels = "".join(
        f'[channels.{name}]\nplugin = "sandbox"\ncredentials = {{ key = "{fleet.key}",'
        f' slots = "{SLOTS}", inquire_after_ms = "{INQUIRE_AFTER_MS}" }}\n'
        for name in NAMES
    )
    fleet.settings.write_text(
        f'database = "{fleet.database.address()}"\nbank = "http://127.0.0.1:{fleet.bank_port}"\n'
        f"attempts_max = 30\n{channels}[sinks]\n"
    )
    return fleet


# The clients.


@dataclass(slots=True)
class Clients:
    port: int
    keys_file: Path  # Made when the fleet starts.
    keys: Keys = field(init=False)
    told: Told = field(default_factory=Told)
    asked: dict[str, int] = field(default_factory=dict)  # When it was to be asked for, by key.
    idle: list[Door] = field(default_factory=list)

    async def record(self) -> None:
        """Payments that were captured elsewhere, for all that follows."""
        self.keys = Keys.read(self.keys_file.read_text())
        for first in range(0, PAYMENTS, 10):
            numbers = range(first, first + 10)
            named = [f"{name}-{number}" for name in NAMES for number in numbers]
            await asyncio.gather(*(self.ask(f"create-{each}", payment(each)) for each in named))

    async def rush(self, seconds: float) -> None:
        """As fast as they are answered."""

        async def one_by_one() -> None:
            while time.monotonic() < until:
                await self.refund(now_ms())

        until = time.monotonic() + seconds
        await asyncio.gather(*(one_by_one() for _ in range(RUSH_AT_ONCE)))

    async def flow(self, per_s: float, is_over: asyncio.Event) -> None:
        """At one pace. What this process is late by counts as delay, too."""
        begun = time.time()
        async with asyncio.TaskGroup() as group:
            for number in range(sys.maxsize):
                due = begun + number / per_s
                await asyncio.sleep(max(0.0, due - time.time()))
                if is_over.is_set():
                    return
                group.create_task(self.refund(int(due * 1_000)))

    async def refund(self, due: int) -> None:
        turn, place = divmod(len(self.asked), len(NAMES))
        key = f"{NAMES[place]}-{turn}-0"
        self.asked[key] = due
        fields = {"do": "refund", "payment": f"{NAMES[place]}-{turn % PAYMENTS}", "amount": 100}
        wait = {} if turn % WAITS_EVERY else {"prefer": f"wait={WAITS_S}"}
        await self.ask(key, {**fields, **wait, "currency": "EUR"})

    async def ask(self, key: str, fields: Mapping[str, object]) -> None:
        """Until it is answered. Nobody is killed here, so once should be enough."""
        letter = letter_of(fields, key, self.keys)
        while True:
            door = self.idle.pop() if self.idle else Door(self.port)
            try:
                said = await door.ask(letter, within_s=ANSWER_WITHIN_S)
            except NoAnswer:
                self.told.silence += 1
            else:
                self.idle.append(door)
                if said.status in (201, 202) and said.receipt is not None:
                    self.told.receipts[key].append(canonical(said.receipt))
                    return
                self.told.odd.append({"key": key, "status": said.status, "said": said.body})
                if said.status != 503:
                    return
            await asyncio.sleep(AGAIN_S)


def payment(name: str) -> dict[str, object]:
    fields = {"do": "record", "payment": name, "channel": name.rpartition("-")[0]}
    return {**fields, "amount": 10**9, "currency": "EUR", "instrument": "tok"}


# The campaign.


@dataclass(frozen=True, slots=True)
class Phase:
    mood: str
    begun: int  # In milliseconds of the wall clock, which is the database's, too.
    ended: int
    cpu_s: float  # Of the engine.


@dataclass(slots=True)
class Campaign:
    fleet: Fleet
    plan: Plan
    clients: Clients
    phases: list[Phase] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)

    async def run(self) -> Verdict:
        begun, is_over = time.monotonic(), asyncio.Event()
        self.fleet.start()
        await ready(self.fleet)
        await self.clients.record()
        capacity = await self.capacity()
        per_s = min(PER_S_MAX, capacity * LOAD_SHARE)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.clients.flow(per_s, is_over))
            await self.go_through()
            is_over.set()
        self.figures |= {"per_s": round(per_s, 1), "per_s_max": round(capacity)}
        self.figures["rest_s"] = await self.time_until_done()
        verdict = await self.judge()
        verdict.figures["seconds"] = round(time.monotonic() - begun, 1)
        return verdict

    async def judge(self) -> Verdict:
        told, deadlocks = self.clients.told, await ask_database(self.fleet, DEADLOCKS)
        exported = self.fleet.ask("export", within_s=EXPORT_WITHIN_S)
        (self.fleet.folder / "export.ndjson").write_text(exported)
        export = read_export(exported.splitlines())
        findings = judge(Evidence(told, read_book(self.fleet.book), export))
        show(findings)
        wrong = figures_of(findings, deadlocks)
        asked = self.clients.asked
        well, sick = (paces_of(names, self.phases, asked, export) for names in (WELL, [SICK]))
        shares = figures_of_paces(well, sick)
        self.figures |= {"acknowledged": len(told.receipts), **wrong, **shares}
        self.figures |= {"silences": told.silence, "odd_answers": len(told.odd)}
        is_good = (
            all(share >= SHARE_MIN for name, share in shares.items() if name.startswith("ratio"))
            and all(share <= SICK_SHARE_MAX for name, share in shares.items() if "sick" in name)
            and not (any(wrong.values()) or told.odd or None in self.figures.values())
        )
        return Verdict(self.figures, findings, is_good)

    async def capacity(self) -> float:
        """How many refunds a second come to their end, if they are asked for without a pause."""
        begun = time.monotonic()
        await self.clients.rush(self.plan.rush_s)
        if await self.time_until_done() is None:
            raise RuntimeError("it does not come to rest after the rush")
        return len(self.clients.asked) / (time.monotonic() - begun)

    async def go_through(self) -> None:
        for fault in self.plan.faults:
            await self.phase(FINE, asyncio.sleep(self.plan.phase_s))
            await self.phase(fault, asyncio.sleep(self.plan.phase_s))
            took_s = await self.phase(RECOVERING, self.time_until_done())
            self.figures[f"recovers_s_{fault}"] = took_s
        if self.plan.slow_s:
            await self.restart()
            await self.time_until_done()
            await self.phase(FINE, asyncio.sleep(self.plan.phase_s))
            await self.phase(SLOW, asyncio.sleep(self.plan.slow_s))
            self.figures["work_ends_s"] = await self.restart()
            await self.set_mood(FINE)

    async def phase(self, mood: str, until: Awaitable[float | None]) -> float | None:
        await self.set_mood(FINE if mood == RECOVERING else mood)
        say(f"{mood}: {len(self.clients.asked)} refunds asked for")
        await asyncio.sleep(SETTLE_S if mood == FINE else 0.0)
        begun, cpu = now_ms(), cpu_s(self.fleet.engine)
        found = await until
        self.phases.append(Phase(mood, begun, now_ms(), cpu_s(self.fleet.engine) - cpu))
        return found

    async def set_mood(self, mood: str) -> None:
        url = f"http://127.0.0.1:{self.fleet.bank_port}/moods/{mood}"
        async with aiohttp.ClientSession() as session, session.post(url) as reply:
            assert reply.status == 204, reply.status

    async def restart(self) -> float | None:
        """With patience from now on. How long the worker took to end, with calls under way."""
        [work] = self.fleet.works
        took_s = await asyncio.to_thread(work.end, ENDS_WITHIN_S)
        work.environment["CONTRAFLOW_REPLY_WITHIN_MS"] = str(PATIENT_MS)
        work.start()
        return None if took_s is None else round(took_s, 1)

    async def time_until_done(self) -> float | None:
        """Whatever was asked for until now; None if it takes too long."""
        begun, question = time.monotonic(), OPEN.format(now_ms())
        while time.monotonic() - begun < RESTS_WITHIN_S:
            if not await ask_database(self.fleet, question):
                return round(time.monotonic() - begun, 1)
            await asyncio.sleep(LOOK_EVERY_S)
        return None


def cpu_s(procs: Sequence[Proc]) -> float:
    """In their present lives."""
    stats = (Path(f"/proc/{proc.pid}/stat").read_text().rpartition(")")[2] for proc in procs)
    ticks = sum(int(stat.split()[11]) + int(stat.split()[12]) for stat in stats)
    return ticks / os.sysconf("SC_CLK_TCK")


# What came of it.


@dataclass(slots=True)
class Pace:
    """Of some channels, in all phases of one mood."""

    asked: int = 0
    done: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    delays_ms: list[int] = field(default_factory=list)  # Of what was asked for in them.

    @property
    def share(self) -> float:
        """What was left over from before is no merit."""
        return min(1.0, self.done / max(1, self.asked))


def paces_of(
    names: Sequence[str], phases: Sequence[Phase], asked: Mapping[str, int], export: Export
) -> dict[str, Pace]:
    rows = {row["key"].partition("/")[2]: row for row in export.instructions.values()}
    ends = {key: row["final_at"] for key, row in rows.items() if row["state"] == "succeeded"}
    paces: defaultdict[str, Pace] = defaultdict(Pace)
    for phase in phases:
        pace, span = paces[phase.mood], range(phase.begun, phase.ended)
        pace.seconds += len(span) / 1_000
        pace.cpu_s += phase.cpu_s
        for key, due in asked.items():
            if key.startswith(tuple(names)):
                pace.done += ends.get(key) in span
                if due in span:
                    pace.asked += 1
                    pace.delays_ms.append(ends.get(key, NEVER) - due)
    return paces


def figures_of_paces(well: Mapping[str, Pace], sick: Mapping[str, Pace]) -> dict[str, float]:
    """`ratio_*` is judged: of the four, against what they get done without a fault."""
    figures: dict[str, float] = {}
    for mood, pace in sorted(well.items()):
        figures[f"done_per_s_{mood}"] = round(pace.done / pace.seconds, 1)
        delays_ms = sorted(pace.delays_ms) or [0]
        for percent in (50, 99):
            figures[f"p{percent}_ms_{mood}"] = delays_ms[len(delays_ms) * percent // 100]
        figures[f"cpu_share_{mood}"] = round(pace.cpu_s / pace.seconds, 2)
        if mood not in (FINE, RECOVERING):
            figures[f"sick_share_{mood}"] = round(sick[mood].share, 3)
            figures[f"ratio_{mood}"] = round(pace.share / well[FINE].share, 3)
    return figures


class MoodyCounter(Counter):
    """The bank: towards one of the five it is as it was told to be."""

    mood = FINE

    def receive(self, scheme: str, action: str, body: bytes, signature: str, now: int) -> Reply:
        ask = read_ask(body)
        is_sick = ask is not None and ask.payment.startswith(f"main/{SICK}-")
        mood = self.mood if is_sick else FINE
        if mood in (SILENT, HANGS_UP):
            return replace(LOST, wait_ms=WAIT_MS[mood])
        reply = super().receive(scheme, action, body, signature, now)
        return replace(reply, wait_ms=WAIT_MS[mood])


async def serve(asked: argparse.Namespace) -> None:
    book = Book(asked.book)
    counter = MoodyCounter(book, key=asked.key, seed=1)
    counter.is_honest = True

    async def set_mood(request: web.Request) -> web.Response:
        counter.mood = request.match_info["mood"]
        return web.Response(status=204)

    made = application(counter, Postman(book, asked.key, [], random.Random(1)))
    made.router.add_post("/moods/{mood}", set_mood)
    runner = web.AppRunner(made, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", asked.port).start()
    await asyncio.Event().wait()  # Until it is killed.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind in (("--book", Path), ("--port", int), ("--key", bytes.fromhex)):
        parser.add_argument(name, type=kind, required=True)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
