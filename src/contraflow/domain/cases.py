"""What waits for a person: the operator's queue, each case with its cause and a deadline."""

from __future__ import annotations

from msgspec import Struct

from contraflow.domain.observation import Observation
from contraflow.domain.word import Word

CASE_DEADLINE_MS = 3 * 24 * 3_600_000
PARKED_RETRY_MS = 60_000  # A parked fact is tried again so soon at first,
PARKED_RETRY_MS_MAX = 6 * 3_600_000  # and at least so often later.


class CaseKind(Word):
    """Why a person must look. An instruction in `attention` is a case of its own."""

    ATTENTION = "attention"
    OVER_REVERSAL = "over_reversal"  # More left than was captured.
    LATE_FACT = "late_fact"  # Money came after we believed the payment over.
    CONTRADICTION = "contradiction"  # Proof against a final state.
    PARKED_FACT = "parked_fact"  # About an unknown payment, or in another currency.
    QUARANTINED = "quarantined"  # Fails our own checks.


class Case(Struct, frozen=True, gc=False):
    case_id: str
    kind: CaseKind
    object_id: str  # The payment or instruction that it is about.
    opened_at: int
    deadline_at: int
    detail: str  # The evidence, in words or as canonical JSON.
    closed_at: int | None = None
    closed_by: str = ""  # The key of the request that closed it.


def open_case(kind: CaseKind, *, object_id: str, cause: str, now: int, detail: str = "") -> Case:
    """`cause` makes it unique: the same cause told twice is the same case."""
    case_id = f"{object_id}/{kind}/{cause}"
    return Case(case_id, kind, object_id, now, now + CASE_DEADLINE_MS, detail)


class Parked(Struct, frozen=True, gc=False):
    """A fact that waits for its object to be known."""

    notice_id: str
    channel: str
    observation: Observation
    due_at: int | None  # When it is tried again; None once it is applied or given up.
