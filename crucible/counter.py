"""What the bank makes of a request, and of what falls due: a state machine over its book."""

from __future__ import annotations

import random
from dataclasses import dataclass

from crucible import book as words
from crucible import conduct as ways
from crucible.book import Book, Order
from crucible.conduct import Conduct
from crucible.letters import ACTIONS, CARD, RAIL, Answer, Ask, Telling, is_signed, read_ask

DELAY_MS_MAX = 400  # Of a notice, by chance: so they overtake each other.


@dataclass(frozen=True, slots=True)
class Reply:
    """Without a status the connection is closed. A signed one carries an answer."""

    status: int | None
    answer: Answer | None = None
    wait_ms: int = 0


LOST = Reply(None)


class Counter:
    def __init__(self, book: Book, *, key: bytes, seed: int) -> None:
        self.book = book
        self.key = key
        self.is_honest = False  # From now on every new number is treated well.
        self._seed = seed
        self._chance = random.Random(seed)

    def receive(self, scheme: str, action: str, body: bytes, signature: str, now: int) -> Reply:
        if scheme not in ACTIONS:
            return Reply(404)
        if not is_signed(self.key, body, signature, scheme=scheme, sort="request"):
            return Reply(401)
        ask = read_ask(body)
        order = None if ask is None else self.book.state.orders.get(ask.number)
        if ask is None or ask.action != action or not _is_about(ask, scheme, order):
            return Reply(400)
        if action in ACTIONS[scheme]:
            return self._submit(scheme, ask, now)
        if action == "status":
            return Reply(200, _answer(order, ask))
        if action == "withdraw" and scheme == CARD:
            return Reply(200, self._withdraw(order, ask))
        return Reply(400)

    def run_due(self, now: int) -> None:
        """Do what was to happen later."""
        for due in sorted(self.book.state.dues.values(), key=lambda line: int(line["at"])):
            if due["at"] > now:
                return
            order = self.book.state.orders[due["number"]]
            self.book.write("done", id=due["id"])
            if due["deed"] == "land" and _may_land(order):
                self._land(order, now)
            elif due["deed"] == "act" and _may_act(order):
                self._act(order, now)

    # A submission.

    def _submit(self, scheme: str, ask: Ask, now: int) -> Reply:
        fields = {name: getattr(ask, name) for name in Ask.__slots__}
        self.book.write("submitted", number=ask.number, at=now, scheme=scheme, ask=fields)
        order = self.book.state.orders[ask.number]
        if not _may_land(order):
            is_again = ask.action in ("close", "void") and order.result == words.SUCCEEDED
            return Reply(200, _answer(order, ask, "already_done" if is_again else ""))
        conduct = self._conduct_of(order) if order.submissions == 1 else ways.HONEST
        match conduct.way:
            case ways.REQUEST_LOST:
                return LOST
            case ways.UNAVAILABLE:
                return Reply(503)
            case ways.LANDS_LATE:
                self._later("land", order, now + conduct.later_ms)
                return LOST
            case ways.PENDING if not self._obstacle(order):
                self.book.write("became", number=ask.number, result=words.IS_PENDING)
                self._later("act", order, now + conduct.later_ms)
            case ways.DECLINED:
                self._decline(order, "refused")
            case ways.CAPTURED_FIRST:
                self._decline(order, "already_captured")
                self._tell(order, "payment.captured", ask.minor, now)
            case _:
                self._land(order, now)
        if conduct.way == ways.REPLY_LOST:
            return LOST
        wait_ms = conduct.later_ms if conduct.way == ways.SLOW else 0
        return Reply(200, _answer(order, ask), wait_ms)

    def _conduct_of(self, order: Order) -> Conduct:
        if self.is_honest:
            return ways.HONEST
        ask = order.ask
        return ways.draw(self._seed, ask.number, ask.action, ask.minor)

    def _land(self, order: Order, now: int) -> None:
        code = self._obstacle(order)
        if code:
            self._decline(order, code)
        else:
            self._act(order, now)

    def _obstacle(self, order: Order) -> str:
        """What is closed is not paid, and what is paid is not closed."""
        state, ask = self.book.state, order.ask
        if ask.action == "close":
            paid = state.orders.get(ask.payment_number)
            return "already_captured" if paid is not None and paid.times else ""
        is_closed = ask.action == "pay" and any(
            other.ask.action == "close" and other.times for other in state.of_payment[ask.payment]
        )
        return "refused" if is_closed else ""

    def _act(self, order: Order, now: int) -> None:
        """The money moves."""
        ask = order.ask
        self.book.write("effect", number=ask.number, at=now)
        paying = self.book.state.orders.get(ask.payment_number) if ask.action == "close" else None
        if paying is not None and paying.result == words.IS_PENDING:
            self._decline(paying, "refused")
        conduct = self._conduct_of(order)
        if conduct.is_told:
            self._tell(order, "instruction.succeeded", ask.minor, now)
        if conduct.disputed and order.times == 1:
            opened_at = now + conduct.dispute_after_ms
            self._tell(order, "chargeback.opened", conduct.disputed, opened_at)
            ends = f"chargeback.{conduct.dispute_ends}"
            self._tell(order, ends, conduct.disputed, opened_at + conduct.dispute_lasts_ms)

    def _decline(self, order: Order, code: str) -> None:
        self.book.write("became", number=order.ask.number, result=words.IS_DECLINED, code=code)

    def _withdraw(self, order: Order | None, ask: Ask) -> Answer:
        if order is None or order.result in (words.ABSENT, words.WITHDRAWN):
            return _answer(order, ask)
        if order.result != words.IS_PENDING:
            return _answer(order, ask, "too_late")
        self.book.write("became", number=ask.number, result=words.WITHDRAWN)
        return _answer(order, ask)

    # What comes later.

    def _later(self, deed: str, order: Order, at: int) -> None:
        due = self.book.state.last_due + 1
        self.book.write("due", id=due, at=at, number=order.ask.number, deed=deed)

    def _tell(self, order: Order, what: str, minor: int, now: int) -> None:
        ask = order.ask
        subject = what.partition(".")[0]
        reference = _reference(order)
        told = Telling(
            event=f"{what}_{reference}",
            type=what,
            payment=ask.payment,
            minor=minor,
            currency=ask.currency,
            at=now,
            number=ask.number if subject == "instruction" else "",
            id=reference if subject == "instruction" else f"{subject}_{reference}",
        )
        self.book.write(
            "telling",
            event=told.event,
            type=what,
            scheme=order.scheme,
            payment=ask.payment,
            minor=minor,
            at=now + self._chance.randint(0, DELAY_MS_MAX),
            body=told.encode().decode(),
        )


def _is_about(ask: Ask, scheme: str, order: Order | None) -> bool:
    """Whether it says of the number what was said of it before."""
    if order is None:
        return True
    known = order.ask
    return (
        (ask.payment, ask.minor, ask.currency) == (known.payment, known.minor, known.currency)
        and ask.action in (known.action, "status", "withdraw")
        and scheme == order.scheme
    )


def _may_land(order: Order) -> bool:
    """A number acts once; on the rail at every submission, unless it was refused."""
    is_again = order.scheme == RAIL and order.result not in words.OVER
    return order.result == words.ABSENT or is_again


def _may_act(order: Order) -> bool:
    is_again = order.scheme == RAIL and order.result not in words.OVER
    return order.result == words.IS_PENDING or is_again


def _answer(order: Order | None, ask: Ask, word: str = "") -> Answer:
    result = word or (order.result if order is not None else words.ABSENT)
    has_reference = order is not None and result != words.ABSENT
    return Answer(
        result=result,
        number=ask.number,
        payment=ask.payment,
        minor=ask.minor,
        currency=ask.currency,
        reference=_reference(order) if order is not None and has_reference else "",
        code=order.code if order is not None and result == words.IS_DECLINED else "",
    )


def _reference(order: Order) -> str:
    """Of what was done last: a bank that acts twice gives two names."""
    again = f"_{order.times}" if order.times > 1 else ""
    return f"bank_{order.ask.number}{again}"
