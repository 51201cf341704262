"""What a channel tells unasked: facts, each under the channel's own id for the telling."""

from __future__ import annotations

from msgspec import Struct

from contraflow.domain.money import Money
from contraflow.domain.outcome import NO_EVIDENCE, Evidence, Outcome
from contraflow.domain.word import Word


class Answered(Struct, frozen=True, tag=True, gc=False):
    """What became of an instruction, by its number."""

    number: str
    outcome: Outcome


class Authorized(Struct, frozen=True, tag=True, gc=False):
    payment_id: str
    amount: Money


class Captured(Struct, frozen=True, tag=True, gc=False):
    """Money was taken that no instruction of ours had asked for, perhaps after the end.

    What became of a pay or capture of ours is `Answered` with its number, never this.
    """

    payment_id: str
    capture_id: str  # The channel's; captures of one payment add up.
    amount: Money


class Expired(Struct, frozen=True, tag=True, gc=False):
    payment_id: str


class Dispute(Word):
    OPENED = "opened"  # The payer's bank took the money.
    WON = "won"  # By the merchant: the money came back.
    LOST = "lost"


class ChargedBack(Struct, frozen=True, tag=True, gc=False):
    payment_id: str
    case_id: str  # The channel's, equal over the life of the dispute.
    dispute: Dispute
    amount: Money


class RefundedElsewhere(Struct, frozen=True, tag=True, gc=False):
    """A refund that nobody asked us for: made in the channel's own console."""

    payment_id: str
    refund_id: str
    amount: Money


Fact = Answered | Authorized | Captured | Expired | ChargedBack | RefundedElsewhere


class Observation(Struct, frozen=True, gc=False):
    event_id: str  # The channel's own: the same one twice is the same telling.
    fact: Fact
    evidence: Evidence = NO_EVIDENCE
