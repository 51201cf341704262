"""A database that has moved to another server: its clock, and its numbers, are others."""

from __future__ import annotations

from contract.stores.samples import PAYMENT, REFUND, reaching, save
from msgspec.structs import replace
from store.asking import end_sessions
from store.databases import Database, Opened

from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import State
from contraflow.store import Record

FAR_MS = 400_000  # Longer than any channel takes to be sure that nothing of an attempt comes.
CLOCK = """
CREATE OR REPLACE FUNCTION contraflow.clock_ms() RETURNS bigint LANGUAGE sql VOLATILE
    AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + {ahead} $$
"""
FAILOVER = "UPDATE home SET timeline = '000000EE'"
RESTORE = "UPDATE home SET system = '1'"
MOVED_AT = "SELECT moved_at FROM home"
SERVER = "SELECT clock_ms()"


async def begin(own: Database) -> None:
    await own.execute("UPDATE home SET moved_at = 0", CLOCK.format(ahead=0))


def sent(leave_by: int, name: str = "1", state: State = State.SENT) -> Instruction:
    return replace(
        REFUND,
        instruction_id=f"acme/ref_{name}",
        number=f"N{name}",
        state=state,
        leave_by=leave_by,
    )


async def test_what_left_before_a_failover_is_as_if_it_had_left_then(
    own: Database, opened_own: Opened
) -> None:
    await begin(own)
    store = await opened_own.store()
    travelling, waiting = sent(store.now()), sent(store.now(), "2", State.ACCEPTED)
    await save(store, payments=[PAYMENT], instructions=[travelling, waiting])
    before = await own.value(SERVER)
    await own.execute(FAILOVER)
    await end_sessions(own)
    loaded = await save(store, reaching(travelling), reaching(waiting))
    moved_at = await own.value(MOVED_AT)

    assert before <= moved_at <= loaded.now
    assert loaded.instructions["acme/ref_1"].leave_by == moved_at
    assert loaded.instructions["acme/ref_2"].leave_by == waiting.leave_by
    await end_sessions(own)
    await save(store)
    assert await own.value(MOVED_AT) == moved_at


async def test_a_clock_that_is_set_forward_makes_nobody_dead(
    own: Database, opened_own: Opened
) -> None:
    """Who has known the time before tells who comes after."""
    await begin(own)
    store = await opened_own.store()
    travelling = sent(store.now())
    await save(store, payments=[PAYMENT], instructions=[travelling])
    await own.execute(CLOCK.format(ahead=FAR_MS))
    loaded = await save(store, reaching(travelling))
    later = await save(await opened_own.store(), reaching(travelling))
    moved_at = await own.value(MOVED_AT)

    assert loaded.now > travelling.leave_by + FAR_MS - 1_000
    assert (
        loaded.instructions["acme/ref_1"].leave_by == moved_at > travelling.leave_by + FAR_MS // 2
    )
    assert later.instructions["acme/ref_1"].leave_by == moved_at
    assert abs(store.now() - loaded.now) < 1_000


async def test_the_clock_of_a_replay_has_not_moved(own: Database, opened_own: Opened) -> None:
    await begin(own)
    store = await opened_own.store(lambda: 1_000)
    await save(store, payments=[PAYMENT], instructions=[sent(900)])
    await own.execute(FAILOVER)
    await end_sessions(own)
    loaded = await save(store, reaching(sent(900)))

    assert loaded.instructions["acme/ref_1"].leave_by == 900


async def test_a_restored_database_gives_a_position_to_every_event(
    own: Database, opened_own: Opened
) -> None:
    """Also where the other server counts further than the old one did."""
    await begin(own)
    store = await opened_own.store()
    await save(store, records=[Record("a", 1, b"{}")])
    await own.execute(
        "UPDATE sequencer SET next_xid = pg_snapshot_xmax(pg_current_snapshot())", RESTORE
    )
    assert await store.undelivered("sink", 10) == []
    await end_sessions(own)
    await save(store, records=[Record("b", 1, b"{}")])
    found = await store.undelivered("sink", 10)

    assert [record.object_id for _, record in found] == ["a", "b"]
    assert await own.value(MOVED_AT) > 0
