"""The bodies of requests, and what every command has of its caller.

The forms are strict, so that nothing has to be checked again: what the description of the API says
of a field is what is done. The command line makes the same commands, so that a request is known
again at either door.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from contraflow.api.operation import Call
from contraflow.api.problem import Problem
from contraflow.domain.ids import qualified
from contraflow.domain.instruction import Labels, Timing
from contraflow.domain.money import (
    AmountInvalid,
    Money,
    money_of,
)
from contraflow.errors import ErrorCode
from contraflow.requests.words import Metadata, OptionalName, Text
from contraflow.wire import canonical


class Wish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What every request may say of itself; no rule reads it."""

    reason: Text = ""
    operator: Text = ""
    customer: Text = ""
    payee: Text = ""
    merchant_reference: OptionalName = ""
    metadata: Metadata = {}


def asked(call: Call, wish: Wish) -> dict[str, Any]:
    """What every command of a caller has."""
    caller = call.caller
    labels = Labels(
        reason=wish.reason,
        actor=wish.operator,
        source="api",
        api_key=caller.key.key_id,
        address=call.address,
        device=call.device,
        merchant=caller.key.merchant,
        customer=wish.customer,
        payee=wish.payee,
        merchant_reference=wish.merchant_reference,
        metadata=wish.metadata,
    )
    return {
        "key": qualified(call.tenant, call.key),
        "fingerprint": b"",
        "labels": canonical.encode(labels).decode(),
        "owner": caller.owner,
        "nonce": call.nonce,
    }


def timing_of(call: Call) -> Timing:
    return Timing.SYNCHRONOUS if call.preference.wait_s else Timing.ASYNCHRONOUS


def money(minor: int, currency: str) -> Money:
    """Raises Problem."""
    try:
        return money_of(minor, currency)
    except AmountInvalid as error:
        field, _, words = str(error).partition(": ")
        field = "amount" if field == "minor" else field
        raise Problem(400, error.code, words, field=field) from error


def money_or_none(minor: int | UnsetType, currency: str | UnsetType) -> Money | None:
    """Raises Problem."""
    if minor is UNSET and currency is UNSET:
        return None
    if minor is UNSET or currency is UNSET:
        missing = "amount" if minor is UNSET else "currency"
        detail = "amount and currency come together, or not at all"
        raise Problem(400, ErrorCode.FIELD_INVALID, detail, field=missing)
    return money(minor, currency)
