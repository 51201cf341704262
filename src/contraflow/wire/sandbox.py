"""The format of the sandbox's two lines: canonical JSON, signed with a shared key."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from contraflow.errors import SettingInvalid, SignatureInvalid
from contraflow.wire import canonical
from contraflow.wire.exchange import Headers, Notice, Reply, Request, header

CARD = "sandbox"  # The schemes of the two lines.
RAIL = "sandbox-rail"
SIGNATURE = "sandbox-signature"
LINE = "sandbox-line"  # On a notice: which line it belongs to. To route by, not to trust.

Minor = Annotated[int, Meta(ge=0, le=10**15)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]


class Ask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The body of a request."""

    number: str
    payment: str
    action: str  # pay, capture, close, void, refund, withdraw or status.
    minor: Minor
    currency: Currency
    instrument: str
    payment_number: str


class Answer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The body of a reply."""

    result: str
    number: str
    payment: str
    minor: Minor
    currency: Currency
    reference: str
    code: str  # Why it was declined; else empty.


class Telling(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """The body of a notice."""

    event: str
    type: str
    payment: str
    minor: Minor
    currency: Currency
    at: int
    number: str = ""  # Of the instruction that it is about.
    id: str = ""  # The bank's own name for what it is about.
    code: str = ""


class Key(Struct, frozen=True):
    """The secret of a line; it does not print."""

    secret: bytes

    def __repr__(self) -> str:
        return "Key(***)"


class Line(Struct, frozen=True):
    """One way to the bank. No message of one line, or of one sort, passes for another's."""

    scheme: str
    key: Key


def key_of(text: str) -> Key:
    """Raises SettingInvalid, without the text."""
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if not secret:
        raise SettingInvalid("key: the hexadecimal key of the sandbox is needed")
    return Key(secret)


def request_of(line: Line, ask: Ask) -> Request:
    body = canonical.encode(ask)
    return Request(f"{line.scheme}:/v1/{ask.action}", body, _headers(line, "request", body))


def reply_of(line: Line, answer: Answer, status: int = 200) -> Reply:
    body = canonical.encode(answer)
    return Reply(status, body, _headers(line, "reply", body))


def notice_of(line: Line, telling: Telling) -> Notice:
    body = canonical.encode(telling)
    return Notice(body, (*_headers(line, "notice", body), (LINE, line.scheme)))


# Each raises SignatureInvalid, and ValueError for signed bytes that mean nothing.


def open_request(line: Line, request: Request) -> Ask:
    ask = _open(line, "request", request.body, request.headers, Ask)
    if request.url != f"{line.scheme}:/v1/{ask.action}":
        raise ValueError("the address and the signed action differ")
    return ask


def open_reply(line: Line, reply: Reply) -> Answer:
    return _open(line, "reply", reply.body, reply.headers, Answer)


def open_notice(line: Line, notice: Notice) -> Telling:
    return _open(line, "notice", notice.body, notice.headers, Telling)


def verify(line: Line, sort: str, body: bytes, signature: str) -> None:
    """Raises SignatureInvalid."""
    expected = _sign(line, sort, body)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise SignatureInvalid


T = TypeVar("T")


def _open(line: Line, sort: str, body: bytes, headers: Headers, shape: type[T]) -> T:
    verify(line, sort, body, header(headers, SIGNATURE))
    return msgspec.json.decode(body, type=shape)


def _headers(line: Line, sort: str, body: bytes) -> Headers:
    return ((SIGNATURE, _sign(line, sort, body)),)


def _sign(line: Line, sort: str, body: bytes) -> str:
    domain = f"contraflow/{line.scheme}/{sort}/v1\n".encode()
    return hmac.digest(line.key.secret, domain + body, hashlib.sha256).hex()
