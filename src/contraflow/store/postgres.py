"""The business rows in PostgreSQL, for any number of processes at once.

One batch is one transaction with a marker of its own. Locks are taken in one order: switches,
payments, instructions, receipts, accounts; see decisions/0020.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg

from contraflow.domain.cases import Parked
from contraflow.domain.commands import Command, Quarantine, ResolveCase, SwitchHold
from contraflow.domain.instruction import Fence, Instruction
from contraflow.domain.payment import Payment
from contraflow.errors import BatchRefused, StoreUnwritable
from contraflow.ledger.journal import Entry
from contraflow.store import NONCE_KEPT_MS, Commit, Contents, Loaded, Record
from contraflow.store import postgres_statements as sql
from contraflow.store.postgres_clock import ROUND_TRIP_MS_MAX, ServerClock
from contraflow.store.postgres_contents import contents_of
from contraflow.store.postgres_link import ANSWER_S_MAX, Link, hang_up
from contraflow.store.postgres_load import load
from contraflow.store.postgres_save import AccountKey, Place, save
from contraflow.store.postgres_trouble import ConnectionLost, Taken, TooSlow, TryAgain
from contraflow.store.postgres_wake import Wake
from contraflow.store.rows import instructions_of, parked_of, payments_of

POLL_MS = 1_000  # Without a single notification everything still moves at this pace.
CLAIM_MS = 5_000  # From a claim to the mark that follows it.
SINK_LEASE_MS = 10_000
OUTAGE_S_MAX = 15  # How long a request may wait for a server that is away.
RECONNECT_S = 0.1
FORGET_EVERY = 1_000  # Commits; then as many markers may go as have come, and more.
GIVE_S_MAX = 600.0  # Positions to all events of a database that never had a sink.
FOR_EVER_S = 1e6
SWITCHES = (SwitchHold, Quarantine, ResolveCase)


@dataclass(slots=True)
class PostgresStore:
    link: Link
    clock: ServerClock
    wake: Wake
    slot: int = 0
    owner: UUID = field(default_factory=uuid4)  # This process, towards the sinks.
    accounts: set[AccountKey] = field(default_factory=set)  # Known to exist.
    commits: int = 0  # Of ours.

    @property
    def poll_ms(self) -> int:
        return POLL_MS

    async def close(self) -> None:
        await self.wake.close()
        await self.link.close()

    def now(self) -> int:
        return self.clock.now()

    @property
    def ahead_ms_max(self) -> int:
        return ROUND_TRIP_MS_MAX

    def on_wake(self, ring: Callable[[], None]) -> None:
        self.wake.ring = ring

    # One batch.

    async def commit(self, commands: Sequence[Command], plan: Callable[[Loaded], Commit]) -> Commit:
        until = asyncio.get_running_loop().time() + OUTAGE_S_MAX
        races: Counter[type[TryAgain]] = Counter()
        while True:
            batch = Batch(commands, plan)
            try:
                commit = await self._commit_once(batch)
            except TryAgain as error:
                races[type(error)] += 1
                if races[type(error)] == error.times_max:
                    raise given_up(error, commands) from error
                continue
            except ConnectionLost as error:
                if batch.commit is not None and await self._was_committed(batch.batch_id):
                    commit = batch.commit
                elif asyncio.get_running_loop().time() > until:
                    raise StoreUnwritable(str(error)) from error
                else:
                    await asyncio.sleep(RECONNECT_S)
                    continue
            if not is_empty(commit):
                self.wake.call()
                await self._forget_markers()
            return commit

    async def _commit_once(self, batch: Batch) -> Commit:
        async with self.link.connection() as connection:
            if self.clock.has_jumped:
                await connection.execute(sql.NOTE_MOVE)
                self.clock.has_jumped = False
            await connection.execute(batch.begin)
            found, number = await load(connection, self.clock, batch.commands)
            commit = batch.plan(found.loaded)
            if is_empty(commit):
                await connection.execute(sql.ROLLBACK)
                return commit
            place = Place(number, self.slot, self.accounts)
            accounts = await save(connection, commit, found, place)
            batch.commit = commit  # From here on its fate is for the marker to tell.
            await end(connection)
        self.accounts |= accounts
        return commit

    async def _was_committed(self, batch_id: UUID) -> bool:
        """By whoever wrote the marker first, we or the batch; asked until there is an answer.

        The old backend may still be inside COMMIT, so that a mere look would not see it.
        """
        while True:
            try:
                async with self.link.connection() as connection:
                    await connection.execute(sql.KILL, batch_id)
                    is_dead = await connection.fetchval(sql.IS_DEAD, batch_id)
            except (ConnectionLost, TryAgain, StoreUnwritable):
                await asyncio.sleep(RECONNECT_S)
            else:
                assert is_dead is not None
                return not is_dead

    async def _forget_markers(self) -> None:
        """Now and then some that nobody asks for any more."""
        self.commits += 1
        if self.commits % FORGET_EVERY == 0:
            with suppress(StoreUnwritable):
                async with self._looking() as connection:
                    await connection.execute(sql.FORGET_MARKERS)
                    await connection.execute(sql.FORGET_NONCES, self.now() - NONCE_KEPT_MS)

    # What the loops ask for.

    async def due(
        self,
        channel: str,
        count_max: int,
        busy: Collection[Fence] = (),  # noqa: ARG002 they are claimed already
    ) -> list[Instruction]:
        """Claimed for a few seconds, so that no other process is given the same."""
        now = self.now()
        async with self._light() as connection:
            rows = await connection.fetch(sql.CLAIM, channel, now, count_max, now + CLAIM_MS)
        rows.sort(key=lambda row: (row["since"], row["instruction_id"]))
        return list(instructions_of(row[1:] for row in rows).values())

    async def due_payments(self, channels: Collection[str], count_max: int) -> list[Payment]:
        async with self._looking() as connection:
            rows = await connection.fetch(sql.DUE_PAYMENTS, self.now(), count_max, list(channels))
        return list(payments_of(rows).values())

    async def due_parked(self, channels: Collection[str], count_max: int) -> list[Parked]:
        async with self._looking() as connection:
            rows = await connection.fetch(sql.DUE_PARKED, self.now(), count_max, list(channels))
        return [parked_of(tuple(row)) for row in rows]

    async def next_due(self, channels: Collection[str]) -> int | None:
        async with self._looking() as connection:
            due_at: int | None = await connection.fetchval(sql.NEXT_DUE, list(channels))
        return due_at

    # The feed.

    async def undelivered(self, sink: str, count_max: int) -> list[tuple[int, Record]]:
        """Nothing, while another process delivers to this sink."""
        async with self._looking() as connection:
            position = await self._lease(connection, sink)
            if position is None:
                return []
            await give_positions(connection)
            rows = await connection.fetch(sql.UNDELIVERED, position, count_max)
            return await records_of(connection, rows)

    async def _lease(self, connection: asyncpg.Connection, sink: str) -> int | None:
        """Where the sink is, if it is ours to deliver to."""
        now = self.now()
        row = await connection.fetchrow(sql.SINK, sink)
        is_ours = row is not None and row["owner"] == self.owner
        if is_ours and row["leased_until"] > now + SINK_LEASE_MS // 2:
            return int(row["position"])
        if row is not None and not is_ours and row["leased_until"] > now:
            return None
        until = now + SINK_LEASE_MS
        position: int | None = await connection.fetchval(
            sql.LEASE_SINK, sink, self.owner, now, until
        )
        return position

    async def advance(self, sink: str, position: int) -> None:
        async with self._looking() as connection:
            await connection.execute(sql.ADVANCE, sink, position, self.owner)

    # Suspicion.

    async def suspect(self, object_ids: Sequence[str], *, is_proven: bool) -> None:
        async with self._looking() as connection:
            await connection.execute(sql.SUSPECT, sorted(set(object_ids)), is_proven)

    async def suspects(self) -> Mapping[str, int]:
        async with self._looking() as connection:
            return dict(await connection.fetch(sql.SUSPECTS))

    async def clear_suspects(self) -> None:
        async with self._looking() as connection:
            await connection.execute(sql.CLEAR_SUSPECTS)

    async def contents(self) -> Contents:
        async with self._looking() as connection:
            return await contents_of(connection)

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[asyncpg.Connection]:
        """For a statement by itself, which is its own transaction: the caller comes again."""
        try:
            async with self.link.connection() as connection:
                yield connection
        except (ConnectionLost, TryAgain) as error:
            raise StoreUnwritable(str(error)) from error

    @asynccontextmanager
    async def _light(self) -> AsyncIterator[asyncpg.Connection]:
        """A transaction that may be forgotten with the server, if that dies."""
        async with self._looking() as connection:
            await connection.execute(sql.BEGIN_LIGHTLY)
            yield connection
            await connection.execute("COMMIT")


@dataclass(slots=True)
class Batch:
    commands: Sequence[Command]
    plan: Callable[[Loaded], Commit]
    batch_id: UUID = field(default_factory=uuid4)
    commit: Commit | None = None  # Once its COMMIT may have been sent.

    @property
    def begin(self) -> str:
        is_switch = any(isinstance(command, SWITCHES) for command in self.commands)
        statement = sql.BEGIN_ALONE if is_switch else sql.BEGIN
        return statement.format(batch=self.batch_id)


def is_empty(commit: Commit) -> bool:
    """It changes nothing, as where every command was stale or answered before."""
    return not any(getattr(commit, name) for name in commit.__struct_fields__ if name != "answers")


def given_up(error: TryAgain, commands: Sequence[Command]) -> Exception:
    if isinstance(error, Taken | TooSlow) and len(commands) > 1:
        return BatchRefused(str(error))
    if isinstance(error, Taken):
        return AssertionError(f"its key is taken, and is not found: {error}")
    return StoreUnwritable(f"others were faster, too often: {error}")


async def end(connection: asyncpg.Connection) -> None:
    """A server that is silent is hung up on, not told to cancel.

    A commit that waits for its standby would be broken off by that, and look done.
    """
    loop = asyncio.get_running_loop()
    patience = loop.call_later(ANSWER_S_MAX, hang_up, connection)
    try:
        await connection.execute(sql.COMMIT, timeout=FOR_EVER_S)
    finally:
        patience.cancel()


async def give_positions(connection: asyncpg.Connection) -> None:
    """To all events that are visible and have none; by one process at a time."""
    is_restored = await connection.fetchval(sql.IS_RESTORED)
    if not is_restored and not await connection.fetchval(sql.HAS_NEWS):
        return
    await connection.execute(sql.BEGIN_GIVING)
    if await connection.fetchval(sql.IS_MY_TURN):
        give = sql.GIVE_ALL_POSITIONS if is_restored else sql.GIVE_POSITIONS
        await connection.execute(give, timeout=GIVE_S_MAX)
    await connection.execute("COMMIT")


async def records_of(
    connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]
) -> list[tuple[int, Record]]:
    entries: defaultdict[int, list[Entry]] = defaultdict(list)
    if rows:
        for event_id, *entry in await connection.fetch(sql.ENTRIES, [row[1] for row in rows]):
            entries[event_id].append(Entry(*entry))
    return [
        (position, Record(object_id, sequence, body, tuple(entries.get(event_id, ()))))
        for position, event_id, object_id, sequence, body in rows
    ]
