"""One engine after another on the same database, in a world that goes on when they die."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import apsw

from contraflow.domain import commands as c
from contraflow.domain.cases import Case
from contraflow.domain.decision import Accepted
from contraflow.domain.instruction import Instruction, Waiting
from contraflow.domain.lifecycle import State
from contraflow.domain.observation import Answered
from contraflow.engine.bell import Bell
from contraflow.engine.dispatch import work_on
from contraflow.engine.gate import Gate
from contraflow.engine.intake import submit
from contraflow.engine.loops import start
from contraflow.engine.parts import Parts
from contraflow.engine.waiting import AT_REST
from contraflow.errors import InvariantBroken, StoreUnwritable
from contraflow.outside.bank import Bank
from contraflow.outside.bank_book import MemoryBook
from contraflow.outside.bank_scripts import Script, script_of
from contraflow.outside.virtual_time import VirtualTime, result_of
from contraflow.settings import Settings
from contraflow.simulation.clients import Clients
from contraflow.simulation.faults import SCRIPTED, Fault, Faults
from contraflow.simulation.hostile_sink import HostileSink
from contraflow.simulation.hostile_store import HostileStore
from contraflow.simulation.network import (
    NOTICE_LATE_MS_MAX,
    TELLING,
    WAY_MS_MAX,
    HostileTransport,
    deliver,
)
from contraflow.simulation.operators import LOOKS, THINKS_MS_MAX, resolution_of
from contraflow.simulation.travelling import Travelling
from contraflow.simulation.truth_marks import check_marks
from contraflow.store import Commit, Contents
from contraflow.store.sqlite import connect, open_store
from contraflow.wire.exchange import Notice, Reply, Request
from contraflow.wire.sandbox import Ask
from contraflow.wiring import assemble

KEY = "5a" * 32
SET_BACK_MS_MAX = 5_000
SET_FORWARD_MS_MAX = 3_600_000
SETTINGS = Settings(attempts_max=3)
UNDOING = Settings(attempts_max=3, undo_window_s=2)


@dataclass(frozen=True, slots=True, eq=False)
class Errand:
    """Something that somebody repeats until it is answered, over every crash."""

    at: int
    what: c.Command | Notice | Instruction  # An instruction: a person looks at it.
    fault: Fault | None = None  # That befell a notice on its way.


@dataclass(slots=True)
class World:
    seed: int
    is_liar: bool
    prng: random.Random = field(init=False)
    runtime: VirtualTime = field(init=False)
    faults: Faults = field(init=False)
    clients: Clients = field(init=False)
    bank: Bank = field(init=False)
    settings: Settings = field(init=False)
    ground: apsw.Connection = field(init=False)  # Keeps the memory while engines come and go.
    store: HostileStore = field(init=False)
    parts: Parts = field(init=False)
    outside: Bell = field(init=False)
    errands: dict[Errand, None] = field(default_factory=dict)
    travelling: list[Travelling] = field(default_factory=list)
    states: dict[str, State] = field(default_factory=dict)  # As committed, by instruction.
    numbers: dict[str, str] = field(default_factory=dict)  # Instructions by number.
    open: dict[str, None] = field(default_factory=dict)  # Instructions that are not at rest.
    cases: dict[str, Case] = field(default_factory=dict)
    first_bytes: dict[str, list[tuple[int, str, bytes]]] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)  # Payments, by unknown instruction.
    holds: set[str] = field(default_factory=set)  # Scopes in which nothing is sent.
    struck: dict[str, None] = field(default_factory=dict)  # Payments that met a fault.
    incarnation: int = 0
    skew: int = 0
    commits: int = 0
    commands: int = 0
    told: int = 0  # The last event that the sink has seen.
    redirected: Counter[str] = field(default_factory=Counter)  # By operators.
    believed: set[str] = field(default_factory=set)  # Instructions that an operator ended.

    def __post_init__(self) -> None:
        self.prng = random.Random(self.seed)
        prng = self.prng
        self.runtime = VirtualTime(pick=lambda count: int(prng.random() * count))
        self.faults = Faults(prng)
        self.clients = Clients(prng, self.faults, self.is_liar)
        self.bank = Bank(MemoryBook(KEY))
        self.settings = UNDOING if prng.random() < 0.4 else SETTINGS
        for at, command in self.clients.begin():
            self.errands[Errand(at, command)] = None
        self.ground = connect(self.uri)
        with self.ground.backup("main", template(), "main") as copy:
            copy.step()
        self.store = self.open_store()

    @property
    def uri(self) -> str:
        return f"file:/history-{self.seed}?vfs=memdb"

    def open_store(self) -> HostileStore:
        store = HostileStore(connect(self.uri), self.clock)
        store.world = self
        return store

    def clock(self) -> int:
        return self.runtime.time + self.skew

    # The life of a process.

    def boot(self) -> None:
        self.incarnation += 1
        transport = HostileTransport(self, self.incarnation)
        self.parts = assemble(self.settings, self.store, self.runtime, transport, {"key": KEY})
        self.parts.sinks = [HostileSink(self)]
        self.outside = Bell(self.runtime)
        start(self.parts)
        self.runtime.spawn(self.mind_the_outside())
        for errand in list(self.errands):
            self.runtime.spawn(self.run_errand(errand))

    def crash(self) -> None:
        """End the process where it stands. Another incarnation counts before it is torn down.

        Within a process the clock never jumps; the next one may find it set to another time.
        """
        connection = self.store.connection
        if self.faults.strike(Fault.CLOCK_JUMP, 0.2, self.states.values()):
            self.skew += self.prng.randrange(-SET_BACK_MS_MAX, SET_FORWARD_MS_MAX)
            self.struck.update(dict.fromkeys(self.clients.scripts))
        self.store = self.open_store()
        self.incarnation += 1
        self.runtime.drop()
        connection.close()

    def close(self) -> None:
        self.runtime.drop()
        self.store.connection.close()
        self.ground.close()

    def contents(self) -> Contents:
        return result_of(self.store.contents())

    def is_settled(self) -> bool:
        is_quiet = not self.errands and not self.travelling and self.bank.next_due() is None
        return is_quiet and not self.open

    # What is outside.

    async def mind_the_outside(self) -> None:
        while True:
            self.run_outside()
            dues = [travelling.at for travelling in self.travelling]
            bank_due = self.bank.next_due()
            if bank_due is not None:
                dues.append(bank_due)
            wait_ms = max(0, min(dues) - self.runtime.now()) if dues else None
            await self.outside.wait(wait_ms)

    def run_outside(self) -> None:
        """What travels lands, and the bank does what is due, whether anybody listens or not."""
        now = self.runtime.now()
        for travelling in sorted(self.travelling, key=lambda t: t.at):
            if travelling.at <= now:
                self.travelling.remove(travelling)
                self.bank.receive(travelling.request, now)
        for notice in self.bank.run_due(now):
            self.bank.acknowledge(notice)
            self.post(notice)

    def post(self, notice: Notice) -> None:
        now, states = self.runtime.now(), self.states_of_notice(notice)
        is_late = self.faults.strike(Fault.NOTICE_LATE, 0.2, states)
        way = self.prng.randrange(NOTICE_LATE_MS_MAX if is_late else WAY_MS_MAX)
        self.add(Errand(now + way, notice, Fault.NOTICE_LATE if is_late else None))
        if self.faults.strike(Fault.NOTICE_TWICE, 0.2, states):
            at = now + self.prng.randrange(NOTICE_LATE_MS_MAX)
            self.add(Errand(at, notice, Fault.NOTICE_TWICE))

    def ask_bank(self, request: Request) -> tuple[Reply | None, int]:
        handling = self.bank.receive(request, self.runtime.now())
        self.outside.ring()
        return handling.reply, handling.wait_ms

    def add_travelling(self, travelling: Travelling) -> None:
        self.travelling.append(travelling)
        self.outside.ring()

    def script_of(self, ask: Ask) -> Script:
        return script_of(ask.instrument, ask.action)

    def note_first_byte(self, ask: Ask, request: Request) -> None:
        """The bytes of a submission as they leave, and the scripted fault that they will meet."""
        script = script_of(ask.instrument, ask.action)
        if ask.action in ("status", "withdraw"):
            return
        if script is not Script.OK:
            self.faults.note(SCRIPTED[script], self.state_of_number(ask.number))
            self.struck[ask.payment] = None
        sent = self.first_bytes.setdefault(ask.number, [])
        sent.append((self.store.now(), ask.payment, request.body))

    # What is committed.

    def note_commit(self, commands: Sequence[c.Command], commit: Commit) -> None:
        check_marks(self, commands, commit)
        self.commits += 1
        self.commands += len(commands)
        for instruction in commit.instructions:
            name = instruction.instruction_id
            self.states[name] = instruction.state
            self.numbers[instruction.number] = name
            if instruction.state in AT_REST:
                self.open.pop(name, None)
                self.show_to_operator(instruction)
            else:
                self.open[name] = None
            if instruction.state is State.UNKNOWN:
                self.doubts[name] = instruction.payment_id
            else:
                self.doubts.pop(name, None)
        for scope, is_on in commit.holds:
            (self.holds.add if is_on else self.holds.discard)(scope)
        for case in commit.cases:
            self.cases[case.case_id] = case

    def states_of(self, commands: Iterable[c.Command]) -> list[State]:
        names = []
        for command in commands:
            if isinstance(command, c.Fenced):
                names.append(command.fence.instruction_id)
            elif isinstance(command, c.RecordFact):
                fact = command.observation.fact
                if isinstance(fact, Answered):
                    names.append(self.numbers.get(fact.number, ""))
            elif isinstance(command, c.WithdrawReversal | c.ReleaseHold | c.RejectHold):
                names.append(command.instruction_id)
        return [self.states[name] for name in names if name in self.states]

    def state_of_number(self, number: str) -> tuple[State, ...]:
        name = self.numbers.get(number, "")
        return (self.states[name],) if name in self.states else ()

    def states_of_notice(self, notice: Notice) -> tuple[State, ...]:
        return self.state_of_number(TELLING.decode(notice.body).number)

    # What somebody wants.

    def add(self, errand: Errand) -> None:
        self.errands[errand] = None
        if self.runtime.alive:  # Otherwise the next boot begins it.
            self.runtime.spawn(self.run_errand(errand))

    def show_to_operator(self, instruction: Instruction) -> None:
        is_case = (
            instruction.state is State.ATTENTION and instruction.waiting is not Waiting.REDIRECT
        )
        if is_case and self.prng.random() < LOOKS:
            at = self.runtime.now() + self.prng.randrange(THINKS_MS_MAX)
            self.add(Errand(at, instruction))

    async def resolve(self, errand: Errand, instruction: Instruction) -> None:
        """Wait until the truth can be known; then it is a request like any other."""
        command = resolution_of(self, instruction)
        while command is None:
            await self.runtime.sleep(10_000)
            command = resolution_of(self, instruction)
        if command.resolution is c.Resolution.REDIRECT:
            self.redirected[instruction.instruction_id] += 1
        else:
            self.believed.add(instruction.instruction_id)
        del self.errands[errand]
        self.add(Errand(self.runtime.now(), command))

    async def run_errand(self, errand: Errand) -> None:
        await self.runtime.sleep(max(errand.at - self.runtime.now(), 0))
        if isinstance(errand.what, Instruction):
            await self.resolve(errand, errand.what)
            return
        if isinstance(errand.what, Notice):
            if errand.fault is not None:
                self.faults.meet(errand.fault, self.states_of_notice(errand.what))
            await deliver(self, self.parts, errand.what)
            del self.errands[errand]
            return
        command = errand.what
        while True:
            try:
                answer = await submit(self.parts.intake, command)
            except StoreUnwritable:
                await self.runtime.sleep(1_000)
            else:
                break
        self.clients.hear(command, answer)
        if isinstance(command, c.RecordFact) and not isinstance(answer, Accepted):
            raise InvariantBroken("I28", f"a fact was refused: {answer}")
        del self.errands[errand]
        for at, further in self.clients.follow_up(command, self.runtime.now()):
            self.add(Errand(at, further))

    def send_second_worker(self, instruction: Instruction) -> None:
        self.runtime.spawn(work_on(self.parts, Gate(slots=1), instruction))


@cache
def template() -> apsw.Connection:
    """The tables, empty; copied, because that is cheaper than creating them."""
    return open_store("file:/template?vfs=memdb", lambda: 0).connection
