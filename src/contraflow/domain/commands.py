"""What the engine can be asked to do. Every change of state starts as one of these.

Client commands have a key and are answered with a receipt. Internal commands have a fence, and a
stale one is refused. Facts have happened: they are booked once and never argued with.
"""

from __future__ import annotations

from msgspec import Struct

from contraflow.domain.events import Asked
from contraflow.domain.instruction import Fence, Timing
from contraflow.domain.money import Money
from contraflow.domain.observation import Observation
from contraflow.domain.outcome import Outcome
from contraflow.domain.owner import Owner
from contraflow.domain.payment import Capturing
from contraflow.domain.word import Word


class Line(Struct, frozen=True, gc=False):
    """A line of a file that a command came from; its answer is kept in the same commit."""

    source: str  # SHA-256 of the file, in hexadecimal.
    number: int


class Nonce(Struct, frozen=True, gc=False):
    """Of a signed request: what may be used once, and a hash of all that was signed with it."""

    nonce_id: str  # With the key that signed.
    digest: bytes  # 32 bytes.


class Keyed(Struct, frozen=True, kw_only=True, gc=False):
    """A client command. The same key and fingerprint get the same receipt, for ever."""

    key: str  # With its tenant.
    fingerprint: bytes  # Of the whole request, its route included.
    line: Line | None = None
    labels: str = "{}"  # Canonical JSON of `Labels`.
    owner: Owner | None = None  # Who may only touch what is its own; None may touch all.
    nonce: Nonce | None = None

    @property
    def asked(self) -> Asked:
        return Asked(self.key, self.labels)


class RecordPayment(Keyed, frozen=True, kw_only=True, gc=False):
    """A payment that was authorised or captured elsewhere."""

    payment_id: str
    channel: str
    method: str = ""
    instrument: str = ""
    amount: Money
    is_captured: bool


class CreatePayment(Keyed, frozen=True, kw_only=True, gc=False):
    """Take a payment through its channel."""

    payment_id: str
    channel: str
    method: str = ""
    instrument: str = ""
    amount: Money
    capturing: Capturing
    expires_at: int | None = None


class RecordCapture(Keyed, frozen=True, kw_only=True, gc=False):
    """Money of a recorded payment was captured elsewhere."""

    payment_id: str
    amount: Money


class RequestCapture(Keyed, frozen=True, kw_only=True, gc=False):
    payment_id: str
    amount: Money | None = None  # None: all that is authorised and free.


class RequestCancel(Keyed, frozen=True, kw_only=True, gc=False):
    """Close a payment that was never paid, or void one that was not captured."""

    payment_id: str
    timing: Timing = Timing.ASYNCHRONOUS


class RequestRefund(Keyed, frozen=True, kw_only=True, gc=False):
    payment_id: str
    amount: Money
    capture_id: str = ""
    expected_refundable: int | None = None  # What the caller believes is left, in minor units.
    timing: Timing = Timing.ASYNCHRONOUS
    for_review: bool = False  # Hold it for a person.


class RequestReversal(Keyed, frozen=True, kw_only=True, gc=False):
    """Undo so much of the payment, or all that is left, by whatever ways it takes."""

    payment_id: str
    amount: Money | None = None
    timing: Timing = Timing.ASYNCHRONOUS


class WithdrawReversal(Keyed, frozen=True, kw_only=True, gc=False):
    instruction_id: str


class ReleaseHold(Keyed, frozen=True, kw_only=True, gc=False):
    instruction_id: str


class RejectHold(Keyed, frozen=True, kw_only=True, gc=False):
    instruction_id: str


class Resolution(Word):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REDIRECT = "redirect"  # Send it again; only where that cannot act twice.
    CLOSED = "closed"  # Of a case that is no reversal: looked at, nothing more to do.


class ResolveCase(Keyed, frozen=True, kw_only=True, gc=False):
    """A person decides what the engine cannot: about an instruction in attention, or a case."""

    object_id: str
    resolution: Resolution
    evidence: str  # In words; kept for ever.


class SwitchHold(Keyed, frozen=True, kw_only=True, gc=False):
    """Stop (or allow) sending, while requests are still taken and queued."""

    scope: str  # `all`, `channel:NAME` or `merchant:TENANT`.
    is_on: bool


class Fenced(Struct, frozen=True, kw_only=True, gc=False):
    """An internal command. It counts only if nobody has touched the instruction since."""

    fence: Fence


class MarkSent(Fenced, frozen=True, kw_only=True, gc=False):
    """Said before the first byte leaves, so that a crash never hides a submission."""

    leave_by: int
    lease_until: int


class ClaimInquiry(Fenced, frozen=True, kw_only=True, gc=False):
    """Said before asking the channel, so that one worker asks at a time."""

    lease_until: int


class RecordOutcome(Fenced, frozen=True, kw_only=True, gc=False):
    outcome: Outcome
    asked_at: int  # When the request that was answered was made.
    again_at: int  # When to look again, if the outcome settles nothing.
    of_withdrawal: bool = False  # It answers the wish to take it back, not the instruction.


class FireTimer(Fenced, frozen=True, kw_only=True, gc=False):
    """A deadline has passed: of the undo window, of a hold, of waiting to be sent."""


class ExpirePayment(Struct, frozen=True, kw_only=True, gc=False):
    """The payer may no longer pay: start closing it."""

    payment_id: str


class RecordFact(Struct, frozen=True, kw_only=True, gc=False):
    """A verified notice. Unique by (channel, event id); one about an unknown object is parked."""

    channel: str
    observation: Observation


class RetryParked(Struct, frozen=True, kw_only=True, gc=False):
    """Try a parked fact again: its object may be known by now."""

    channel: str
    observation: Observation
    again_at: int  # Not before this time.


class Quarantine(Struct, frozen=True, kw_only=True, gc=False):
    """Set an object aside that fails our own checks, so that it does not stop the rest."""

    object_id: str
    detail: str


ClientCommand = (
    RequestRefund
    | RequestCancel
    | RequestReversal
    | WithdrawReversal
    | RecordPayment
    | CreatePayment
    | RecordCapture
    | RequestCapture
    | ReleaseHold
    | RejectHold
    | ResolveCase
    | SwitchHold
)
InternalCommand = MarkSent | ClaimInquiry | RecordOutcome | FireTimer | ExpirePayment | Quarantine
Command = ClientCommand | InternalCommand | RecordFact | RetryParked
