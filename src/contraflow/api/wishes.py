"""The body of a request in JSON becomes a command, or is refused by the name of its field."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from contraflow.domain.commands import (
    ClientCommand,
    CreatePayment,
    RecordPayment,
    RequestCancel,
    RequestCapture,
    RequestRefund,
    RequestReversal,
    WithdrawReversal,
)
from contraflow.domain.money import AmountInvalid, Money, money_of
from contraflow.domain.payment import Capturing
from contraflow.errors import ErrorCode
from contraflow.requests import fields
from contraflow.requests.asked import fingerprinted, fingerprinted_payment, timing_of
from contraflow.requests.fields import FieldInvalid

SOURCE = "api"  # Of what is asked for here.
WAIT_S_MAX = 30
DETAIL_MAX = 300
FIELD = re.compile(r"`(?:\$\.)?(\w+)`$")  # Where msgspec names one.
CURRENCY = re.compile("[A-Z]{3}")


class Wish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", gc=False):
    key: str
    wait: Annotated[float, Meta(ge=0, le=WAIT_S_MAX)] | None = None  # Seconds, until it rests.


class Record(Wish, frozen=True, kw_only=True, tag="record", gc=False):
    """A payment that was captured elsewhere, or only authorised."""

    payment: str
    amount: int
    currency: str
    channel: str = "sandbox"
    method: str = ""
    instrument: str = ""
    authorized_only: bool = False


class Pay(Wish, frozen=True, kw_only=True, tag="pay", gc=False):
    payment: str
    amount: int
    currency: str
    channel: str = "sandbox"
    method: str = ""
    instrument: str = ""
    manual: bool = False


class Capture(Wish, frozen=True, kw_only=True, tag="capture", gc=False):
    payment: str
    amount: int | None = None
    currency: str | None = None


class Cancel(Wish, frozen=True, kw_only=True, tag="cancel", gc=False):
    payment: str
    reason: str = ""


class Refund(Wish, frozen=True, kw_only=True, tag="refund", gc=False):
    payment: str
    amount: int
    currency: str
    capture: str = ""
    reason: str = ""


class Reverse(Wish, frozen=True, kw_only=True, tag="reverse", gc=False):
    payment: str
    amount: int | None = None
    currency: str | None = None
    reason: str = ""


class Withdraw(Wish, frozen=True, kw_only=True, tag="withdraw", gc=False):
    reversal: str


AnyWish = Record | Pay | Capture | Cancel | Refund | Reverse | Withdraw
DECODER = msgspec.json.Decoder(AnyWish)


def read_wish(body: bytes) -> AnyWish:
    """Raises FieldInvalid or AmountInvalid."""
    try:
        wish: AnyWish = DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise _complaint(str(error)) from error
    except ValueError as error:
        raise FieldInvalid(_broken_field(body), "no JSON, or not in UTF-8") from error
    return wish


def command_of(wish: AnyWish, tenant: str) -> ClientCommand:
    """As the command line makes it: the same request is known again at both doors.

    Raises FieldInvalid or AmountInvalid.
    """
    key = fields.own_key(tenant, wish.key)
    if isinstance(wish, Withdraw):
        own_id = fields.own_id("reversal", tenant, wish.reversal)
        taking_back = WithdrawReversal(key=key, fingerprint=b"", instruction_id=own_id)
        return fingerprinted("withdraw", taking_back)
    payment_id = fields.own_id("payment", tenant, wish.payment)
    asked = {"key": key, "fingerprint": b"", "payment_id": payment_id}
    if isinstance(wish, Record | Pay):
        return _birth(wish, asked)
    return _change(wish, asked)


def _birth(wish: Record | Pay, asked: dict[str, Any]) -> ClientCommand:
    asked |= {
        "channel": fields.name("channel", wish.channel),
        "method": fields.optional_name("method", wish.method),
        "instrument": fields.optional_name("instrument", wish.instrument),
        "amount": _money(wish.amount, wish.currency),
        "labels": fields.labels_of(SOURCE),
    }
    if isinstance(wish, Record):
        return fingerprinted("pay", RecordPayment(**asked, is_captured=not wish.authorized_only))
    capturing = Capturing.MANUAL if wish.manual else Capturing.AUTOMATIC
    return fingerprinted_payment(CreatePayment(**asked, capturing=capturing))


def _change(wish: Capture | Cancel | Refund | Reverse, asked: dict[str, Any]) -> ClientCommand:
    if isinstance(wish, Capture):
        amount = _money_or_none(wish.amount, wish.currency)
        return fingerprinted("capture", RequestCapture(**asked, amount=amount))
    asked |= {
        "timing": timing_of(wish.wait),
        "labels": fields.labels_of(SOURCE, reason=wish.reason),
    }
    match wish:
        case Cancel():
            return fingerprinted("cancel", RequestCancel(**asked))
        case Reverse():
            some = _money_or_none(wish.amount, wish.currency)
            return fingerprinted("reverse", RequestReversal(**asked, amount=some))
        case Refund():
            capture_id = fields.optional_name("capture", wish.capture)
            amount = _money(wish.amount, wish.currency)
            return fingerprinted(
                "refund", RequestRefund(**asked, amount=amount, capture_id=capture_id)
            )


def _money(minor: int, currency: str) -> Money:
    if not CURRENCY.fullmatch(currency):
        raise FieldInvalid("currency", "not a currency of ISO 4217")
    try:
        return money_of(minor, currency)
    except AmountInvalid as error:
        words = str(error).replace("minor: ", "amount: ", 1)  # As the field is called here.
        raise AmountInvalid(error.code, words) from error


def _money_or_none(minor: int | None, currency: str | None) -> Money | None:
    if minor is None and currency is None:
        return None
    if minor is None or currency is None:
        missing = "amount" if minor is None else "currency"
        raise FieldInvalid(missing, "amount and currency come together, or not at all")
    return _money(minor, currency)


def _complaint(words: str) -> FieldInvalid | AmountInvalid:
    """In msgspec's words, behind the name of the field."""
    named = FIELD.search(words)
    field = named[1] if named else "body"
    if field == "amount" and "missing" not in words:
        reason = "amount: a whole number of minor units is needed"
        return AmountInvalid(ErrorCode.AMOUNT_INVALID, reason)
    return FieldInvalid(field, words[:DETAIL_MAX])


def _broken_field(body: bytes) -> str:
    """Where half a character is: msgspec reads no such JSON, and does not say where it is."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return "body"
    pairs = read.items() if isinstance(read, dict) else ()
    broken = (name for name, text in pairs if _is_whole(name) and not _is_whole(str(text)))
    return next(broken, "body")


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
