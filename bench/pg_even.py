"""The proof that the arms to be compared do equal work: they leave the same rows behind."""

from __future__ import annotations

from collections.abc import Sequence

import pg_floor
import pg_plain
from pg_floor import Transaction
from pg_lives import live
from pg_rows import TABLES, Tables, assert_same, bytes_of_bodies, tables_of
from pg_server import fresh_database
from workload import frozen_clock, policy

from contraflow.outside.postgres_server import PostgresServer
from contraflow.store.postgres_opening import open_store

LENGTHS_APART_MAX = 0.15  # Its own JSON, of the same facts, is about as long.
TEMPLATE, NAME = "hot", "even"
# A claim raises the version and the fence; and what is claimed is marked in another order.
BY_CLAIMS = ("version", "lease", "event_id", "batch_id")
BY_PLAIN = ("version", "event_id", "body")
TABLES_OF_PLAIN = tuple(table for table in TABLES if table != "commit_marker")


async def note_writes(
    server: PostgresServer, numbers: Sequence[int], few: int
) -> list[Transaction]:
    """What the floor is to write for these life cycles."""
    async with fresh_database(server, TEMPLATE, NAME) as dsn:
        transactions = await pg_floor.spied(dsn, numbers)
        unclaimed = await tables_of(dsn)
    async with fresh_database(server, TEMPLATE, NAME) as dsn:
        async with pg_floor.connected(dsn) as connection:
            await pg_floor.replay(connection, transactions)
        assert_same(unclaimed, await tables_of(dsn))
    assert_same(await by_engine(server, numbers), unclaimed, but=BY_CLAIMS)
    for lock in ("first", "last"):
        await assert_plain_is_even(server, range(few), lock)
    return transactions


async def by_engine(server: PostgresServer, numbers: Sequence[int]) -> Tables:
    """As in its turns, claims and all, but in one moment."""
    async with fresh_database(server, TEMPLATE, NAME) as dsn:
        store = await open_store(dsn, clock=frozen_clock)
        await live(store, policy(), numbers)
        await store.close()
        return await tables_of(dsn)


async def assert_plain_is_even(
    server: PostgresServer, numbers: Sequence[int], lock: pg_plain.Lock
) -> None:
    """Its leases are its own, since nobody claims there."""
    async with fresh_database(server, TEMPLATE, NAME) as dsn:
        async with pg_plain.connected(dsn) as connections:
            await pg_plain.live_plainly(connections, numbers, frozen_clock, lock)
        plain = await tables_of(dsn)
    engine = await by_engine(server, numbers)
    assert_same(engine, plain, but=(*BY_PLAIN, "lease"), tables=TABLES_OF_PLAIN)
    lengths = bytes_of_bodies(engine), bytes_of_bodies(plain)
    assert abs(lengths[0] - lengths[1]) < LENGTHS_APART_MAX * lengths[0]
