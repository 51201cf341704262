"""Bytes from outside become a value of one type, strictly, or are refused by the name of a field.

The type is the one that the API's description is made of. Beyond RFC 8259 every name may stand
once, numbers are whole, and text is UTF-8 without half characters.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from contraflow.api.problem import Problem
from contraflow.errors import DoorCode, ErrorCode
from contraflow.requests import strict
from contraflow.requests.strict import NotJson, Twice

T = TypeVar("T")
DETAIL_MAX = 300
FIELD = re.compile(r"`\$\.?([^`]*)`$")  # Where msgspec names one.
UNKNOWN = re.compile(r"unknown field `([^`]*)`")
MISSING = re.compile(r"missing required field `([^`]*)`")
MONEY = frozenset({"amount", "expected_amount_refundable"})


def read_body(body: bytes, shape: type[T]) -> T:
    """Raises Problem."""
    try:
        value: T = strict.decode(body, shape)
    except msgspec.ValidationError as error:
        raise complaint(str(error)) from error
    except Twice as error:
        raise Problem(400, DoorCode.BODY_INVALID, "it stands twice", field=str(error)) from error
    except NotJson as error:
        detail = "no JSON (RFC 8259) in UTF-8"
        raise Problem(400, DoorCode.BODY_INVALID, detail) from error
    return value


def complaint(words: str) -> Problem:
    """In msgspec's words, beside the name of the field."""
    named = UNKNOWN.search(words) or MISSING.search(words) or FIELD.search(words)
    field = named[1] if named else ""
    where = FIELD.search(words)
    if where and named and where.span() != named.span() and where[1]:
        field = f"{where[1]}.{field}"
    code = ErrorCode.FIELD_INVALID if field else DoorCode.BODY_INVALID
    if field in MONEY and not MISSING.search(words):
        code = ErrorCode.AMOUNT_INVALID
        words = "a whole number of minor units from 1 to 10^15 is needed"
    if field.endswith("currency") and not MISSING.search(words):
        words = "not a currency of ISO 4217"
    return Problem(400, code, words[:DETAIL_MAX], field=field)
