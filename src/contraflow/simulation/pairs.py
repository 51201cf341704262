"""Which faults can meet an instruction in which states; the others are listed, with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from contraflow.domain.lifecycle import FINAL, State
from contraflow.simulation.faults import KINDS, SCRIPTED, Fault

Pair = tuple[str, State]

NO_SUBJECT = "it is about no instruction"
AT_SUBMISSION = "only a submission can meet it, and while one is under way it is `sent`"
NOT_CALLED = "what was never sent is not talked about"
NOTHING_TO_TELL = "a channel tells of what it does, and of this it is proven that it did nothing"
NOT_DUE = "what is over is nobody's job, so no worker takes it"

STATES = frozenset(State)
NEVER_SENT = frozenset({State.HELD})
NOT_DONE = frozenset({State.ACCEPTED, State.FAILED, State.WITHDRAWN})


def _impossible() -> dict[Pair, str]:
    pairs: dict[Pair, str] = {}

    def exclude(faults: Iterable[str], states: Collection[State], reason: str) -> None:
        pairs.update({(fault, state): reason for fault in faults for state in states})

    about_nothing = (
        *(Fault.NOTICE_OF_NOTHING, Fault.KEY_REPEATED, Fault.KEY_REUSED, Fault.WITHDRAWN),
        *(Fault.HOLD_MODE, Fault.SINK_DOWN),
    )
    calls = (Fault.PAUSED, Fault.UNREACHABLE, Fault.REQUEST_LOST, Fault.REPLY_LOST)
    notices = (Fault.NOTICE_TWICE, Fault.NOTICE_LATE, Fault.NOTICE_FORGED)
    exclude(about_nothing, STATES, NO_SUBJECT)
    exclude((*SCRIPTED.values(), Fault.LANDS_LATE), STATES - {State.SENT}, AT_SUBMISSION)
    exclude((*calls, *notices), NEVER_SENT, NOT_CALLED)
    exclude(notices, NOT_DONE, NOTHING_TO_TELL)
    exclude((Fault.TWO_WORKERS,), FINAL, NOT_DUE)
    return pairs


IMPOSSIBLE: Mapping[Pair, str] = MappingProxyType(_impossible())
EXPECTED = frozenset((fault, state) for fault in KINDS for state in State) - frozenset(IMPOSSIBLE)


def never_seen(seen: Collection[Pair]) -> list[str]:
    return named(EXPECTED - frozenset(seen))


def impossible_seen(seen: Collection[Pair]) -> list[str]:
    """What the list calls impossible, and happened: then the list is wrong."""
    return named(frozenset(IMPOSSIBLE) & frozenset(seen))


def named(pairs: Collection[Pair]) -> list[str]:
    return sorted(f"{fault}/{state}" for fault, state in pairs)
