"""A caller's command touches what is its own; what is not, does not exist for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from house import House, keyed
from msgspec.structs import replace

from contraflow.domain import commands as c
from contraflow.domain.commands import Nonce
from contraflow.domain.decision import Refused, Told
from contraflow.domain.money import Money
from contraflow.domain.owner import Owner
from contraflow.requests.standing import receipt_in

ALL = frozenset({"sandbox", "sandbox_rail"})
WHOLE = Owner(tenant="main", channels=ALL)
BERLIN = Owner(tenant="main", merchant="berlin", channels=ALL)
LIVE = Owner(tenant="main", channels=frozenset({"elsewhere"}))
OTHER = Owner(tenant="other", channels=ALL)
Build = Callable[..., House]


def told(house: House, command: Any) -> str:
    """`accepted`, or why not."""
    receipt = receipt_in(house.ask(command))
    assert receipt is not None
    return receipt.code or receipt.decision


def refund(owner: Owner | None, payment_id: str = "main/pay_1") -> Any:
    return keyed(c.RequestRefund, payment_id=payment_id, amount=Money(1, "GBP"), owner=owner)


@pytest.mark.parametrize("owner", [WHOLE, None])
def test_its_own_may_be_touched(house: House, owner: Owner | None) -> None:
    house.paid()

    assert told(house, refund(owner)) == "accepted"


@pytest.mark.parametrize("owner", [BERLIN, LIVE, OTHER])
@pytest.mark.parametrize(
    "command",
    [
        refund,
        lambda owner: keyed(c.RequestCancel, payment_id="main/pay_1", owner=owner),
        lambda owner: keyed(c.RequestReversal, payment_id="main/pay_1", owner=owner),
        lambda owner: keyed(c.RequestCapture, payment_id="main/pay_1", owner=owner),
    ],
)
def test_what_is_foreign_is_as_unknown_as_what_is_not_there(
    house: House, owner: Owner, command: Callable[[Owner], Any]
) -> None:
    house.paid()
    before = house.payment()

    assert told(house, command(owner)) == "payment_unknown"
    assert told(house, refund(owner, "main/none")) == "payment_unknown"
    assert house.payment() == before


@pytest.mark.parametrize("owner", [BERLIN, LIVE, OTHER])
def test_a_foreign_reversal_cannot_be_withdrawn(house: House, owner: Owner) -> None:
    house.paid()
    name = house.refund()
    withdrawal = keyed(c.WithdrawReversal, instruction_id=name, owner=owner)

    assert told(house, withdrawal) == "reversal_unknown"


def test_a_payment_is_made_only_through_a_channel_of_its_mode(house: House) -> None:
    record = keyed(
        c.RecordPayment,
        payment_id="main/p9",
        channel="sandbox",
        amount=Money(1, "GBP"),
        is_captured=True,
        owner=LIVE,
    )

    assert told(house, record) == "channel_unable"


# What may be used once.


def signed(digest: int, key: str) -> Any:
    nonce = Nonce("key_1/nonce", bytes([digest]) * 32)
    command = keyed(c.RequestRefund, payment_id="main/pay_1", amount=Money(1, "GBP"), nonce=nonce)
    return replace(command, key=key, fingerprint=key.encode().ljust(32))


def test_the_same_signed_request_gets_the_same_receipt(house: House) -> None:
    house.paid()
    first, again = house.ask(signed(1, "main/k")), house.ask(signed(1, "main/k"))

    assert isinstance(first, Told)
    assert isinstance(again, Told)
    assert again.is_replayed
    assert again.receipt == first.receipt


def test_a_nonce_is_good_for_nothing_else(house: House) -> None:
    house.paid()
    house.ask(signed(1, "main/k"))
    before = house.payment()
    refused = house.ask(signed(2, "main/k2"))

    assert isinstance(refused, Refused)
    assert refused.code == "nonce_reused"
    assert house.payment() == before
