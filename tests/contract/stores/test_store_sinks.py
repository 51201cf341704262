"""Events reach every sink in their order, and suspicion outlives the process that had it."""

from __future__ import annotations

from contract.stores.samples import save

from contraflow.ledger.journal import Entry
from contraflow.store import Record, Store


async def test_each_sink_has_its_own_place_in_the_events(queue: Store) -> None:
    entries = (Entry("a", "b", 5, "CNY"), Entry("b", "c", 7, "JPY"))
    records = [Record("acme/x", 1, b"one"), Record("acme/x", 2, b"two", entries)]
    await save(queue, records=records)

    assert await queue.undelivered("one", 10) == list(enumerate(records, 1))
    assert await queue.undelivered("one", 1) == [(1, records[0])]

    await queue.advance("one", 1)
    assert await queue.undelivered("one", 10) == [(2, records[1])]
    assert len(await queue.undelivered("two", 10)) == 2


async def test_what_a_sink_has_not_taken_it_is_told_again(queue: Store) -> None:
    records = [Record("acme/x", 1, b"one"), Record("acme/y", 1, b"two")]
    await save(queue, records=records)
    first = await queue.undelivered("one", 10)
    again = await queue.undelivered("one", 10)

    assert first == again == list(enumerate(records, 1))


async def test_positions_go_on_over_many_batches(queue: Store) -> None:
    for sequence in range(1, 6):
        await save(queue, records=[Record("a", sequence, b"a"), Record("b", sequence, b"b")])
        if sequence == 3:
            assert len(await queue.undelivered("one", 10)) == 6
    found = await queue.undelivered("two", 100)

    assert [position for position, _ in found] == list(range(1, 11))
    assert [record.sequence for _, record in found if record.object_id == "a"] == [1, 2, 3, 4, 5]
    assert [record.sequence for _, record in found if record.object_id == "b"] == [1, 2, 3, 4, 5]


async def test_suspects_are_counted_and_cleared(queue: Store) -> None:
    await queue.suspect(["a", "b"], is_proven=False)
    await queue.suspect(["a"], is_proven=False)
    await queue.suspect(["b"], is_proven=True)
    assert await queue.suspects() == {"a": 1, "b": 2}

    await queue.clear_suspects()
    assert await queue.suspects() == {}
