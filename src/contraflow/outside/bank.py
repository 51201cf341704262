"""The sandbox's bank: a state machine that does what its scripts say, and never forgets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from contraflow.errors import SignatureInvalid
from contraflow.outside.bank_book import Book, Due, OpenBook, Order
from contraflow.outside.bank_scripts import CONDUCTS, PLAIN, Later, Play, Result
from contraflow.outside.bank_words import answer_of, is_about, order_of, reply_in, telling_of
from contraflow.wire import sandbox
from contraflow.wire.exchange import Notice, Reply, Request
from contraflow.wire.sandbox import CARD, RAIL, Answer, Ask, Line, Telling

COMMANDS = MappingProxyType(
    {
        CARD: frozenset({"pay", "capture", "close", "void", "refund"}),
        RAIL: frozenset({"pay", "capture", "void", "refund"}),
    }
)
OVER = (Result.DECLINED, Result.WITHDRAWN)


class Handling(Struct, frozen=True):
    """A reply of None: the caller must see it as lost."""

    reply: Reply | None
    wait_ms: int = 0


class Bank:
    """Everything it knows is in its book when a call returns; another one may go on from there."""

    def __init__(self, book: Book) -> None:
        self._book = OpenBook(book)
        self._lines = {scheme: Line(scheme, book.key) for scheme in COMMANDS}
        self._outbox: list[Due] = []
        self._told: defaultdict[str, list[int]] = defaultdict(list)  # By event.

    @property
    def key_text(self) -> str:
        """The hexadecimal key of its lines, for the channel's credentials."""
        return self._book.key.secret.hex()

    # What a caller may do.

    def receive(self, request: Request, now: int) -> Handling:
        self._advance(now)
        handling = self._handle(request, now)
        self._book.write_down()
        return handling

    def run_due(self, now: int) -> list[Notice]:
        """Do what is due; the notices to deliver, the earliest first."""
        self._advance(now)
        notices = []
        for due in self._outbox:
            order = self._book.orders[due.number]
            telling = telling_of(due, order)
            self._told[telling.event].append(due.id)
            notices.append(sandbox.notice_of(self._lines[order.scheme], telling))
        self._outbox.clear()
        self._book.write_down()
        return notices

    def next_due(self) -> int | None:
        return self._outbox[0].at if self._outbox else self._book.next_due()

    def acknowledge(self, notice: Notice) -> None:
        """It was taken; else a bank that is opened on this book tells it again."""
        event = msgspec.json.decode(notice.body, type=Telling).event
        for due_id in self._told.pop(event, ()):
            self._book.forget(due_id)
        self._book.write_down()

    # What really happened.

    def orders(self) -> Mapping[str, Order]:
        """Every number that was ever submitted."""
        return MappingProxyType(self._book.orders)

    def effects(self) -> dict[str, Order]:
        """The numbers that moved money, or closed something."""
        return {number: order for number, order in self._book.orders.items() if order.times}

    def facts(self) -> Mapping[str, Telling]:
        """What happened outside of all orders, by event."""
        return MappingProxyType(self._book.facts)

    # A request.

    def _handle(self, request: Request, now: int) -> Handling:
        line = self._lines.get(request.url.partition(":")[0])
        if line is None:
            return Handling(Reply(404, b""))
        try:
            ask = sandbox.open_request(line, request)
        except SignatureInvalid:
            return Handling(Reply(401, b""))
        except ValueError:
            return Handling(Reply(400, b""))
        order = self._book.orders.get(ask.number)
        if order is not None and not is_about(ask, line.scheme, order):
            return Handling(Reply(400, b""))
        if ask.action in COMMANDS[line.scheme]:
            return self._submit(line, ask, now)
        if ask.action == "status":
            return Handling(sandbox.reply_of(line, self._inquire(ask)))
        if ask.action == "withdraw" and line.scheme == CARD:
            return Handling(sandbox.reply_of(line, self._withdraw(ask)))
        return Handling(Reply(400, b""))

    def _submit(self, line: Line, ask: Ask, now: int) -> Handling:
        order = self._book.orders.get(ask.number) or order_of(ask, line.scheme)
        order = self._book.keep(replace(order, submissions=order.submissions + 1))
        if not self._may_land(order):
            is_repeated = order.action in ("close", "void") and order.result is Result.SUCCEEDED
            word = "already_done" if is_repeated else order.result
            return Handling(sandbox.reply_of(line, answer_of(order, word)))
        play = self._play(order)
        if play.lands_after_ms == 0:
            order = self._enter(order, play, now)
            answer = answer_of(order, order.result)
        else:
            answer = replace(answer_of(order, Result.DECLINED), code=play.code)
        if play.lands_after_ms:
            self._book.schedule(order, "land", now + play.lands_after_ms, order.minor)
        return Handling(reply_in(play.manner, line, answer), play.wait_ms)

    def _may_land(self, order: Order) -> bool:
        """A number acts once; on the rail at every submission, unless it was refused."""
        acts_again = order.scheme == RAIL or CONDUCTS[order.script].acts_again
        return order.result is Result.ABSENT or (acts_again and order.result not in OVER)

    def _play(self, order: Order) -> Play:
        if order.result is not Result.ABSENT:
            return PLAIN
        plays = CONDUCTS[order.script].submissions
        play = plays[min(order.submissions, len(plays)) - 1]
        if play.code == "stored_refusal" and self._has_stored_refusal(order):
            return PLAIN
        return play

    def _has_stored_refusal(self, order: Order) -> bool:
        return any(
            (other.code, other.action, other.minor) == ("stored_refusal", order.action, order.minor)
            for other in self._book.of_payment(order.payment)
        )

    def _inquire(self, ask: Ask) -> Answer:
        order = self._book.orders.get(ask.number)
        if order is None:
            return answer_of(order_of(ask, CARD), Result.ABSENT)
        if order.inquiries < CONDUCTS[order.script].inquiries_denied:
            self._book.keep(replace(order, inquiries=order.inquiries + 1))
            return answer_of(order, Result.ABSENT)
        return answer_of(order, order.result)

    def _withdraw(self, ask: Ask) -> Answer:
        order = self._book.orders.get(ask.number)
        if order is None or order.result in (Result.ABSENT, Result.WITHDRAWN):
            return self._inquire(ask)
        if order.result is not Result.PENDING:
            return answer_of(order, "too_late")
        order = self._book.keep(replace(order, result=Result.WITHDRAWN, withdrawn=True))
        return answer_of(order, Result.WITHDRAWN)

    # What it does.

    def _enter(self, order: Order, play: Play, now: int) -> Order:
        """The submission has landed."""
        code = self._obstacle(order) or play.code
        if code:
            order = self._book.keep(replace(order, result=Result.DECLINED, code=code))
            self._schedule_all(order, CONDUCTS[order.script].after_decline, now)
            return order
        if play.becomes is Result.PENDING:
            self._book.schedule(order, "act", now + play.acts_after_ms, order.minor)
            return self._book.keep(replace(order, result=Result.PENDING))
        return self._act(order, now)

    def _obstacle(self, order: Order) -> str:
        """What is closed is not paid, and what is paid is not closed."""
        if order.action == "close":
            paid = self._book.orders.get(order.payment_number)
            return "already_captured" if paid is not None and paid.times else ""
        is_closed = order.action == "pay" and any(
            other.action == "close" and other.times
            for other in self._book.of_payment(order.payment)
        )
        return "refused" if is_closed else ""

    def _act(self, order: Order, now: int) -> Order:
        """The money moves."""
        order = self._book.keep(replace(order, result=Result.SUCCEEDED, times=order.times + 1))
        self._schedule_all(order, CONDUCTS[order.script].after_effect, now)
        paying = self._book.orders.get(order.payment_number) if order.action == "close" else None
        if paying is not None and paying.result is Result.PENDING:
            self._book.keep(replace(paying, result=Result.DECLINED, code="refused"))
        return order

    # What comes later.

    def _advance(self, now: int) -> None:
        while (due := self._book.take_due(now)) is not None:
            order = self._book.orders[due.number]
            if due.type in ("land", "act"):
                self._book.forget(due.id)
                if due.type == "land" and self._may_land(order):
                    self._enter(order, PLAIN, due.at)
                elif due.type == "act" and order.result not in OVER:
                    self._act(order, due.at)
                continue
            if due.type == "instruction.bounced":
                self._book.keep(replace(order, result=Result.BOUNCED, bounced=True))
            elif not due.type.startswith("instruction."):
                self._book.note(telling_of(due, order))
            self._outbox.append(due)

    def _schedule_all(self, order: Order, later: tuple[Later, ...], now: int) -> None:
        for each in later:
            minor = order.minor if each.minor is None else each.minor
            self._book.schedule(order, each.type, now + each.after_ms, minor)
