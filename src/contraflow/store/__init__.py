"""The database, and the only code that speaks SQL: load, plan, save, all or nothing.

This page is the contract. A plan is a pure function from what was loaded to what is written, so
nothing outside can be awaited while a transaction is open. Every time is milliseconds of the
store's own clock: a file's never goes below what was committed, a server's is the server's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from contraflow.domain.cases import Case, Parked
from contraflow.domain.commands import Command, Line, Nonce
from contraflow.domain.decision import Answer, Receipt
from contraflow.domain.facts import BookedFact
from contraflow.domain.instruction import Fence, Instruction
from contraflow.domain.payment import Payment
from contraflow.ledger.journal import Entry

NONCE_KEPT_MS = 3_600_000  # Longer than a signature may be fresh, whatever the clocks say.


class Record(Struct, frozen=True, gc=False):
    """An event as it is stored, once: outbox, audit, and later a leaf of the evidence."""

    object_id: str
    sequence: int  # Dense for each object, from 1.
    body: bytes  # Canonical JSON.
    entries: tuple[Entry, ...] = ()  # One transaction of the ledger; often empty.


class Loaded(Struct, frozen=True):
    """Everything one batch reads."""

    now: int
    payments: Mapping[str, Payment]
    instructions: Mapping[str, Instruction]
    numbers: Mapping[str, str]  # Instruction ids by number, old generations included.
    receipts: Mapping[str, Receipt]  # By idempotency key.
    facts: Mapping[str, BookedFact]
    cases: Mapping[str, Case]
    holds: Collection[str]  # Scopes in which nothing is sent; all of them.
    quarantined: Collection[str]  # Object ids with an open case of that kind; all of them.
    lines: Mapping[Line, str]  # Answers that were given before.
    nonces: Mapping[str, bytes] = {}  # Their digests, where they were used before.


class Commit(Struct, frozen=True):
    """Everything one batch writes, and what it answers."""

    payments: Sequence[Payment]  # New or changed.
    instructions: Sequence[Instruction]  # New or changed.
    receipts: Sequence[Receipt]
    records: Sequence[Record]
    facts: Sequence[BookedFact]  # New, or a dispute that went on.
    cases: Sequence[Case]  # New or closed.
    parked: Sequence[Parked]
    holds: Sequence[tuple[str, bool]]
    lines: Sequence[tuple[Line, str]]
    answers: Sequence[Answer]  # Aligned with the commands; not stored.
    nonces: Sequence[Nonce] = ()
    references: Sequence[tuple[str, str]] = ()  # Of the merchant, with the tenant; object ids.


class Contents(Struct, frozen=True):
    """A whole small database, for checks."""

    now: int
    payments: Mapping[str, Payment]
    instructions: Mapping[str, Instruction]
    receipts: Mapping[str, Receipt]
    facts: Mapping[str, BookedFact]
    cases: Mapping[str, Case]
    events: Sequence[tuple[int, str, int, bytes]]  # Position, object, sequence, body; in order.
    entries: Sequence[tuple[str, int, str, str, int, str]]  # Object, sequence, debit, credit, ...
    balances: Mapping[tuple[str, str], int]  # By account and currency: debits less credits.


class Store(Protocol):
    @property
    def poll_ms(self) -> int:
        """How long what another process has written may go unseen."""
        ...

    async def close(self) -> None: ...

    def now(self) -> int:
        """Milliseconds. Leases and deadlines use this clock, which all processes share.

        Never behind it, and ahead of it by `ahead_ms_max` at most.
        """
        ...

    @property
    def ahead_ms_max(self) -> int: ...

    async def commit(self, commands: Sequence[Command], plan: Callable[[Loaded], Commit]) -> Commit:
        """Load, plan and save in one transaction, durable when it returns.

        Raises Superseded, StoreUnwritable or ValueRefused, and then has changed nothing; of
        several commands also BatchRefused, where a part may do better.
        """
        ...

    def on_wake(self, ring: Callable[[], None]) -> None:
        """Ring when another process may have made work; not to be relied on."""
        ...

    async def due(
        self, channel: str, count_max: int, busy: Collection[Fence] = ()
    ) -> list[Instruction]:
        """Instructions of a channel that somebody must look at now, the longest waiting first.

        Without those that are only waiting to be sent and whose sending is on hold, and without
        those that are quarantined or whose payment is, and without those that the caller is busy
        with. Where several processes work on one
        database each is claimed for a while, and given to one of them.
        """
        ...

    async def due_payments(self, channels: Collection[str], count_max: int) -> list[Payment]:
        """Unpaid payments of these channels whose payer may no longer pay."""
        ...

    async def due_parked(self, channels: Collection[str], count_max: int) -> list[Parked]:
        """Parked facts from these channels that are to be tried again."""
        ...

    async def next_due(self, channels: Collection[str]) -> int | None:
        """When the next of all these falls due."""
        ...

    async def undelivered(self, sink: str, count_max: int) -> list[tuple[int, Record]]:
        """What a sink has not seen, in order, each with its position."""
        ...

    async def advance(self, sink: str, position: int) -> None:
        """The sink has seen everything up to this position."""
        ...

    async def suspect(self, object_ids: Sequence[str], *, is_proven: bool) -> None:
        """Note what a failed batch touched, for the next start; and that it was alone in it."""
        ...

    async def suspects(self) -> Mapping[str, int]:
        """How often each object failed our own checks; at least 1, since it was in such a batch."""
        ...

    async def clear_suspects(self) -> None: ...

    async def contents(self) -> Contents: ...


# What the doors may see: read only, as of now, while the engine writes.

Place = tuple[int, str]  # A time in milliseconds and an id: where a list is.
FAR = (2**62, "")  # Newer than everything.
RECORDED = "recorded"  # Stands for the command of a payment that was made elsewhere.


class Window(Struct, frozen=True, kw_only=True, gc=False):
    """A stretch of time, its end not included; an empty word stands for all."""

    since: int
    until: int
    channel: str = ""
    currency: str = ""
    tenant: str = ""


class Finished(Struct, frozen=True, gc=False):
    """What the metrics need to know of an instruction that came to its end."""

    kind: str
    state: str
    requested_at: int
    sent_at: int | None
    known_at: int | None
    final_at: int


class Sent(Struct, frozen=True, gc=False):
    """How many commands were first sent in a window, by what has become of them since."""

    kind: str  # Of the instruction, or RECORDED.
    state: str  # Of the instruction; empty where there is none.
    payment_state: str
    count: int


class Views(Protocol):
    async def close(self) -> None: ...

    async def payment(self, payment_id: str) -> Payment | None: ...

    async def instruction(self, instruction_id: str) -> Instruction | None: ...

    async def payments(self, payment_ids: Collection[str]) -> Mapping[str, Payment]: ...

    async def instructions(self, instruction_ids: Collection[str]) -> Mapping[str, Instruction]: ...

    async def at_rest(self, instruction_ids: Sequence[str]) -> list[str]:
        """Those of them that have come to their end, or to a person."""
        ...

    async def instructions_of(self, payment_id: str) -> list[Instruction]:
        """In the order in which they were asked for."""
        ...

    async def list_instructions(
        self,
        tenant: str,
        *,
        state: str = "",
        kind: str = "",
        channel: str = "",
        after: str = "",
        count_max: int = 100,
    ) -> list[Instruction]:
        """By id, from behind `after`; an empty word stands for all."""
        ...

    async def payments_before(
        self, tenant: str, before: Place | None, since: int, count_max: int
    ) -> list[Payment]:
        """The newest first, from behind a place or from the newest, none older than `since`."""
        ...

    async def instructions_before(
        self, tenant: str, before: Place | None, since: int, count_max: int
    ) -> list[Instruction]:
        """Likewise, by when they were asked for."""
        ...

    async def named(self, reference: str, count_max: int) -> list[str]:
        """Ids of what a merchant calls so; `reference` begins with its tenant."""
        ...

    async def events_after(self, position: int, count_max: int) -> list[tuple[int, Record]]:
        """Of all, in the order of the feed, without their entries."""
        ...

    async def last_position(self) -> int:
        """Of the feed; 0 while it is empty."""
        ...

    async def in_attention(self, tenant: str = "") -> list[Instruction]:
        """What waits for a person's decision, the nearest deadline first; of all without a name."""
        ...

    async def in_review(self, tenant: str = "") -> list[Instruction]:
        """What is held until a person releases or rejects it, the nearest deadline first."""
        ...

    async def open_cases(self, tenant: str = "") -> list[Case]:
        """The nearest deadline first. Facts that name no payment are in nobody's list but all's."""
        ...

    async def events_of(self, object_ids: Sequence[str]) -> list[tuple[int, Record]]:
        """In order, each with its position and its entries."""
        ...

    async def receipt(self, key: str) -> Receipt | None: ...

    async def holds(self) -> list[str]: ...

    async def lines(self, source: str) -> Mapping[int, str]:
        """What was answered to the lines of a file, by their number."""
        ...

    async def finished(self, window: Window) -> list[Finished]:
        """Everything that came to its end in the window. Reads the whole table: not for a loop."""
        ...

    async def sent(self, window: Window) -> list[Sent]:
        """Everything that was first sent, or recorded as made elsewhere, in the window."""
        ...

    async def damage(self) -> list[str]:
        """What the database itself finds wrong with its file; empty where all is well."""
        ...

    async def contents(self) -> Contents: ...


# Who may call. Beside the business: nothing here says what became of money.


class ApiKey(Struct, frozen=True, kw_only=True):
    """As it is kept: who knows the database cannot call with it. Times are milliseconds UTC."""

    key_id: str
    tenant: str
    name: str
    mode: str  # `test` or `live`: which channels it reaches.
    hint: str  # How it begins, to know it again.
    sha256: bytes
    scopes: tuple[str, ...]
    merchant: str  # Only this one's objects; empty for all of the tenant.
    networks: tuple[str, ...]  # From where it may call; empty for everywhere.
    algorithm: str  # Of the signature that its money calls need; empty for none.
    material: bytes  # A public key, or a sealed secret.
    created_at: int
    expires_at: int | None
    revoked_at: int | None

    def __repr__(self) -> str:
        return f"ApiKey({self.key_id}, ***)"


class Keys(Protocol):
    async def find(self, sha256: bytes) -> ApiKey | None: ...

    async def list_keys(self, tenant: str) -> list[ApiKey]:
        """The oldest first."""
        ...

    async def add(self, key: ApiKey) -> None: ...

    async def expire(self, tenant: str, key_id: str, at: int) -> None:
        """Not later than it would anyway."""
        ...

    async def revoke(self, tenant: str, key_id: str, at: int) -> None: ...
