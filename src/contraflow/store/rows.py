"""Rows as values, in the order of the columns; the other way is `msgspec.structs.astuple`.

The innermost loops of the store: a column that is an enum is looked up, nothing else is touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from contraflow.domain.cases import Case, CaseKind, Parked
from contraflow.domain.facts import BookedFact, FactKind, FactState
from contraflow.domain.instruction import Instruction, Kind, Mode, Waiting, Withdrawal
from contraflow.domain.lifecycle import PaymentState, State
from contraflow.domain.observation import Observation
from contraflow.domain.payment import Capturing, Payment
from contraflow.store import Loaded

Row = tuple[Any, ...]
E = TypeVar("E", bound=StrEnum)


class Found(Struct, frozen=True):
    """What was loaded, and in which versions: what is saved must still be in them."""

    loaded: Loaded
    payment_versions: dict[str, int]
    instruction_versions: dict[str, int]


def _members(kind: type[E]) -> dict[str, E]:
    return {str(member): member for member in kind}


CAPTURINGS = _members(Capturing)
PAYMENT_STATES = _members(PaymentState)
KINDS = _members(Kind)
MODES = _members(Mode)
STATES = _members(State)
WITHDRAWALS = _members(Withdrawal)
WAITINGS = _members(Waiting)
IS = (False, True)

read_observation = msgspec.json.Decoder(Observation).decode


def payments_of(rows: Iterable[Row]) -> dict[str, Payment]:
    found: dict[str, Payment] = {}
    for _, *fields in rows:
        fields[6] = CAPTURINGS[fields[6]]
        fields[10] = PAYMENT_STATES[fields[10]]
        found[fields[0]] = Payment(*fields)
    return found


def instructions_of(rows: Iterable[Row]) -> dict[str, Instruction]:
    found: dict[str, Instruction] = {}
    for _, *fields in rows:
        fields[3] = KINDS[fields[3]]
        fields[4] = MODES[fields[4]]
        fields[9] = IS[fields[9]]
        fields[13] = STATES[fields[13]]
        fields[16] = WITHDRAWALS[fields[16]]
        fields[17] = WAITINGS[fields[17]]
        fields[25] = IS[fields[25]]
        found[fields[0]] = Instruction(*fields)
    return found


def facts_of(rows: Iterable[Row]) -> dict[str, BookedFact]:
    return {
        name: BookedFact(name, FactKind(kind), payment_id, minor, currency, FactState(state), at)
        for name, kind, payment_id, minor, currency, state, at in rows
    }


def cases_of(rows: Iterable[Row]) -> dict[str, Case]:
    return {row[0]: Case(row[0], CaseKind(row[1]), *row[2:]) for row in rows}


def parked_of(row: Row) -> Parked:
    notice_id, channel, body, due_at = row
    return Parked(notice_id, channel, read_observation(body), due_at)


def row_of_parked(parked: Parked) -> Row:
    body = msgspec.json.encode(parked.observation).decode()
    return (parked.notice_id, parked.channel, body, parked.due_at)
