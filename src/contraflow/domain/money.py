"""Exact money: a whole number of minor units in one currency, and the ways to read and show it."""

from __future__ import annotations

from functools import cache

from iso4217 import Currency
from msgspec import Struct

from contraflow.errors import ErrorCode

AMOUNT_MINOR_MAX = 10**15  # A batch of such amounts still fits 63 bits; see engine/limits.py.
DIGITS_MAX = 32  # Of an amount as text, leading zeros included.


class Money(Struct, frozen=True, gc=False):
    minor: int
    currency: str

    def __post_init__(self) -> None:
        assert type(self.minor) is int, "money is counted, never measured"
        assert -AMOUNT_MINOR_MAX <= self.minor <= AMOUNT_MINOR_MAX
        assert len(self.currency) == 3
        assert self.currency.isupper()


class AmountInvalid(ValueError):
    """An amount or a currency that cannot be money; `code` and the message say why."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@cache
def exponent_of(currency: str) -> int | None:
    """How many decimals the currency has (ISO 4217 list one); None for what is not money to pay.

    Gold, testing codes and the like have no minor unit, and so no amount.
    """
    try:
        exponent: int | None = Currency(currency).exponent
    except ValueError:
        return None
    return exponent


def money_of(minor: object, currency: object) -> Money:
    """Parse what a caller sent. Raises AmountInvalid, naming the field and the reason.

    Only a whole number counts: no float, no text, no boolean, from 1 to 10^15 minor units.
    """
    if not isinstance(currency, str) or exponent_of(currency) is None:
        raise AmountInvalid(ErrorCode.FIELD_INVALID, "currency: not a currency of ISO 4217")
    if isinstance(minor, bool) or not isinstance(minor, int):
        kind = "NaN" if minor != minor else type(minor).__name__  # noqa: PLR0124 only NaN differs
        raise AmountInvalid(
            ErrorCode.AMOUNT_INVALID, f"minor: a whole number is needed, not {kind}"
        )
    if minor <= 0:
        word = "zero" if minor == 0 else "negative"
        raise AmountInvalid(ErrorCode.AMOUNT_INVALID, f"minor: {word}")
    if minor > AMOUNT_MINOR_MAX:
        raise AmountInvalid(ErrorCode.AMOUNT_INVALID, "minor: above 10^15")
    return Money(minor, currency)


def decimal_text(money: Money) -> str:
    """`Money(1050, "GBP")` as `10.50`, `Money(1050, "JPY")` as `1050`; exact in both directions."""
    exponent = exponent_of(money.currency)
    assert exponent is not None
    sign, digits = "-" if money.minor < 0 else "", str(abs(money.minor)).rjust(exponent + 1, "0")
    return sign + (f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits)


def money_of_decimal(text: str, currency: str) -> Money:
    """Parse `10.50` with exactly the decimals of its currency. Raises AmountInvalid."""
    exponent = exponent_of(currency)
    if exponent is None:
        raise AmountInvalid(ErrorCode.FIELD_INVALID, "currency: not a currency of ISO 4217")
    whole, _, decimals = text.partition(".")
    digits = whole + decimals
    has_shape = whole != "" and len(decimals) == exponent and text.count(".") == (exponent > 0)
    if not (has_shape and digits.isascii() and digits.isdigit()):
        raise AmountInvalid(
            ErrorCode.AMOUNT_INVALID, f"amount: {currency} is written with {exponent} decimals"
        )
    if len(digits) > DIGITS_MAX:
        raise AmountInvalid(ErrorCode.AMOUNT_INVALID, "amount: above 10^15")
    return money_of(int(digits), currency)
