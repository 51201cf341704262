"""Are names made of what they must be made of, and of nothing else?"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contraflow.domain.ids import (
    instruction_id_for,
    name_of,
    number_for,
    qualified,
    tenant_of,
)

TEXTS = st.text(max_size=20)


def test_a_number_never_changes_once_it_is_published() -> None:
    number = number_for(payment_id="shop/pay_1", key="shop/key_1", leg=1, generation=2)

    assert number == "BEFCHS3NJF3VQBSA64BT5XTXJX"


@given(payment_id=TEXTS, key=TEXTS, leg=st.integers(0, 9), generation=st.integers(0, 9))
def test_every_channel_can_carry_a_number(
    payment_id: str, key: str, leg: int, generation: int
) -> None:
    number = number_for(payment_id=payment_id, key=key, leg=leg, generation=generation)

    assert re.fullmatch("[A-Z2-7]{26}", number)


@given(st.lists(st.tuples(TEXTS, TEXTS, st.integers(0, 99), st.integers(0, 99)), unique=True))
def test_other_requests_have_other_numbers(
    requests: list[tuple[str, str, int, int]],
) -> None:
    numbers = {
        number_for(payment_id=payment_id, key=key, leg=leg, generation=generation)
        for payment_id, key, leg, generation in requests
    }

    assert len(numbers) == len(requests)


def test_where_one_field_ends_and_the_next_begins_matters() -> None:
    assert number_for(payment_id="shop/a", key="bc") != number_for(payment_id="shop/ab", key="c")
    assert number_for(payment_id="a", key="b", leg=1, generation=12) != number_for(
        payment_id="a", key="b", leg=11, generation=2
    )


def test_the_id_of_an_instruction_is_its_first_number_with_the_tenant() -> None:
    assert instruction_id_for(payment_id="shop/pay_1", key="shop/k", leg=1) == "shop/" + number_for(
        payment_id="shop/pay_1", key="shop/k", leg=1
    )


@pytest.mark.parametrize("name", ["pay_1", "a/b/c", ""])
def test_an_id_can_be_taken_apart_again(name: str) -> None:
    assert tenant_of(qualified("shop", name)) == "shop"
    assert name_of(qualified("shop", name)) == name


@pytest.mark.parametrize("tenant", ["", "Shop", "a/b", "-shop", "s" * 33, "shop\n"])
def test_a_tenant_that_could_be_mistaken_is_a_bug_of_ours(tenant: str) -> None:
    with pytest.raises(AssertionError):
        qualified(tenant, "pay_1")
