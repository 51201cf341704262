"""The parameters of addresses: which of many are wanted, and how much of each."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from contraflow.api.problem import Problem
from contraflow.domain.money import AMOUNT_MINOR_MAX
from contraflow.errors import DoorCode
from contraflow.requests.words import Currency, OptionalName

T = TypeVar("T")
LIMIT_MAX = 100
QUERY_MAX = 4_000  # Characters of a whole query.
NUMBERS = frozenset({"limit", "amount_min", "amount_max"})
WHOLE = re.compile(r"0|[1-9][0-9]{0,18}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Moment = Annotated[datetime, Meta(tz=True, description="RFC 3339, with its zone.")]
Count = Annotated[int, Meta(ge=1, le=LIMIT_MAX)]
Bound = Annotated[int, Meta(ge=0, le=AMOUNT_MINOR_MAX, description="Minor units.")]
Cursor = Annotated[str, Meta(max_length=600, description="As `next` of the page before.")]
PaymentStatus = Literal[
    "created", "pending", "authorized", "captured", "canceled", "failed", "expired"
]
ReversalStatus = Literal["pending", "requires_action", "succeeded", "failed", "canceled"]


class PageQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same filters go with the cursor that they gave."""

    limit: Count = 20
    cursor: Cursor = ""


class ListQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    channel: OptionalName = ""
    currency: Currency | UnsetType = UNSET
    amount_min: Bound | UnsetType = UNSET
    amount_max: Bound | UnsetType = UNSET
    created_since: Moment | UnsetType = UNSET
    created_until: Moment | UnsetType = UNSET  # That moment not included.
    merchant_reference: OptionalName = ""
    customer: Annotated[str, Meta(max_length=500)] = ""


class PaymentQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    status: PaymentStatus | UnsetType = UNSET
    method: OptionalName = ""


class RefundQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    status: ReversalStatus | UnsetType = UNSET
    payment: OptionalName = ""
    expand: Literal["payment"] | UnsetType = UNSET


class ReversalQuery(RefundQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Literal["close", "void", "refund"] | UnsetType = UNSET


class ExpandPayment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    expand: Literal["reversals"] | UnsetType = UNSET


class ExpandReversal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    expand: Literal["payment"] | UnsetType = UNSET


def read_query(query: bytes, shape: type[T]) -> T:
    """Of the raw query. Raises Problem."""
    told: dict[str, Any] = {}
    if query:
        for name, value in _pairs(query):
            if name in told:
                raise Problem(400, DoorCode.PARAMETER_INVALID, "it stands twice", field=name)
            # Not by msgspec, for which a number may be a moment, and `null` no value.
            told[name] = int(value) if name in NUMBERS and WHOLE.fullmatch(value) else value
    try:
        return msgspec.convert(told, shape)
    except msgspec.ValidationError as error:
        words = str(error)
        field = words.rpartition("`")[0].rpartition("`")[2].removeprefix("$.")
        raise Problem(400, DoorCode.PARAMETER_INVALID, words[:300], field=field) from error


def _pairs(query: bytes) -> list[tuple[str, str]]:
    if len(query) > QUERY_MAX:
        raise Problem(400, DoorCode.PARAMETER_INVALID, f"longer than {QUERY_MAX} characters")
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict"
        )
    except ValueError as error:
        raise Problem(400, DoorCode.PARAMETER_INVALID, "no query of a form, in UTF-8") from error
    if any("\0" in text for pair in pairs for text in pair):
        raise Problem(400, DoorCode.PARAMETER_INVALID, "a NUL")
    return pairs


def ms_of(moment: datetime | UnsetType) -> int | None:
    """None where it was not given; in a query nothing is null."""
    return None if moment is UNSET else (moment - EPOCH) // timedelta(milliseconds=1)


def or_none(value: T | UnsetType) -> T | None:
    return None if value is UNSET else value
