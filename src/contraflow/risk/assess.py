"""Ask the risk rules, in order; the first objection counts."""

from __future__ import annotations

from collections.abc import Sequence

from contraflow.domain.commands import Command, RequestRefund, RequestReversal
from contraflow.domain.decision import NO_OBJECTION, Verdict
from contraflow.domain.snapshot import Snapshot
from contraflow.risk.rules import Rule


def assess(rules: Sequence[Rule], command: Command, snapshot: Snapshot) -> Verdict:
    if not rules or not isinstance(command, RequestRefund | RequestReversal):
        return NO_OBJECTION
    for rule in rules:
        if rule.rejects(command, snapshot):
            return Verdict(rejected_by=rule.name)
    return NO_OBJECTION
