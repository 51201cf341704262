"""The bank's book: a text file to which a line is added for everything that happens.

The state is what the lines add up to, so a bank that was killed goes on from its file.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crucible.letters import Ask

Line = dict[str, Any]

ABSENT = "absent"
IS_PENDING = "pending"
SUCCEEDED = "succeeded"
IS_DECLINED = "declined"
WITHDRAWN = "withdrawn"
OVER = (IS_DECLINED, WITHDRAWN)


@dataclass(slots=True)
class Order:
    """A number as the bank knows it."""

    ask: Ask
    scheme: str
    result: str = ABSENT
    code: str = ""
    submissions: int = 0
    submitted_at: list[int] = field(default_factory=list)
    effects_at: list[int] = field(default_factory=list)

    @property
    def times(self) -> int:
        return len(self.effects_at)


@dataclass(slots=True)
class State:
    """What all lines so far add up to."""

    orders: dict[str, Order] = field(default_factory=dict)
    of_payment: defaultdict[str, list[Order]] = field(default_factory=lambda: defaultdict(list))
    dues: dict[int, Line] = field(default_factory=dict)  # What will happen to an order.
    tellings: dict[str, Line] = field(default_factory=dict)  # By event, taken or not.
    untaken: dict[str, Line] = field(default_factory=dict)
    forged: list[Line] = field(default_factory=list)
    refused: list[Line] = field(default_factory=list)  # Valid notices that were called forged.
    last_due: int = 0


def apply(state: State, line: Line) -> None:
    match line["what"]:
        case "submitted":
            _submitted(state, line)
        case "effect":
            order = state.orders[line["number"]]
            order.effects_at.append(line["at"])
            order.result = SUCCEEDED
        case "became":
            order = state.orders[line["number"]]
            order.result, order.code = line["result"], line.get("code", "")
        case "due":
            state.dues[line["id"]] = line
            state.last_due = line["id"]
        case "done":
            del state.dues[line["id"]]
        case "telling":
            state.tellings[line["event"]] = state.untaken[line["event"]] = line
        case "taken":
            state.untaken.pop(line["event"], None)
        case "forged":
            state.forged.append(line)
        case "refused":
            state.refused.append(line)
        case other:
            raise ValueError(f"a line of the book that means nothing: {other}")


def _submitted(state: State, line: Line) -> None:
    number = line["number"]
    order = state.orders.get(number)
    if order is None:
        order = state.orders[number] = Order(Ask(**line["ask"]), line["scheme"])
        state.of_payment[order.ask.payment].append(order)
    order.submissions += 1
    order.submitted_at.append(line["at"])


class Book:
    """The file, open at its end. A line is with the kernel before anybody hears of it."""

    def __init__(self, path: Path) -> None:
        self.state = read_book(path)
        mend(path)
        self._file = path.open("a", encoding="utf-8")

    def write(self, what: str, **fields: object) -> None:
        line: Line = {"what": what, **fields}
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.flush()
        apply(self.state, line)


def mend(path: Path) -> None:
    """A last line without its end was torn by a kill: nobody has heard of it."""
    whole = path.read_bytes() if path.exists() else b""
    if not whole.endswith(b"\n") and whole:
        path.write_bytes(whole[: whole.rfind(b"\n") + 1])


def read_book(path: Path) -> State:
    state = State()
    for line in lines_of(path):
        apply(state, line)
    return state


def lines_of(path: Path) -> Iterator[Line]:
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for text in file:
            if text.endswith("\n"):
                yield json.loads(text)
