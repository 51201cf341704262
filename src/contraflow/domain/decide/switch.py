"""What does the switch of the hold mode change?"""

from __future__ import annotations

from contraflow.domain.commands import SwitchHold
from contraflow.domain.decision import Accepted, Decision
from contraflow.domain.events import HoldSwitched
from contraflow.domain.ids import tenant_of
from contraflow.domain.instruction import Instruction
from contraflow.domain.snapshot import Snapshot

EVERYTHING = "all"


def decide_switch(snapshot: Snapshot, command: SwitchHold) -> Decision:
    """Idempotent: what is on already stays on, without an event."""
    if (command.scope in snapshot.holds) == command.is_on:
        return Accepted()
    switched = HoldSwitched(command.scope, command.is_on, command.key)
    return Accepted(hold=(command.scope, command.is_on), events=(switched,))


def is_on_hold(snapshot: Snapshot, instruction: Instruction) -> bool:
    if not snapshot.holds:
        return False
    tenant = tenant_of(instruction.instruction_id)
    scopes = (EVERYTHING, f"channel:{instruction.channel}", f"merchant:{tenant}")
    return any(scope in snapshot.holds for scope in scopes)
