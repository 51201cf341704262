"""What we ask a channel to do about one payment; its row is also its job.

Pay and capture are the payment commands; close, void and refund are the reversals.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from contraflow.domain.ids import number_for
from contraflow.domain.lifecycle import FINAL, TRANSITIONS, State, Step
from contraflow.domain.money import Money
from contraflow.domain.word import Word


class Kind(Word):
    PAY = "pay"
    CAPTURE = "capture"
    CLOSE = "close"  # Never paid.
    VOID = "void"  # Authorised, not captured.
    REFUND = "refund"  # Captured.


CANCELS = frozenset({Kind.CLOSE, Kind.VOID})
REVERSALS = CANCELS | {Kind.REFUND}


class Mode(Word):
    """The four modes of undoing a payment; the route is the same, the mode is when we answer."""

    SYNCHRONOUS_CANCEL = "synchronous_cancel"
    ASYNCHRONOUS_CANCEL = "asynchronous_cancel"
    SYNCHRONOUS_REFUND = "synchronous_refund"
    ASYNCHRONOUS_REFUND = "asynchronous_refund"
    NONE = "none"  # Of a payment command.


class Timing(Word):
    SYNCHRONOUS = "synchronous"  # The caller waits for the end.
    ASYNCHRONOUS = "asynchronous"  # The caller is told where to look.


MODES: Mapping[tuple[Kind, Timing], Mode] = MappingProxyType(
    {
        (kind, timing): Mode(f"{timing}_{'refund' if kind is Kind.REFUND else 'cancel'}")
        for kind in REVERSALS
        for timing in Timing
    }
)


def mode_of(kind: Kind, timing: Timing) -> Mode:
    return MODES.get((kind, timing), Mode.NONE)


class Withdrawal(Word):
    """Whether its owner wants it back: a field and not a state, so asking forgets nothing."""

    NONE = "none"
    ASKED = "asked"
    REFUSED = "refused"  # The channel was faster.
    DONE = "done"


class Waiting(Word):
    """What it waits for; told outside as its pending reason."""

    NOTHING = ""
    UNDO_WINDOW = "undo_window"
    REVIEW = "review"
    REDIRECT = "redirect"  # An operator wants it sent again; the next mark does it.
    PERSON = "person"  # The channel contradicts itself: only a person may end it.


class Labels(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What people and systems outside call things; kept as told, read by no rule."""

    reason: str = ""
    actor: str = ""  # The operator.
    source: str = ""  # The door.
    api_key: str = ""  # Its id.
    address: str = ""  # Of the network, from where it was asked.
    device: str = ""
    merchant: str = ""  # Of the tenant, whose payment it is.
    customer: str = ""
    payee: str = ""
    merchant_reference: str = ""
    metadata: dict[str, str] = {}


# After these an attempt may be on its way that no answer has settled.
DOUBTS = frozenset({Step.LOSE, Step.OVERDUE, Step.CONTRADICT, Step.REDIRECT})
# These prove that no attempt so far has done anything.
IDLE = frozenset({Step.NOT_SENT, Step.RETRY_LATER})
# A deadline outlives these: it bounds how long nothing leaves, whatever is tried.
UNDECIDED = IDLE | {Step.SEND}


class Fence(Struct, frozen=True, gc=False):
    """What an internal command saw. If it is no longer so, the command is stale."""

    instruction_id: str
    attempt: int
    lease: int


class Instruction(Struct, frozen=True, gc=False):
    """The fields are the columns of its row, in their order."""

    instruction_id: str
    payment_id: str
    channel: str
    kind: Kind
    mode: Mode
    minor: int
    currency: str
    key: str  # The client's, with the tenant; numbers of later generations need it.
    leg: int  # Which of several instructions that one request made.
    is_fallback: bool  # Part of a `reverse`: a cancel that comes too late becomes a refund.
    capture_id: str  # The capture that it names, or empty.
    requested_at: int
    labels: str  # Canonical JSON of `Labels`.
    # What may change:
    state: State
    number: str  # What we call it towards the channel, at every attempt.
    generation: int = 0
    withdrawal: Withdrawal = Withdrawal.NONE
    waiting: Waiting = Waiting.NOTHING
    sequence: int = 1  # Of its latest event; dense.
    due_at: int | None = None  # When somebody must look at it again; a lease ends then too.
    deadline_at: int | None = None  # Of `held`, `accepted` and `attention`.
    lease: int = 0  # Rises whenever somebody takes or changes it.
    attempt: int = 0
    sent_at: int | None = None  # When the first attempt was marked that may have left.
    leave_by: int | None = None  # No byte of any attempt leaves after this.
    in_doubt: bool = False  # Some attempt before the latest may still be travelling.
    known_at: int | None = None  # When the channel was first known to have it.
    final_at: int | None = None
    reference: str = ""  # The channel's own, once known.
    failure: str = ""  # Why it failed, bounced or needs attention.
    fruitless: int = 0  # Attempts of which it is proven that they did nothing.

    def __post_init__(self) -> None:
        assert self.minor > 0
        assert (self.attempt == 0) == (self.leave_by is None)
        assert (self.state in FINAL) == (self.final_at is not None)
        assert self.final_at is None or self.due_at is None
        assert self.state is not State.HELD or self.deadline_at is not None

    @property
    def amount(self) -> Money:
        return Money(self.minor, self.currency)

    @property
    def tries(self) -> int:
        """Attempts that may have done something: these are what the policy bounds."""
        return self.attempt - self.fruitless

    @property
    def fence(self) -> Fence:
        return Fence(self.instruction_id, self.attempt, self.lease)

    def can(self, step: Step) -> bool:
        return (self.state, step) in TRANSITIONS

    def move(self, step: Step, now: int) -> Instruction:
        """It after a step of the table; a final one is no longer anybody's job."""
        state = TRANSITIONS[self.state, step]
        is_final = state in FINAL
        return replace(
            self,
            state=state,
            sequence=self.sequence + 1,
            withdrawal=_withdrawal_in(state, self.withdrawal),
            waiting=self.waiting if state is State.HELD else Waiting.NOTHING,
            due_at=None if is_final else self.due_at,
            deadline_at=self.deadline_at if step in UNDECIDED else None,
            in_doubt=self.in_doubt or step in DOUBTS,
            sent_at=None if step in IDLE else self.sent_at,
            fruitless=self.fruitless + (step in IDLE),
            known_at=self.known_at or (now if is_final or state is State.PENDING else None),
            final_at=now if is_final else None,
        )


def numbers_of(instruction: Instruction) -> list[str]:
    """What the channel may know it by: the number of every generation so far, the first first."""
    return [
        number_for(
            payment_id=instruction.payment_id,
            key=instruction.key,
            leg=instruction.leg,
            generation=generation,
        )
        for generation in range(instruction.generation + 1)
    ]


def _withdrawal_in(state: State, withdrawal: Withdrawal) -> Withdrawal:
    if state is State.WITHDRAWN:
        return Withdrawal.DONE
    if state in FINAL and withdrawal is not Withdrawal.NONE:
        return Withdrawal.REFUSED
    return withdrawal
