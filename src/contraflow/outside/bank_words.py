"""What the bank has in its book, in the words of its lines; lies included."""

from __future__ import annotations

from types import MappingProxyType

from contraflow.outside.bank_book import Due, Order
from contraflow.outside.bank_scripts import CONDUCTS, Manner, script_of
from contraflow.wire import sandbox
from contraflow.wire.exchange import Reply
from contraflow.wire.sandbox import Answer, Ask, Line, Telling

NAMES = MappingProxyType({"payment": "cap", "refund": "ref", "chargeback": "case"})
GARBLED = b"<html><body>It works!</body></html>"


def order_of(ask: Ask, scheme: str) -> Order:
    return Order(
        number=ask.number,
        scheme=scheme,
        payment=ask.payment,
        action=ask.action,
        minor=ask.minor,
        currency=ask.currency,
        payment_number=ask.payment_number,
        script=script_of(ask.instrument, ask.action),
    )


def is_about(ask: Ask, scheme: str, order: Order) -> bool:
    """Whether it says of the number what was said before."""
    return (
        (ask.payment, ask.minor, ask.currency) == (order.payment, order.minor, order.currency)
        and ask.action in (order.action, "status", "withdraw")
        and scheme == order.scheme
    )


def answer_of(order: Order, word: str) -> Answer:
    conduct = CONDUCTS[order.script]
    other = "USD" if order.currency == "EUR" else "EUR"
    return Answer(
        result=word,
        number=order.number,
        payment=order.payment,
        minor=order.minor + conduct.names_minor_more,
        currency=other if conduct.names_other_currency else order.currency,
        reference="" if word == "absent" else _reference("bank", order),
        code=order.code if word == "declined" else "",
    )


def telling_of(due: Due, order: Order) -> Telling:
    """Equal for equal tellings, its event too."""
    subject = due.type.partition(".")[0]
    is_about_order = subject == "instruction"
    return Telling(
        event=_reference(due.type, order),
        type=due.type,
        payment=order.payment,
        minor=due.minor + (CONDUCTS[order.script].names_minor_more if is_about_order else 0),
        currency=order.currency,
        at=due.at,
        number=order.number if is_about_order else "",
        id=_reference("bank" if is_about_order else NAMES[subject], order),
    )


def reply_in(manner: Manner, line: Line, answer: Answer) -> Reply | None:
    match manner:
        case Manner.SIGNED:
            return sandbox.reply_of(line, answer)
        case Manner.LIMITED:
            return sandbox.reply_of(line, answer, status=429)
        case Manner.UNAVAILABLE:
            return Reply(503, b"")
        case Manner.GARBLED:
            return Reply(200, GARBLED)
        case Manner.LOST:
            return None


def _reference(prefix: str, order: Order) -> str:
    """Of what was done last: a bank that acts twice gives two names."""
    again = f"_{order.times}" if order.times > 1 else ""
    return f"{prefix}_{order.number}{again}"
