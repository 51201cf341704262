"""Set an object aside that fails our own checks."""

from __future__ import annotations

from contraflow.domain.cases import CaseKind, open_case
from contraflow.domain.commands import Quarantine
from contraflow.domain.decision import Accepted, Decision
from contraflow.domain.events import CaseOpened
from contraflow.domain.snapshot import Snapshot


def decide_quarantine(snapshot: Snapshot, command: Quarantine) -> Decision:
    """Once; the case that this opens is the flag, and closing it lifts the quarantine."""
    if command.object_id in snapshot.quarantined:
        return Accepted()
    case = open_case(
        CaseKind.QUARANTINED,
        object_id=command.object_id,
        cause=str(snapshot.now),
        now=snapshot.now,
        detail=command.detail,
    )
    return Accepted(cases=(case,), events=(CaseOpened(case),))
