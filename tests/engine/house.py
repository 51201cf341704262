"""A whole engine in virtual time: the real store in memory, the real sandbox, and a road to it."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import apsw
import msgspec

from contraflow import banking, wiring
from contraflow.domain import commands as c
from contraflow.domain import outcome as said
from contraflow.domain.decision import Accepted, Answer, Receipt, Refused, Told
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import State
from contraflow.domain.money import Money
from contraflow.domain.payment import Capturing, Payment
from contraflow.engine import loops
from contraflow.engine.audit import check_contents
from contraflow.engine.intake import submit
from contraflow.engine.parts import Parts
from contraflow.errors import ChannelUnreachable, ReplyLost
from contraflow.outside.bank import Bank
from contraflow.outside.bank_book import MemoryBook
from contraflow.outside.local_bank import LocalBank
from contraflow.outside.virtual_time import VirtualTime, result_of
from contraflow.settings import Settings
from contraflow.store import Contents
from contraflow.store.sqlite import SqliteStore, connect, open_store
from contraflow.store.sqlite_views import SqliteViews, open_views
from contraflow.wire import canonical
from contraflow.wire.exchange import Reply, Request
from contraflow.wire.sandbox import Ask
from contraflow.wiring import assemble

BANK_KEY = "5a" * 32
NAMES = itertools.count()
ASK = msgspec.json.Decoder(Ask)
EARLY = 1_000_000  # When every test begins.
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came to the transport, and what the database said of it at that moment."""

    at: int
    action: str
    number: str
    state: State | None
    body: bytes


@dataclass(slots=True)
class Road:
    """What befalls the next requests, in order; after that every one arrives and is answered."""

    bank: LocalBank
    runtime: VirtualTime
    state_of: Callable[[str], State | None]
    plays: deque[str] = field(default_factory=deque)
    seen: list[Seen] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)  # Schemes whose calls never end.
    closed: set[str] = field(default_factory=set)  # Schemes that cannot be reached.

    async def send(self, request: Request, leave_by: int) -> Reply:
        ask, now = ASK.decode(request.body), self.runtime.now()
        scheme = request.url.partition(":")[0]
        self.seen.append(Seen(now, ask.action, ask.number, self.state_of(ask.number), request.body))
        if scheme in self.blocked:
            await self.runtime.ticket()
        play = self.plays.popleft() if self.plays else "ok"
        if play == "unreachable" or scheme in self.closed:
            raise ChannelUnreachable
        if play == "asleep":
            await self.runtime.sleep(leave_by - now + 1)
        if play == "request_lost":
            raise ReplyLost
        if play == "lands_late":
            self.runtime.spawn(self.land(request))
            raise ReplyLost
        reply = await self.bank.send(request, leave_by)
        if play == "asleep_over_reply":
            await self.runtime.sleep(2 * MINUTE_MS)
        if play == "reply_lost":
            raise ReplyLost
        if play == "proxy":
            return Reply(502, b"<html>")
        return reply

    async def land(self, request: Request) -> None:
        """Half a second later, within what the line declares."""
        await self.runtime.sleep(500)
        self.bank.bank.receive(request, self.runtime.now())
        self.bank.set_alarm()

    def asked(self, action: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.action == action]


@dataclass(slots=True)
class House:
    settings: Settings
    bank: Bank = field(default_factory=lambda: Bank(MemoryBook(BANK_KEY)))
    runtime: VirtualTime = field(default_factory=lambda: VirtualTime(EARLY))
    place: str = field(default_factory=lambda: f"file:/house-{next(NAMES)}?vfs=memdb")
    ground: apsw.Connection = field(init=False)  # Keeps the memory while engines come and go.
    store: SqliteStore = field(init=False)
    views: SqliteViews = field(init=False)
    road: Road = field(init=False)
    parts: Parts = field(init=False)

    def __post_init__(self) -> None:
        self.ground = connect(self.place)
        self.open()
        self.views = open_views(self.place)

    def open(self) -> None:
        self.store = open_store(self.place, self.runtime.now)
        local = LocalBank(
            self.bank,
            self.runtime,
            deliver=lambda told: wiring.deliver(
                self.parts, banking.lines_at_bank(self.settings), told
            ),
            store_now=self.store.now,
        )
        self.road = Road(local, self.runtime, self.state_of_number)
        secrets = {"key": BANK_KEY}
        self.parts = assemble(self.settings, self.store, self.runtime, self.road, secrets)

    def start(self) -> House:
        loops.start(self.parts)
        return self

    def crash(self) -> None:
        """Another incarnation on the same database; its loops do not run yet."""
        self.runtime.drop()
        result_of(self.store.close())
        self.open()

    def restart(self) -> None:
        self.crash()
        self.start()

    def close(self) -> None:
        self.runtime.drop()
        result_of(self.views.close())
        result_of(self.store.close())
        self.ground.close()

    def close_with_books_in_order(self) -> None:
        try:
            check_contents(self.contents())
        finally:
            self.close()

    # Time.

    def run_for(self, ms: int) -> None:
        self.runtime.run_to(self.runtime.now() + ms)

    def run_until(self, state: State, instruction_id: str, within_ms: int = HOUR_MS) -> Instruction:
        until = self.runtime.now() + within_ms
        self.runtime.run(
            lambda: self.instruction(instruction_id).state is state or self.runtime.now() > until
        )
        found = self.instruction(instruction_id)
        assert found.state is state, found
        return found

    def spawn(self, work: Coroutine[Any, Any, Any]) -> Outcome:
        outcome = Outcome()
        self.runtime.spawn(outcome.of(work))
        return outcome

    def wait_for(self, work: Coroutine[Any, Any, Any]) -> Any:
        outcome = self.spawn(work)
        self.runtime.run(lambda: outcome.is_there)
        return outcome.value()

    # Requests.

    def ask(self, command: c.Command) -> Answer:
        answer: Answer = self.wait_for(submit(self.parts.intake, command))
        return answer

    def take(self, command: c.Command) -> tuple[str, ...]:
        """Ask; the ids of the instructions that were made."""
        return tuple(i.instruction_id for i in accepted(self.ask(command)).instructions)

    def paid(
        self, name: str = "pay_1", script: str = "ok", *, is_captured: bool = True, **fields: Any
    ) -> str:
        payment_id = f"main/{name}"
        accepted(self.ask(recorded(payment_id, script=script, is_captured=is_captured, **fields)))
        return payment_id

    def refund(self, payment_id: str = "main/pay_1", minor: int = 400, **fields: Any) -> str:
        [instruction_id] = self.take(refund_of(payment_id, minor, **fields))
        return instruction_id

    # What is kept.

    def contents(self) -> Contents:
        contents: Contents = result_of(self.store.contents())
        return contents

    def payment(self, payment_id: str = "main/pay_1") -> Payment:
        found = result_of(self.views.payment(payment_id))
        assert found is not None
        return found

    def instruction(self, instruction_id: str) -> Instruction:
        found = result_of(self.views.instruction(instruction_id))
        assert found is not None
        return found

    def state_of_number(self, number: str) -> State | None:
        """As committed: seen from another connection."""
        rows = result_of(self.views.contents()).instructions.values()
        return next((i.state for i in rows if i.number == number), None)

    def times(self, instruction_id: str) -> int:
        """How often the money moved at the bank, under all the numbers of this one's life."""
        return sum(
            order.times
            for number, order in self.bank.effects().items()
            if number == self.instruction(instruction_id).number
        )


@dataclass(slots=True)
class Outcome:
    """What became of something that was begun."""

    is_there: bool = False
    result: Any = None
    error: BaseException | None = None

    async def of(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            self.result = await work
        except Exception as error:  # noqa: BLE001 whoever looks raises it again
            self.error = error
        self.is_there = True

    def value(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.result


# Commands.


def fields_of(name: str, **body: Any) -> dict[str, Any]:
    return {"key": f"main/{name}", "fingerprint": canonical.fingerprint([name, repr(body)])}


def recorded(
    payment_id: str = "main/pay_1",
    script: str = "ok",
    *,
    is_captured: bool = True,
    currency: str = "GBP",
    **fields: Any,
) -> c.RecordPayment:
    return c.RecordPayment(
        **fields_of(f"of/{payment_id}"),
        payment_id=payment_id,
        instrument=f"tok_{script}",
        amount=Money(1_000, currency),
        is_captured=is_captured,
        **{"channel": "sandbox"} | fields,
    )


def created(
    payment_id: str = "main/pay_1", script: str = "ok", *, is_manual: bool = False, **fields: Any
) -> c.CreatePayment:
    given: dict[str, Any] = {
        "channel": "sandbox",
        "instrument": f"tok_pay_{script}",
        "amount": Money(1_000, "GBP"),
        "capturing": Capturing.MANUAL if is_manual else Capturing.AUTOMATIC,
    }
    return c.CreatePayment(**fields_of(f"of/{payment_id}"), payment_id=payment_id, **given | fields)


def refund_of(
    payment_id: str = "main/pay_1", minor: int = 400, *, key: str = "", **fields: Any
) -> c.RequestRefund:
    """Under a key of its own unless one is given."""
    named = fields_of(key or f"k{next(NAMES)}", payment=payment_id, minor=minor)
    amount = Money(minor, fields.pop("currency", "GBP"))
    return c.RequestRefund(**named, payment_id=payment_id, amount=amount, **fields)


def keyed(kind: Callable[..., Any], **fields: Any) -> Any:
    """Any client command, under a key of its own."""
    return kind(**fields_of(f"k{next(NAMES)}"), **fields)


# Answers.


def receipt_of(answer: Answer) -> Receipt:
    assert isinstance(answer, Told), answer
    return answer.receipt


def accepted(answer: Answer) -> Accepted:
    decision = answer.decision if isinstance(answer, Told) else answer
    assert isinstance(decision, Accepted), answer
    return decision


def refused(answer: Answer) -> Refused:
    decision = answer.decision if isinstance(answer, Told) else answer
    assert isinstance(decision, Refused), answer
    return decision


SIGNED = said.Evidence(said.Proof.SIGNATURE, "ok", reply_sha256="5" * 64)
