"""Everything a batch of commands needs to know, loaded before anything is decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct

from contraflow.domain.cases import Case
from contraflow.domain.facts import BookedFact
from contraflow.domain.instruction import Instruction
from contraflow.domain.payment import Payment
from contraflow.domain.policy import Policy


class Snapshot(Struct, frozen=True):
    now: int  # The store's clock, in milliseconds.
    policy: Policy
    payments: Mapping[str, Payment]
    instructions: Mapping[str, Instruction]
    numbers: Mapping[str, str]  # Instruction ids by number, those of old generations included.
    facts: Mapping[str, BookedFact]
    cases: Mapping[str, Case]
    holds: Collection[str]  # Scopes in which nothing is sent.
    quarantined: Collection[str]
