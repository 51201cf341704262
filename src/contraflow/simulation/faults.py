"""What the world can do to an engine, and how often it did, to what."""

from __future__ import annotations

import enum
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from contraflow.domain.lifecycle import State
from contraflow.outside.bank_scripts import Script


class Fault(enum.StrEnum):
    CRASH_BEFORE_COMMIT = "crash_before_commit"
    CRASH_INSIDE_COMMIT = "crash_inside_commit"  # A torn batch: half written, then rolled back.
    CRASH_AFTER_COMMIT = "crash_after_commit"  # Committed, and nobody was told.
    CRASH_ANYWHERE = "crash_anywhere"  # At any await.
    BATCH_TWICE = "batch_twice"  # The answer to a commit is lost, and the batch runs again.
    DISK_FULL = "disk_full"
    CLOCK_JUMP = "clock_jump"
    TWO_WORKERS = "two_workers"  # On one job.
    PAUSED = "paused"  # A worker sleeps past its lease or its `leave_by`.
    UNREACHABLE = "unreachable"
    REQUEST_LOST = "request_lost"
    REPLY_LOST = "reply_lost"
    LANDS_LATE = "lands_late"  # Timed out here, still travelling there.
    NOTICE_TWICE = "notice_twice"
    NOTICE_LATE = "notice_late"  # And so out of order.
    NOTICE_FORGED = "notice_forged"
    NOTICE_OF_NOTHING = "notice_of_nothing"  # About a payment that nobody knows.
    KEY_REPEATED = "key_repeated"
    KEY_REUSED = "key_reused"
    WITHDRAWN = "withdrawn"
    HOLD_MODE = "hold_mode"
    SINK_DOWN = "sink_down"


# What a channel does by a script, as its own kind of fault.
SCRIPTED = {script: f"bank_{script}" for script in Script if script is not Script.OK}
KINDS: tuple[str, ...] = (*Fault, *SCRIPTED.values())


class Crash(BaseException):
    """The process dies here; only the database survives."""


@dataclass(slots=True)
class Faults:
    prng: random.Random
    happened: Counter[str] = field(default_factory=Counter)
    pairs: set[tuple[str, State]] = field(default_factory=set)
    are_on: bool = True

    def strike(self, fault: Fault, chance: float, states: Iterable[State] = ()) -> bool:
        """Does it happen now, and to what?"""
        if self.are_on and self.prng.random() < chance:
            self.note(fault, states)
            return True
        return False

    def note(self, fault: str, states: Iterable[State]) -> None:
        self.happened[fault] += 1
        self.meet(fault, states)

    def meet(self, fault: str, states: Iterable[State]) -> None:
        """It goes on, and meets these states, too."""
        self.pairs.update((fault, state) for state in states)
