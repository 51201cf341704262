"""What travels between the engine and the sandbox's bank, written once more and independently."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

CARD = "sandbox"  # The schemes of the two lines.
RAIL = "sandbox-rail"
SIGNATURE = "sandbox-signature"
LINE = "sandbox-line"

ACTIONS = {
    CARD: ("pay", "capture", "close", "void", "refund"),
    RAIL: ("pay", "capture", "void", "refund"),
}
CURRENCY = re.compile("[A-Z]{3}")
MINOR_MAX = 10**15


@dataclass(frozen=True, slots=True)
class Ask:
    """What the engine asks for under a number."""

    number: str
    payment: str
    action: str
    minor: int
    currency: str
    instrument: str
    payment_number: str


FIELDS = frozenset(Ask.__slots__)


def canonical(value: Mapping[str, object]) -> bytes:
    """Sorted keys, UTF-8, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def sign(key: bytes, body: bytes, *, scheme: str, sort: str) -> str:
    """`sort` is request, reply or notice: none passes for another, and no line for the other."""
    domain = f"contraflow/{scheme}/{sort}/v1\n".encode()
    return hmac.new(key, domain + body, hashlib.sha256).hexdigest()


def is_signed(key: bytes, body: bytes, signature: str, *, scheme: str, sort: str) -> bool:
    expected = sign(key, body, scheme=scheme, sort=sort)
    return hmac.compare_digest(expected.encode(), signature.encode())


def read_ask(body: bytes) -> Ask | None:
    """None for signed bytes that mean nothing."""
    try:
        fields = json.loads(body)
    except ValueError:
        return None
    if not isinstance(fields, dict) or set(fields) != FIELDS:
        return None
    minor = fields["minor"]
    is_amount = type(minor) is int and 0 <= minor <= MINOR_MAX
    is_text = all(isinstance(fields[name], str) for name in FIELDS - {"minor"})
    if not is_amount or not is_text or not CURRENCY.fullmatch(fields["currency"]):
        return None
    return Ask(**fields)


@dataclass(frozen=True, slots=True)
class Answer:
    result: str
    number: str
    payment: str
    minor: int
    currency: str
    reference: str = ""
    code: str = ""

    def encode(self) -> bytes:
        return canonical(asdict(self))


@dataclass(frozen=True, slots=True)
class Telling:
    """A notice. What is empty at its end is left out on the wire."""

    event: str
    type: str
    payment: str
    minor: int
    currency: str
    at: int
    number: str = ""
    id: str = ""
    code: str = ""

    def encode(self) -> bytes:
        fields = asdict(self)
        for name in ("number", "id", "code"):
            if not fields[name]:
                del fields[name]
        return canonical(fields)
