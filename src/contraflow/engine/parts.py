"""What the engine is made of: contracts, filled by wiring.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from contraflow.channels import Channel
from contraflow.domain.instruction import Instruction
from contraflow.domain.policy import Policy
from contraflow.engine.bell import Bell
from contraflow.engine.gate import Gate
from contraflow.engine.intake import Intake
from contraflow.engine.limits import REPLY_WITHIN_MS
from contraflow.outside import Runtime, Transport
from contraflow.risk.rules import Rule
from contraflow.sinks import Sink
from contraflow.store import Store

Watcher = Callable[[Instruction], None]


@dataclass(slots=True)
class Parts:
    store: Store
    runtime: Runtime
    transport: Transport
    channels: Mapping[str, Channel]
    policy: Policy
    rules: Sequence[Rule]
    sinks: Sequence[Sink]
    intake: Intake
    dispatch_bell: Bell
    notify_bell: Bell
    watch_bell: Bell  # Another process has committed something.
    gates: Mapping[str, Gate]  # By channel.
    reply_within_ms: int = REPLY_WITHIN_MS  # The transport keeps it.
    in_flight: dict[str, Instruction] = field(default_factory=dict)  # Marked, and not answered.
    watchers: dict[str, list[Watcher]] = field(default_factory=dict)  # By instruction.
    is_watching_others: bool = False  # What other processes decide is looked for.
    is_working: bool = False  # It sends and inquires itself, so that most ends are its own.
    counts: Counter[str] = field(default_factory=Counter)  # What no event tells.
