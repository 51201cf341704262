"""What the hostile parts of a world need to know of the whole."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Protocol

from contraflow.domain.commands import Command
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import State
from contraflow.engine.parts import Parts
from contraflow.outside.bank import Bank
from contraflow.outside.bank_scripts import Script
from contraflow.outside.virtual_time import VirtualTime
from contraflow.simulation.faults import Faults
from contraflow.simulation.travelling import Travelling
from contraflow.store import Commit, Store
from contraflow.wire.exchange import Notice, Reply, Request
from contraflow.wire.sandbox import Ask


class Surroundings(Protocol):
    """A world, as seen from inside; see world.py."""

    prng: random.Random
    runtime: VirtualTime
    faults: Faults
    bank: Bank
    parts: Parts
    travelling: list[Travelling]
    struck: dict[str, None]
    states: dict[str, State]
    doubts: dict[str, str]
    holds: set[str]
    is_liar: bool
    incarnation: int
    commits: int
    told: int

    @property
    def store(self) -> Store: ...

    def states_of(self, commands: Iterable[Command]) -> list[State]: ...
    def state_of_number(self, number: str) -> tuple[State, ...]: ...
    def states_of_notice(self, notice: Notice) -> tuple[State, ...]: ...
    def script_of(self, ask: Ask) -> Script: ...
    def note_commit(self, commands: Sequence[Command], commit: Commit) -> None: ...
    def note_first_byte(self, ask: Ask, request: Request) -> None: ...
    def ask_bank(self, request: Request) -> tuple[Reply | None, int]: ...
    def add_travelling(self, travelling: Travelling) -> None: ...
    def send_second_worker(self, instruction: Instruction) -> None: ...
