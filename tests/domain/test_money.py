"""Is money exact in every currency, and is what is no money refused by name?"""

import math
from decimal import Decimal
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iso4217 import Currency

from contraflow.domain.money import (
    AMOUNT_MINOR_MAX,
    AmountInvalid,
    Money,
    decimal_text,
    exponent_of,
    money_of,
    money_of_decimal,
)
from contraflow.errors import ErrorCode
from contraflow.wire.canonical import encode

LIST_ONE = Path(__file__).parents[3] / "shared" / "data" / "iso4217" / "list-one.xml"
needs_list = pytest.mark.skipif(not LIST_ONE.exists(), reason="no ../shared/data/iso4217")
MINORS = st.integers(1, AMOUNT_MINOR_MAX) | st.sampled_from([1, 9, 10, 999, AMOUNT_MINOR_MAX])


@cache
def listed() -> dict[str, int | None]:
    """Every currency of ISO 4217 list one with its decimals; None for gold and the like."""
    found: dict[str, int | None] = {}
    for entry in ElementTree.parse(LIST_ONE).iter("CcyNtry"):  # noqa: S314 a file of ours
        code, units = entry.findtext("Ccy"), entry.findtext("CcyMnrUnts")
        if code is not None:
            found[code] = None if units == "N.A." else int(units or "")
    return found


def money_currencies() -> list[str]:
    return [code for code, exponent in listed().items() if exponent is not None]


@needs_list
def test_the_exponents_are_those_of_the_list() -> None:
    listing = listed()

    assert {code: exponent_of(code) for code in listing} == listing
    assert {currency.code for currency in Currency} == set(listing)
    assert set(listing.values()) == {0, 2, 3, 4, None}


@needs_list
@given(minor=MINORS)
def test_every_amount_of_every_currency_survives_a_round_trip(minor: int) -> None:
    for currency in money_currencies():
        money = Money(minor, currency)

        assert money_of(minor, currency) == money
        assert money_of_decimal(decimal_text(money), currency) == money
        assert msgspec.json.decode(encode(money), type=Money) == money


@needs_list
@given(minor=MINORS)
def test_the_decimal_text_has_the_value_and_the_decimals_of_its_currency(minor: int) -> None:
    for currency, exponent in listed().items():
        if exponent is not None:
            shown = Decimal(decimal_text(Money(minor, currency)))

            assert shown == Decimal(minor).scaleb(-exponent)
            assert -shown.as_tuple().exponent == exponent


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(1_050, "GBP"), "10.50"),
        (Money(5, "GBP"), "0.05"),
        (Money(-5, "GBP"), "-0.05"),
        (Money(1_050, "JPY"), "1050"),
        (Money(1, "KWD"), "0.001"),
        (Money(12_345, "CLF"), "1.2345"),
        (Money(AMOUNT_MINOR_MAX, "USD"), "10000000000000.00"),
    ],
)
def test_amounts_are_shown_as_people_write_them(money: Money, text: str) -> None:
    assert decimal_text(money) == text


@pytest.mark.parametrize("minor", [1, AMOUNT_MINOR_MAX])
def test_the_smallest_and_the_greatest_amount_are_money(minor: int) -> None:
    assert money_of(minor, "CNY") == Money(minor, "CNY")


@pytest.mark.parametrize(
    ("minor", "reason"),
    [
        (1.0, "not float"),
        (10.5, "not float"),
        (math.inf, "not float"),
        (math.nan, "not NaN"),
        (Decimal("NaN"), "not NaN"),
        (Decimal(1), "not Decimal"),
        ("100", "not str"),
        (b"100", "not bytes"),
        (None, "not NoneType"),
        (True, "not bool"),
        (-1, "negative"),
        (0, "zero"),
        (AMOUNT_MINOR_MAX + 1, "above 10^15"),
        (10**30, "above 10^15"),
    ],
)
def test_what_is_no_amount_is_refused_by_name(minor: object, reason: str) -> None:
    with pytest.raises(AmountInvalid) as caught:
        money_of(minor, "CNY")

    assert caught.value.code is ErrorCode.AMOUNT_INVALID
    assert str(caught.value).endswith(reason)


@pytest.mark.parametrize("currency", ["XAU", "XXX", "XTS", "cny", "CN", "CNYY", "", 156, None])
def test_what_is_no_currency_to_pay_in_is_refused_by_name(currency: object) -> None:
    with pytest.raises(AmountInvalid, match=r"^currency: ") as caught:
        money_of(100, currency)

    assert caught.value.code is ErrorCode.FIELD_INVALID


@pytest.mark.parametrize(
    ("text", "currency", "reason"),
    [
        ("10.5", "CNY", "with 2 decimals"),
        ("10.500", "CNY", "with 2 decimals"),
        ("10", "CNY", "with 2 decimals"),
        (".50", "CNY", "with 2 decimals"),
        ("1,000.00", "CNY", "with 2 decimals"),
        ("10.5.0", "CNY", "with 2 decimals"),
        ("+10.50", "CNY", "with 2 decimals"),
        ("-10.50", "CNY", "with 2 decimals"),
        (" 10.50", "CNY", "with 2 decimals"),
        ("1e1.00", "CNY", "with 2 decimals"),
        ("NaN", "CNY", "with 2 decimals"),
        ("١٠.٥٠", "CNY", "with 2 decimals"),  # noqa: RUF001 digits, but not ours
        ("10.", "JPY", "with 0 decimals"),
        ("10.0", "JPY", "with 0 decimals"),
        ("10.50", "KWD", "with 3 decimals"),
        ("0.00", "CNY", "zero"),
        ("10000000000000.01", "CNY", "above 10^15"),
        pytest.param("9" * 5_000, "JPY", "above 10^15", id="very_long"),
    ],
)
def test_a_decimal_text_of_another_shape_is_refused(text: str, currency: str, reason: str) -> None:
    with pytest.raises(AmountInvalid) as caught:
        money_of_decimal(text, currency)

    assert caught.value.code is ErrorCode.AMOUNT_INVALID
    assert str(caught.value).endswith(reason)


def test_a_decimal_text_in_gold_is_refused_for_its_currency() -> None:
    with pytest.raises(AmountInvalid) as caught:
        money_of_decimal("1.00", "XAU")

    assert caught.value.code is ErrorCode.FIELD_INVALID


@pytest.mark.parametrize(
    ("minor", "currency"),
    [
        (1.0, "CNY"),
        (True, "CNY"),
        (AMOUNT_MINOR_MAX + 1, "CNY"),
        (-AMOUNT_MINOR_MAX - 1, "CNY"),
        (1, "cny"),
        (1, "CNYY"),
    ],
)
def test_money_that_cannot_be_is_a_bug_of_ours(minor: int, currency: str) -> None:
    with pytest.raises(AssertionError):
        Money(minor, currency)
