"""A commit is all or nothing, and everything that goes in comes out."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from contract.stores.samples import (
    CAPTURED,
    CASE,
    PAYMENT,
    REFUND,
    commit_of,
    reaching,
    refund,
    rows_of,
    save,
)
from msgspec.structs import replace

from contraflow.domain import commands as c
from contraflow.domain import observation as told
from contraflow.domain import outcome as said
from contraflow.domain.commands import Line
from contraflow.domain.decision import Receipt, Refused
from contraflow.domain.money import AMOUNT_MINOR_MAX
from contraflow.errors import ErrorCode, StoreUnwritable, ValueRefused
from contraflow.store import Commit, Loaded, Record, Store


async def test_a_plan_that_fails_leaves_nothing_behind(store: Store) -> None:
    before = await rows_of(store)

    def fail(_: Loaded) -> NoReturn:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.commit([refund()], fail)
    assert await rows_of(store) == before


async def test_a_store_goes_on_after_a_plan_that_failed(store: Store) -> None:
    def fail(_: Loaded) -> NoReturn:
        raise AssertionError

    for _ in range(20):  # More often than there are connections.
        with pytest.raises(AssertionError):
            await store.commit([refund()], fail)
    await save(store, receipts=[Receipt("acme/k2", bytes(32), b"")])

    assert set((await store.contents()).receipts) == {"acme/key_1", "acme/k2"}


async def test_the_answers_of_a_plan_are_those_of_the_commit(store: Store) -> None:
    """Also of one that has nothing else to say."""
    stale, fine = Refused(ErrorCode.LEASE_STALE, "x"), Refused(ErrorCode.KEY_REUSED, "y")
    receipt = Receipt("acme/k2", bytes(32), b"")
    before = await rows_of(store)
    nothing = await store.commit([refund()], lambda _: commit_of(answers=[stale]))
    assert await rows_of(store) == before
    something = await store.commit(
        [refund()], lambda _: commit_of(answers=[fine], receipts=[receipt])
    )

    assert nothing.answers == [stale]
    assert something.answers == [fine]
    assert (await store.contents()).receipts["acme/k2"] == receipt


@pytest.mark.parametrize(
    "parts",
    [
        {"receipts": [Receipt("acme/k2", bytes(32), b""), Receipt("acme/key_1", bytes(32), b"")]},
        {"records": [Record("acme/ref_1", 1, b"other")]},
        {"lines": [(Line("file", 1), "other")]},
        {"instructions": [replace(REFUND, instruction_id="acme/ref_2")]},
        {"payments": [PAYMENT]},
        {"facts": [CAPTURED]},
        {"cases": [CASE]},
    ],
    ids=lambda parts: next(iter(parts)),
)
async def test_nothing_is_written_twice(store: Store, parts: dict[str, Any]) -> None:
    """Our own bug where nobody else writes; else a race that is lost whatever we decide."""
    before = await rows_of(store)

    with pytest.raises((AssertionError, StoreUnwritable)):
        await save(store, **parts)
    assert await rows_of(store) == before


async def test_an_instruction_in_another_currency_is_our_own_bug(store: Store) -> None:
    before = await rows_of(store)
    foreign = replace(REFUND, instruction_id="acme/r", number="N", currency="USD")

    with pytest.raises(AssertionError, match="currency of its payment"):
        await save(store, instructions=[foreign])
    assert await rows_of(store) == before


async def test_an_instruction_of_no_payment_is_stored_nowhere(store: Store) -> None:
    before = await rows_of(store)
    orphan = replace(REFUND, instruction_id="acme/r", number="N", payment_id="x/y")

    with pytest.raises((AssertionError, ValueRefused)):
        await save(store, instructions=[orphan])
    assert await rows_of(store) == before


@pytest.mark.parametrize(
    "parts",
    [
        {"payments": [replace(PAYMENT, payment_id="acme/p", paid_at=2**63)]},
        {"payments": [replace(PAYMENT, payment_id="acme/p", amount=AMOUNT_MINOR_MAX + 1)]},
        {"payments": [replace(PAYMENT, payment_id="acme/p", reference="\ud800")]},
        {"payments": [replace(PAYMENT, payment_id="acme/p", currency="CN")]},
        {"receipts": [Receipt("acme/k", bytes(31), b"")]},
    ],
    ids=["63 bits", "10^15", "surrogate", "currency", "fingerprint"],
)
async def test_a_value_that_the_database_refuses_leaves_nothing(
    store: Store, parts: dict[str, Any]
) -> None:
    before = await rows_of(store)

    with pytest.raises(ValueRefused):
        await save(
            store, records=[Record("acme/x", 1, b"")], lines=[(Line("file", 9), "ok")], **parts
        )
    assert await rows_of(store) == before


@pytest.mark.parametrize("name", ["\ud800", "acme/\udfff"])
@pytest.mark.parametrize("field", ["payment_id", "key"])
async def test_a_name_that_cannot_be_asked_for_is_refused(
    store: Store, field: str, name: str
) -> None:
    with pytest.raises(ValueRefused):
        await save(store, refund(**{field: name}))


@pytest.mark.parametrize(
    "command",
    [
        refund(line=Line("\ud800", 1)),
        c.WithdrawReversal(key="acme/k", fingerprint=bytes(32), instruction_id="\ud800"),
        c.ResolveCase(
            key="acme/k",
            fingerprint=bytes(32),
            object_id="\ud800",
            resolution=c.Resolution.CLOSED,
            evidence="x",
        ),
        c.RecordFact(
            channel="rail",
            observation=told.Observation("e", told.Answered("\ud800", said.Unknown())),
        ),
    ],
    ids=["source", "instruction", "case", "number"],
)
async def test_whatever_cannot_be_asked_for_is_refused(store: Store, command: c.Command) -> None:
    with pytest.raises(ValueRefused):
        await save(store, command)
    assert (await save(store, refund())).payments == {"acme/pay_1": PAYMENT}


@pytest.mark.parametrize("name", ["a", "", "é", "\U0001f4b8", "'", '"', "\\u0000", "{}", "a,b"])
async def test_a_key_is_found_exactly_as_it_was_written(store: Store, name: str) -> None:
    keys = [name, name + " ", name + "x"]
    for key in keys:
        await save(store, receipts=[Receipt(key, bytes(32), key.encode())])
    loaded = await save(store, *(refund(key=key) for key in keys))

    assert {key: receipt.body for key, receipt in loaded.receipts.items()} == {
        key: key.encode() for key in keys
    }


async def test_a_thousand_rows_are_one_commit(queue: Store) -> None:
    """Of one batch, and loaded in one batch again."""
    payments = [replace(PAYMENT, payment_id=f"acme/p{n:04}") for n in range(500)]
    instructions = [
        replace(REFUND, instruction_id=f"acme/r{n:04}", payment_id=f"acme/p{n:04}", number=f"N{n}")
        for n in range(500)
    ]
    await save(queue, payments=payments[::-1], instructions=instructions[::-1])
    loaded = await save(queue, *map(reaching, instructions))

    assert loaded.payments == {payment.payment_id: payment for payment in payments}
    assert loaded.instructions == {each.instruction_id: each for each in instructions}


async def test_a_commit_comes_back_as_it_was_planned(queue: Store) -> None:
    commit = commit_of(payments=[PAYMENT])
    planned: list[Commit] = []

    def plan(_: Loaded) -> Commit:
        planned.append(commit)
        return commit

    assert await queue.commit([refund()], plan) is commit
    assert planned == [commit]
