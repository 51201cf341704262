"""What is used once, and what merchants call things, is kept in the commit of its request."""

from __future__ import annotations

from contract.stores.samples import PAYMENT, REFUND, Clock, refund, save
from msgspec.structs import replace

from contraflow.domain.commands import Nonce
from contraflow.store import NONCE_KEPT_MS, Store, Views

NONCE = Nonce("key_1/n", bytes(range(32)))


async def test_a_nonce_is_found_again_by_who_comes_with_it(store: Store) -> None:
    await save(store, nonces=[NONCE])
    loaded = await save(store, refund(nonce=NONCE), refund(nonce=Nonce("key_1/other", bytes(32))))

    assert loaded.nonces == {NONCE.nonce_id: NONCE.digest}


async def test_nonces_that_are_long_stale_are_forgotten(queue: Store, clock: Clock) -> None:
    await save(queue, nonces=[Nonce(f"key_1/{number}", bytes(32)) for number in range(3)])
    clock.at += NONCE_KEPT_MS + 1
    for number in range(3):
        await save(queue, nonces=[Nonce(f"key_2/{number}", bytes(32))])
    asked = [refund(nonce=Nonce(f"key_{key}/{n}", bytes(32))) for key in (1, 2) for n in range(3)]
    loaded = await save(queue, *asked)

    assert {f"key_2/{number}" for number in range(3)} <= set(loaded.nonces)


async def test_a_thing_is_found_by_what_its_merchant_calls_it(store: Store, views: Views) -> None:
    other = replace(PAYMENT, payment_id="acme/pay_2")
    await save(
        store,
        payments=[other],
        references=[("acme/order 9", "acme/pay_2"), ("acme/order 9", "acme/ref_1")],
    )

    assert await views.named("acme/order 9", 9) == ["acme/pay_2", "acme/ref_1"]
    assert await views.named("acme/order 9", 1) == ["acme/pay_2"]
    assert await views.named("acme/order", 9) == []
    assert set(await views.payments(["acme/pay_2", "acme/none"])) == {"acme/pay_2"}
    assert set(await views.instructions([REFUND.instruction_id])) == {"acme/ref_1"}
