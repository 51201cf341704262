"""One file per channel: a pure translation between our words and theirs.

This page is the contract. Each file beside it defines one `open_channel(name, credentials)`, which
returns a `Channel`: `name` is what the operator calls it (one vendor may be there several times,
once for each account), credentials are the settings for it, secrets among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from contraflow.domain.money import Money
from contraflow.domain.observation import Observation
from contraflow.domain.outcome import Outcome
from contraflow.domain.windows import Window
from contraflow.domain.word import Word
from contraflow.wire.exchange import Notice, Reply, Request


class Action(Word):
    """What an attempt asks the channel to do."""

    PAY = "pay"
    CAPTURE = "capture"
    CLOSE = "close"
    VOID = "void"
    REFUND = "refund"
    WITHDRAW = "withdraw"  # Take back an instruction that was sent and has not acted.


class Abilities(Struct, frozen=True, kw_only=True):
    """What the engine may rely on; a fact about the channel, never a policy of ours."""

    actions: frozenset[Action]
    same_number_again: bool  # A number that is sent twice acts once, whatever happened to it.
    not_found_is_proof: bool  # "Unknown number" after `dead_after_ms` proves that it never acts.
    dead_after_ms: int  # How long after `leave_by` the first byte's request may still land.
    leave_within_ms: int = 5_000  # From the mark to the first byte.
    inquire_after_ms: tuple[int, ...]  # Since the first attempt; after the last one, daily.
    attention_after_ms: int = 24 * 3_600_000  # Open for longer: a person must look.
    slots: int = 16  # Calls in flight at once.
    calls_per_s: int = 0  # A rate limit; 0 for none.
    is_test: bool = False  # It moves no money.
    is_final_at_once: bool  # It usually answers with the end, not with "later".
    windows: Mapping[str, Window]  # By method; "" is for every other method.


class Attempt(Struct, frozen=True, kw_only=True, gc=False):
    """One try to get the channel to act, or to learn what became of a number.

    Equal fields give equal bytes: of one number every attempt carries the same business fields.
    """

    action: Action
    number: str  # 26 characters of A-Z and 2-7.
    payment_id: str  # Ours, the tenant included.
    payment_number: str  # The number of the payment command; empty for a payment made elsewhere.
    payment_reference: str  # The channel's own, or empty.
    instrument: str  # What the payer paid with, as the channel named it.
    amount: Money
    reason: str = ""


class Channel(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def abilities(self) -> Abilities: ...

    def submit(self, attempt: Attempt) -> Request:
        """The request that asks the channel to act; the same bytes at every attempt."""
        ...

    def inquire(self, attempt: Attempt) -> Request:
        """The request that asks the channel what became of a number."""
        ...

    def interpret(self, attempt: Attempt, reply: Reply) -> Outcome:
        """What the reply to either means. Unknown when in doubt, never Declined.

        The evidence names the reply; the request is named by who sent it.
        """
        ...

    def read_notice(self, notice: Notice) -> Observation:
        """Verify raw bytes first. Raises SignatureInvalid, and then nothing may be changed."""
        ...
