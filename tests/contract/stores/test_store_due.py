"""What falls due is given once, in its turn, and not while it may not be touched."""

from __future__ import annotations

import pytest
from contract.stores.samples import (
    CHANNELS,
    KEY,
    NOW,
    PARKED,
    PAYMENT,
    Clock,
    names,
    reaching,
    save,
    waiting,
)
from msgspec.structs import replace

from contraflow.domain import commands as c
from contraflow.domain import observation as told
from contraflow.domain.cases import CaseKind, Parked, open_case
from contraflow.domain.instruction import Instruction, Waiting
from contraflow.domain.lifecycle import PaymentState, State
from contraflow.store import Store
from contraflow.store.postgres import CLAIM_MS

LATER = CLAIM_MS  # Until a claim is over, where there are claims.


def queued() -> list[Instruction]:
    return [
        waiting("b", due_at=20),
        waiting("a", due_at=30, requested_at=5),
        waiting("c", due_at=10, requested_at=50),
        waiting("later", due_at=NOW + 1),
        waiting("over", state=State.FAILED, final_at=5, due_at=None),
        waiting("other", channel="telex", due_at=30),
    ]


@pytest.mark.parametrize(
    ("channel", "count_max", "expected"),
    [
        ("rail", 10, ["c", "b", "a"]),
        ("rail", 2, ["c", "b"]),
        ("rail", 1, ["c"]),
        ("telex", 10, ["other"]),
        ("fax", 10, []),
    ],
)
async def test_due_is_what_waits_longest(
    queue: Store, channel: str, count_max: int, expected: list[str]
) -> None:
    await save(queue, payments=[PAYMENT], instructions=queued())

    assert await queue.next_due(CHANNELS) == 10
    assert names(await queue.due(channel, count_max)) == expected


async def test_what_falls_due_next_is_what_is_served(queue: Store) -> None:
    await save(queue, payments=[PAYMENT], instructions=queued())

    assert await queue.next_due(["telex"]) == 30
    assert await queue.next_due(["fax"]) is None
    assert await queue.next_due([]) is None


async def test_nothing_is_due_in_an_empty_store(queue: Store) -> None:
    assert await queue.next_due(CHANNELS) is None
    assert await queue.due("rail", 10) == []
    assert await queue.due_payments(CHANNELS, 10) == []
    assert await queue.due_parked(CHANNELS, 10) == []


async def test_what_somebody_is_busy_with_is_not_given_again(queue: Store) -> None:
    await save(queue, payments=[PAYMENT], instructions=queued())
    [first] = await queue.due("rail", 1)
    rest = await queue.due("rail", 10, {first.fence})
    again = await queue.due("rail", 10, {first.fence, *(each.fence for each in rest)})

    assert names([first]) == ["c"]
    assert names(rest) == ["b", "a"]
    assert again == []


async def test_what_was_given_and_left_alone_is_given_again(queue: Store, clock: Clock) -> None:
    await save(queue, payments=[PAYMENT], instructions=[waiting("a", due_at=1)])
    [first] = await queue.due("rail", 10)
    clock.at += LATER
    [again] = await queue.due("rail", 10)

    assert first.instruction_id == again.instruction_id


async def test_what_was_given_is_as_it_is_stored(queue: Store) -> None:
    """Whoever marks it next must be found to hold the right fence."""
    await save(queue, payments=[PAYMENT], instructions=[waiting("a", due_at=1)])
    [given] = await queue.due("rail", 10)
    loaded = await save(queue, reaching(given))

    assert loaded.instructions == {"acme/a": given}


@pytest.mark.parametrize("scope", ["all", "channel:rail", "merchant:acme"])
async def test_a_hold_stops_what_is_only_waiting_to_be_sent(
    queue: Store, clock: Clock, scope: str
) -> None:
    redirected = {"attempt": 1, "leave_by": 1, "waiting": Waiting.REDIRECT}
    rows = [
        waiting("waits", due_at=1),
        waiting("waits_until", due_at=2, deadline_at=NOW + 50_000),
        waiting("timed_out", due_at=3, deadline_at=NOW),
        waiting("asked", due_at=4, state=State.UNKNOWN, attempt=1, leave_by=1),
        waiting("held", due_at=5, state=State.HELD, deadline_at=NOW, waiting=Waiting.UNDO_WINDOW),
        waiting("redirected", due_at=6, state=State.ATTENTION, **redirected),
    ]
    await save(queue, payments=[PAYMENT], instructions=rows, holds=[(scope, True)])

    assert names(await queue.due("rail", 10)) == ["timed_out", "asked", "held"]

    settled = [replace(rows[i], state=State.FAILED, final_at=9, due_at=None) for i in (2, 3, 4)]
    await save(queue, *map(reaching, rows), instructions=settled)
    clock.at += LATER
    assert await queue.due("rail", 10) == []
    assert await queue.next_due(CHANNELS) == NOW + 50_000

    await save(queue, holds=[(scope, True), (scope, False)])
    assert await queue.next_due(CHANNELS) == 1
    assert names(await queue.due("rail", 10)) == ["waits", "waits_until", "redirected"]


@pytest.mark.parametrize("scope", ["channel:telex", "merchant:acm", "merchant:other", "alle"])
async def test_a_hold_elsewhere_stops_nothing(queue: Store, scope: str) -> None:
    await save(
        queue, payments=[PAYMENT], instructions=[waiting("a", due_at=1)], holds=[(scope, True)]
    )

    assert await queue.next_due(CHANNELS) == 1
    assert names(await queue.due("rail", 10)) == ["a"]


@pytest.mark.parametrize("object_id", ["acme/a", "acme/pay_1"])
async def test_what_is_quarantined_is_not_due_until_its_case_is_closed(
    queue: Store, clock: Clock, object_id: str
) -> None:
    case = open_case(CaseKind.QUARANTINED, object_id=object_id, cause="1", now=1)
    unpaid = replace(PAYMENT, state=PaymentState.PENDING, expires_at=40)
    other = waiting("b", payment_id="acme/pay_2", due_at=50)
    about = told.Observation("e", told.Expired("acme/pay_1"))
    await save(
        queue,
        payments=[unpaid, replace(PAYMENT, payment_id="acme/pay_2")],
        instructions=[waiting("a", due_at=1), other],
        cases=[case],
        parked=[Parked("n", "rail", about, 30)],
    )
    is_payment = object_id == "acme/pay_1"

    assert await queue.next_due(CHANNELS) == (50 if is_payment else 30)
    assert len(await queue.due_payments(CHANNELS, 10)) == (not is_payment)
    assert len(await queue.due_parked(CHANNELS, 10)) == (not is_payment)
    assert names(await queue.due("rail", 10)) == ["b"]

    resolve = c.ResolveCase(
        **KEY, object_id=case.case_id, resolution=c.Resolution.CLOSED, evidence="seen"
    )
    assert (await save(queue)).quarantined == {object_id}
    closed = replace(case, closed_at=NOW, closed_by="acme/key_1")
    loaded = await save(queue, resolve, cases=[closed])
    assert loaded.cases == {case.case_id: case}
    assert (await save(queue)).quarantined == set()
    clock.at += LATER
    assert await queue.next_due(CHANNELS) == 1
    assert names(await queue.due("rail", 10)) == ["a", "b"]


async def test_payments_fall_due_while_they_are_unpaid(queue: Store) -> None:
    unpaid = replace(PAYMENT, state=PaymentState.CREATED, expires_at=40)
    rows = [
        unpaid,
        replace(unpaid, payment_id="acme/pay_2", state=PaymentState.PENDING, expires_at=30),
        replace(unpaid, payment_id="acme/pay_3", expires_at=NOW + 1),
        replace(unpaid, payment_id="acme/pay_4", state=PaymentState.CAPTURED, expires_at=5),
        replace(unpaid, payment_id="acme/pay_5", expires_at=None),
        replace(unpaid, payment_id="acme/pay_6", channel="fax", expires_at=5),
    ]
    await save(queue, payments=rows)

    assert await queue.due_payments(CHANNELS, 10) == [rows[1], rows[0]]
    assert await queue.due_payments(CHANNELS, 1) == [rows[1]]
    assert await queue.next_due(CHANNELS) == 30


async def test_parked_facts_fall_due_until_they_are_done(queue: Store) -> None:
    later = replace(PARKED, notice_id="n2", due_at=NOW + 1)
    elsewhere = replace(PARKED, notice_id="n3", channel="fax", due_at=1)
    await save(queue, parked=[PARKED, later, elsewhere])

    assert await queue.due_parked(CHANNELS, 10) == [PARKED]
    assert await queue.next_due(CHANNELS) == 950

    await save(queue, parked=[replace(PARKED, due_at=None)])
    assert await queue.due_parked(CHANNELS, 10) == []
    assert await queue.next_due(CHANNELS) == NOW + 1
