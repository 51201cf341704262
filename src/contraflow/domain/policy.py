"""What the operator has decided, and what the channels can do, as the rules need to know it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from contraflow.domain.instruction import Kind
from contraflow.domain.windows import Window
from contraflow.domain.word import Word

NO_LIMITS = Window()


class LateCapture(Word):
    """What follows when money is captured after the payment was over."""

    REFUND = "refund"
    KEEP = "keep"
    ATTENTION = "attention"


class Terms(Struct, frozen=True, kw_only=True):
    """The facts about one channel that decisions depend on."""

    kinds: frozenset[Kind]
    same_number_again: bool
    not_found_is_proof: bool
    dead_after_ms: int
    attention_after_ms: int
    is_final_at_once: bool
    windows: Mapping[str, Window]  # By method; "" is for every other.

    def window(self, method: str) -> Window:
        return self.windows.get(method) or self.windows.get("", NO_LIMITS)


class Policy(Struct, frozen=True, kw_only=True):
    terms: Mapping[str, Terms]  # By channel.
    undo_window_ms: int = 0  # How long a refund waits so that it can be taken back.
    review_within_ms: int = 3 * 24 * 3_600_000  # A hold for review that nobody answers expires.
    attempts_max: int = 8
    generations_max: int = 3
    late_capture: LateCapture = LateCapture.ATTENTION
