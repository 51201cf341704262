"""What became of an attempt, in our words: a closed set, each with its evidence."""

from __future__ import annotations

from msgspec import Struct

from contraflow.domain.money import Money
from contraflow.domain.word import Word


class Retry(Word):
    """What a decline says about trying again."""

    NEVER = "never"
    SAME_NUMBER_LATER = "same_number_later"  # A rate limit, a busy line.
    NEW_NUMBER = "new_number"  # The channel has stored the refusal under this number.


class Proof(Word):
    """Why an answer may be believed."""

    NONE = "none"
    SIGNATURE = "signature"  # The channel signed these very bytes.
    QUERY = "query"  # An authenticated question, answered about this number.
    PERSON = "person"  # An operator, with evidence in words.


class Evidence(Struct, frozen=True, gc=False, omit_defaults=True):
    """What the channel said, kept with the event; no secret and no card number is in it."""

    proof: Proof = Proof.NONE
    code: str = ""  # In the channel's own words.
    message: str = ""
    status: int = 0  # Of HTTP, where there is one.
    request_sha256: str = ""
    reply_sha256: str = ""


NO_EVIDENCE = Evidence()


class NotSent(Struct, frozen=True, tag=True, gc=False):
    """No byte left; said by the transport alone."""

    evidence: Evidence = NO_EVIDENCE


class Accepted(Struct, frozen=True, tag=True, gc=False):
    """The channel has it and will tell later."""

    reference: str = ""  # The channel's own name for it, once known.
    poll_after_ms: int = 0
    evidence: Evidence = NO_EVIDENCE


class Succeeded(Struct, frozen=True, tag=True, gc=False):
    """The money moved, or the payment was closed: this much, of this payment."""

    amount: Money
    payment_id: str
    reference: str = ""
    evidence: Evidence = NO_EVIDENCE


class Declined(Struct, frozen=True, tag=True, gc=False):
    """The channel said no. Final only if no earlier attempt can still be travelling."""

    retry: Retry
    is_captured: bool = False  # A close or void that came after the capture.
    evidence: Evidence = NO_EVIDENCE


class Unknown(Struct, frozen=True, tag=True, gc=False):
    """We cannot tell; inquire before anything else."""

    evidence: Evidence = NO_EVIDENCE


class NotFound(Struct, frozen=True, tag=True, gc=False):
    """The channel knows no such number; proves nothing until every attempt is dead."""

    evidence: Evidence = NO_EVIDENCE


class Withdrawn(Struct, frozen=True, tag=True, gc=False):
    """The channel has taken the instruction back; it will never act on it."""

    evidence: Evidence = NO_EVIDENCE


class Bounced(Struct, frozen=True, tag=True, gc=False):
    """The money moved, and came back."""

    amount: Money
    payment_id: str
    reference: str = ""
    evidence: Evidence = NO_EVIDENCE


Outcome = NotSent | Accepted | Succeeded | Declined | Unknown | NotFound | Withdrawn | Bounced
