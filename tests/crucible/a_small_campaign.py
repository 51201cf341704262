"""A campaign of two refunds, told as its judge is told it: everything in it is well."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from crucible.book import Book
from crucible.evidence import Evidence, read_export, read_feed, read_logs
from crucible.letters import Ask

Row = dict[str, Any]

NUMBER = "A" * 26
OTHER = "B" * 26
PAYMENT = "main/p1"


def receipt(number: str, minor: int) -> Row:
    leg = {"id": f"main/{number}", "kind": "refund", "minor": minor, "number": number}
    return {"v": 1, "at": 5, "decision": "accepted", "legs": [leg], "payment": PAYMENT}


def refund(number: str, key: str, minor: int) -> Row:
    return {
        "table": "instructions",
        "instruction_id": f"main/{number}",
        "payment_id": PAYMENT,
        "kind": "refund",
        "minor": minor,
        "currency": "EUR",
        "key": f"main/{key}",
        "state": "succeeded",
        "number": number,
        "sequence": 2,
    }


def event(position: int, name: str, sequence: int, **body: object) -> Row:
    told = {"id": name, "sequence": sequence, "payment": PAYMENT, **body}
    return {
        "table": "events",
        "position": position,
        "object_id": name,
        "sequence": sequence,
        "body": json.dumps(told),
    }


def events_of_refund(position: int, number: str, minor: int) -> list[Row]:
    name, told = f"main/{number}", {"kind": "refund", "number": number, "minor": minor}
    return [
        event(position, name, 1, step="request", **told),
        event(position + 1, name, 2, step="succeed", **told),
    ]


def entry(debit: str, credit: str, minor: int) -> Row:
    account = {"debit": f"main/card/{debit}", "credit": f"main/card/{credit}"}
    return {"table": "entries", **account, "minor": minor, "currency": "EUR"}


def balance(account: str, minor: int) -> Row:
    name = f"main/card/{account}"
    return {"table": "balances", "account": name, "currency": "EUR", "balance": minor}


EXPORT: list[Row] = [
    {
        "table": "payments",
        "payment_id": PAYMENT,
        "channel": "card",
        "currency": "EUR",
        "capturing": "manual",
        "authorized": 1_000,
        "captured": 1_000,
        "capture_in_flight": 0,
        "voided": 0,
        "void_in_flight": 0,
        "reserved": 0,
        "refunded": 900,
        "charged_back": 100,
        "excess": 0,
        "unknown": 0,
        "closing": 0,
        "sequence": 2,
    },
    refund(NUMBER, "c0-1-0", 600),
    refund(OTHER, "c0-2-0", 300),
    {"table": "receipts", "key": "main/c0-1-0", "body": receipt(NUMBER, 600)},
    {"table": "receipts", "key": "main/c0-2-0", "body": receipt(OTHER, 300)},
    {
        "table": "facts",
        "fact_id": f"{PAYMENT}/chargeback/chargeback_bank_{NUMBER}",
        "kind": "chargeback",
        "payment_id": PAYMENT,
        "minor": 100,
        "state": "opened",
    },
    {"table": "facts", "fact_id": f"notice/card/chargeback.opened_bank_{NUMBER}", "kind": "notice"},
    event(1, PAYMENT, 1, step="record", minor=1_000),
    *events_of_refund(2, NUMBER, 600),
    event(4, PAYMENT, 2, minor=100),
    *events_of_refund(5, OTHER, 300),
    entry("channel.receivable", "merchant.payable", 1_000),
    entry("merchant.payable", "refunds.in_flight", 900),
    entry("refunds.in_flight", "channel.receivable", 900),
    entry("merchant.payable", "channel.receivable", 100),
    balance("channel.receivable", 0),
    balance("merchant.payable", 0),
    balance("refunds.in_flight", 0),
]

LOG: list[Row] = [
    {"what": "ack", "key": "c0-1-0", "sent": 1.0, "got": 1.5, "receipt": receipt(NUMBER, 600)},
    {"what": "silence", "key": "c0-2-0", "sent": 1.5, "why": "TimeoutError"},
    {"what": "ack", "key": "c0-2-0", "sent": 2.0, "got": 2.5, "receipt": receipt(OTHER, 300)},
    {"what": "nothing", "key": "c0-3-0", "sent": 3.0, "got": 3.1, "code": "overloaded"},
    {"what": "left", "key": "c0-3-0"},
    {"what": "end", "answered": 2, "uncertain": 0},
]


def ask(number: str, minor: int) -> Row:
    fields = Ask(number, PAYMENT, "refund", minor, "EUR", "tok", "")
    return {name: getattr(fields, name) for name in Ask.__slots__}


BOOK: list[Row] = [
    {"what": "submitted", "number": NUMBER, "at": 1, "scheme": "sandbox", "ask": ask(NUMBER, 600)},
    {"what": "effect", "number": NUMBER, "at": 1},
    {
        "what": "telling",
        "event": f"chargeback.opened_bank_{NUMBER}",
        "type": "chargeback.opened",
        "scheme": "sandbox",
        "payment": PAYMENT,
        "minor": 100,
        "at": 2,
        "body": "{}",
    },
    {"what": "taken", "event": f"chargeback.opened_bank_{NUMBER}"},
    {"what": "submitted", "number": OTHER, "at": 3, "scheme": "sandbox", "ask": ask(OTHER, 300)},
    {"what": "effect", "number": OTHER, "at": 3},
]


class Campaign:
    """A copy of it all, to be spoiled by a test before it is judged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.export = copy.deepcopy(EXPORT)
        self.log = copy.deepcopy(LOG)
        self.book = copy.deepcopy(BOOK)
        self.feed = [
            {"position": row["position"], "event": json.loads(row["body"])}
            for row in EXPORT
            if row["table"] == "events"
        ]

    def row(self, table: str, at: int = 0) -> Row:
        return [row for row in self.export if row["table"] == table][at]

    def evidence(self) -> Evidence:
        book = Book(self.folder / "book")
        for line in self.book:
            book.write(**line)
        return Evidence(
            told=read_logs([self._written("log", self.log)]),
            book=book.state,
            export=read_export(json.dumps(row) for row in self.export),
            feed=read_feed(self._written("feed", self.feed)),
        )

    def _written(self, name: str, lines: Iterable[Row]) -> Path:
        path = self.folder / name
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path
