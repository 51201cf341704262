"""Which faults meet an instruction in which states; the others are listed, with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from contraflow.domain.lifecycle import FINAL, State
from contraflow.simulation.faults import KINDS, SCRIPTED, Fault

Pair = tuple[str, State]

NO_SUBJECT = "it is about no instruction"
AT_SUBMISSION = "only a submission can meet it, and nobody else touches it before its first byte"
NOT_CALLED = "what was never sent is not talked about"
NOTHING_TO_TELL = "a channel tells of what it does, and of this it is proven that it did nothing"
NOT_DUE = "what is over is nobody's job, so no worker takes it"
BY_NOTICE = "only by a notice in the moments between a second mark and its first byte"
BY_PERSON = "only by a person who decides in the moments of a call"
BY_LIE = "only where a channel did what it has signed that it would never do; see truth.py"
BY_PAUSE = "only by a worker that sleeps past its lease, while another one goes on"

STATES = frozenset(State)
NEVER_SENT = frozenset({State.HELD})
NOT_DONE = frozenset({State.ACCEPTED, State.FAILED, State.WITHDRAWN})
TOLD = frozenset({State.SUCCEEDED, State.BOUNCED, State.PENDING, State.ATTENTION})
ABOUT_NOTHING = (
    *(Fault.NOTICE_OF_NOTHING, Fault.KEY_REPEATED, Fault.KEY_REUSED, Fault.WITHDRAWN),
    *(Fault.HOLD_MODE, Fault.SINK_DOWN),
)
SUBMISSIONS = (*SCRIPTED.values(), Fault.LANDS_LATE)
LOSSES = (Fault.REQUEST_LOST, Fault.REPLY_LOST)
CALLS = (Fault.PAUSED, Fault.UNREACHABLE, *LOSSES)
NOTICES = (Fault.NOTICE_TWICE, Fault.NOTICE_LATE, Fault.NOTICE_FORGED)


def _of(faults: Iterable[str], states: Collection[State], reason: str) -> dict[Pair, str]:
    return {(fault, state): reason for fault in faults for state in states}


# These never happen; if one does, the run fails, because the list is wrong.
IMPOSSIBLE: Mapping[Pair, str] = MappingProxyType(
    _of(ABOUT_NOTHING, STATES, NO_SUBJECT)
    | _of(SUBMISSIONS, STATES - TOLD - {State.SENT}, AT_SUBMISSION)
    | _of((*CALLS, *NOTICES), NEVER_SENT, NOT_CALLED)
    | _of(NOTICES, NOT_DONE - {State.FAILED}, NOTHING_TO_TELL)
    | _of((Fault.TWO_WORKERS,), FINAL, NOT_DUE)
)
# These can happen, but nobody should wait for them.
RARE: Mapping[Pair, str] = MappingProxyType(
    _of(SUBMISSIONS, TOLD, BY_NOTICE)
    | _of(LOSSES, {State.FAILED}, BY_PERSON)
    | _of(LOSSES, {State.WITHDRAWN}, BY_PAUSE)
    | _of(CALLS, {State.ACCEPTED}, BY_PAUSE)
    | _of(NOTICES, {State.FAILED}, BY_LIE)
)
EXPECTED = frozenset((fault, state) for fault in KINDS for state in State) - {*IMPOSSIBLE, *RARE}


def never_seen(seen: Collection[Pair]) -> list[str]:
    return named(EXPECTED - frozenset(seen))


def impossible_seen(seen: Collection[Pair]) -> list[str]:
    """What the list calls impossible, and happened: then the list is wrong."""
    return named(frozenset(IMPOSSIBLE) & frozenset(seen))


def named(pairs: Collection[Pair]) -> list[str]:
    return sorted(f"{fault}/{state}" for fault, state in pairs)
