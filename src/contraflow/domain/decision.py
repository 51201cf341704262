"""The answer of the rules to a command, and what a client is told about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from contraflow.domain.cases import Case, Parked
from contraflow.domain.events import Event
from contraflow.domain.facts import BookedFact
from contraflow.domain.instruction import Instruction
from contraflow.domain.payment import Payment
from contraflow.errors import ErrorCode

if TYPE_CHECKING:
    from contraflow.domain.commands import Command


class Accepted(Struct, frozen=True, kw_only=True, gc=False):
    """What changes. Of each kind usually none or one; `events` is empty where nothing moved."""

    payment: Payment | None = None
    instructions: tuple[Instruction, ...] = ()
    events: tuple[Event, ...] = ()
    facts: tuple[BookedFact, ...] = ()
    cases: tuple[Case, ...] = ()
    parked: Parked | None = None
    hold: tuple[str, bool] | None = None  # A scope, on or off.
    follow_ups: tuple[Command, ...] = ()  # Decided right after, in the same commit.


class Refused(Struct, frozen=True, gc=False):
    code: ErrorCode
    detail: str = ""


class Receipt(Struct, frozen=True, gc=False):
    """A decision as a client was told it: stored with the key, told again byte for byte."""

    key: str
    fingerprint: bytes
    body: bytes


class Told(Struct, frozen=True, gc=False):
    """What a client is told; the decision itself only when it was made just now."""

    receipt: Receipt
    is_replayed: bool  # The key was answered before.
    decision: Accepted | Refused | None = None


class Verdict(Struct, frozen=True, gc=False):
    """What the risk rules think of a command."""

    rejected_by: str | None = None


NO_OBJECTION = Verdict()

Decision = Accepted | Refused
Answer = Told | Decision  # What a client is told, or any other command's decision.
