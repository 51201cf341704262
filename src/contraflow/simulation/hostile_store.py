"""A database whose process dies at any moment, and whose disk is full now and then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from contraflow.domain.commands import Command
from contraflow.domain.instruction import Fence, Instruction
from contraflow.errors import StoreUnwritable
from contraflow.simulation.faults import Crash, Fault
from contraflow.simulation.surroundings import Surroundings
from contraflow.store import Commit, Loaded
from contraflow.store.rows import Found
from contraflow.store.sqlite import SqliteStore

COMMIT_MS_MAX = 20


class HostileStore(SqliteStore):
    """The real store and its real SQL; `world` says what happens to it."""

    world: Surroundings

    async def commit(self, commands: Sequence[Command], plan: Callable[[Loaded], Commit]) -> Commit:
        world, faults = self.world, self.world.faults
        await world.runtime.sleep(world.prng.randrange(COMMIT_MS_MAX))
        states = world.states_of(commands)
        if faults.strike(Fault.CRASH_BEFORE_COMMIT, 0.015, states):
            raise Crash
        if faults.strike(Fault.DISK_FULL, 0.01, states):
            raise StoreUnwritable
        commit = await SqliteStore.commit(self, commands, plan)
        world.note_commit(commands, commit)
        states = [*world.states_of(commands), *(i.state for i in commit.instructions)]
        if faults.strike(Fault.CRASH_AFTER_COMMIT, 0.03, states):
            raise Crash
        if faults.strike(Fault.BATCH_TWICE, 0.01, states):
            commit = await SqliteStore.commit(self, commands, plan)
            world.note_commit(commands, commit)
        return commit

    async def due(
        self, channel: str, count_max: int, busy: Collection[Fence] = ()
    ) -> list[Instruction]:
        due = await SqliteStore.due(self, channel, count_max, busy)
        for instruction in due:
            if self.world.faults.strike(Fault.TWO_WORKERS, 0.03, (instruction.state,)):
                self.world.send_second_worker(instruction)
        return due

    def _save(self, commit: Commit, found: Found) -> None:
        SqliteStore._save(self, commit, found)
        states = [i.state for i in commit.instructions]
        if self.world.faults.strike(Fault.CRASH_INSIDE_COMMIT, 0.02, states):
            raise Crash
