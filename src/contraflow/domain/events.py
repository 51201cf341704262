"""What has happened. In the past tense, never edited: outbox and audit at once."""

from __future__ import annotations

from msgspec import Struct

from contraflow.domain.cases import Case
from contraflow.domain.facts import BookedFact
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import PaymentStep, Step
from contraflow.domain.outcome import NO_EVIDENCE, Evidence
from contraflow.domain.payment import Payment
from contraflow.domain.word import Word


class Asked(Struct, frozen=True, gc=False):
    """Who asked for it: the key of the request and what came with it; empty for the engine."""

    key: str = ""
    labels: str = ""


NOBODY = Asked()


class InstructionMoved(Struct, frozen=True, gc=False):
    """It took one step of its life; `instruction` is as it was right after."""

    step: Step
    instruction: Instruction
    excess: int = 0  # By how much the loss of the payment rose, or fell.
    evidence: Evidence = NO_EVIDENCE
    asked: Asked = NOBODY  # By whom, if not by the request that made it.


class Note(Word):
    WITHDRAWAL_ASKED = "withdrawal_asked"
    WITHDRAWAL_REFUSED = "withdrawal_refused"
    ANSWERED = "answered"  # The channel said something that settles nothing.
    REDIRECTED = "redirected"  # An operator wants it sent again.


class InstructionNoted(Struct, frozen=True, gc=False):
    """Something worth keeping that is no step of its life."""

    note: Note
    instruction: Instruction
    evidence: Evidence = NO_EVIDENCE
    asked: Asked = NOBODY


class PaymentMoved(Struct, frozen=True, gc=False):
    step: PaymentStep
    payment: Payment
    minor: int  # What was recorded, authorised, captured or set free.
    excess: int = 0
    evidence: Evidence = NO_EVIDENCE
    is_late: bool = False  # It came after we believed the payment over.


class FactBooked(Struct, frozen=True, gc=False):
    """A chargeback took a step, or a refund was made elsewhere."""

    fact: BookedFact
    payment: Payment
    taken: int  # Minor units that left; negative where they came back.
    excess: int
    evidence: Evidence = NO_EVIDENCE


class CaseOpened(Struct, frozen=True, gc=False):
    case: Case


class CaseClosed(Struct, frozen=True, gc=False):
    case: Case
    evidence: str  # In words.
    asked: Asked = NOBODY


class HoldSwitched(Struct, frozen=True, gc=False):
    scope: str
    is_on: bool
    key: str  # Of the request; the object of this event.


Event = (
    InstructionMoved
    | InstructionNoted
    | PaymentMoved
    | FactBooked
    | CaseOpened
    | CaseClosed
    | HoldSwitched
)
