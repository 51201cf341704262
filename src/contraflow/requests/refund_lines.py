"""A file of refunds, read as it comes: bytes become lines, and each line a wish or its refusal.

CSV (RFC 4180, with a head) or one JSON object a line, in UTF-8. A file that is malformed is refused
whole; a value that is malformed refuses its line.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from contraflow.requests import strict
from contraflow.requests.words import Amount, Currency, Metadata, Name, OptionalName, Text

LINE_BYTES_MAX = 4_096
WHOLE = re.compile(r"[1-9][0-9]{0,15}")
COLUMNS = (
    *("payment", "amount", "currency", "capture", "reason", "merchant_reference", "key"),
    *("customer", "payee", "operator"),
)
NEEDED = frozenset({"payment", "amount", "currency"})
DETAIL_MAX = 300


class RefundLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`key` is the idempotency key of the line; without one it is that of its place."""

    payment: Name
    amount: Amount
    currency: Currency
    capture: OptionalName = ""
    reason: Text = ""
    merchant_reference: OptionalName = ""
    key: OptionalName = ""
    customer: Text = ""
    payee: Text = ""
    operator: Text = ""
    metadata: Metadata = {}


class BadLine(Struct, frozen=True, tag="bad"):
    """Its answer: a code, the field, and why."""

    answer: str


class FileInvalid(ValueError):
    """Nothing of the file is taken; the message names the line."""


@dataclass(slots=True)
class Reader:
    """Given the bytes as they come, it gives the lines."""

    is_csv: bool
    decoder: codecs.IncrementalDecoder = field(init=False)
    rest: str = ""
    head: list[str] | None = None
    number: int = 0  # Of the last line that was given.
    is_first: bool = True

    def __post_init__(self) -> None:
        self.decoder = codecs.getincrementaldecoder("utf-8")("strict")

    def feed(self, chunk: bytes) -> Iterator[RefundLine | BadLine]:
        """Raises FileInvalid."""
        yield from self._take(self._decoded(chunk, is_last=False))

    def finish(self) -> Iterator[RefundLine | BadLine]:
        """The last line may be without its end. Raises FileInvalid."""
        yield from self._take(self._decoded(b"", is_last=True) + ("\n" if self.rest else ""))
        if self.rest:
            raise FileInvalid(f"line {self.number + 1}: it ends inside of quotes")
        if self.is_csv and self.head is None:
            raise FileInvalid("line 1: the head is missing")

    def _decoded(self, chunk: bytes, *, is_last: bool) -> str:
        try:
            text = self.decoder.decode(chunk, is_last)
        except UnicodeDecodeError as error:
            raise FileInvalid(f"line {self.number + 1}: not in UTF-8") from error
        if text and self.is_first:
            text, self.is_first = text.removeprefix("\ufeff"), False
        if "\0" in text:
            raise FileInvalid(f"line {self.number + 1}: a NUL")
        return text

    def _take(self, text: str) -> Iterator[RefundLine | BadLine]:
        pieces = (self.rest + text).split("\n")
        self.rest, held = pieces.pop(), ""
        for piece in pieces:
            held += piece
            if self.is_csv and held.count('"') % 2:
                held += "\n"  # It goes on: a quoted field holds the end of a line.
                self._refuse_long(held)
                continue
            line, held = held.removesuffix("\r"), ""
            self._refuse_long(line)
            if line.strip():
                yield from self._read(line)
        self.rest = held + self.rest
        self._refuse_long(self.rest)

    def _refuse_long(self, line: str) -> None:
        if len(line) > LINE_BYTES_MAX:
            raise FileInvalid(f"line {self.number + 1}: longer than {LINE_BYTES_MAX} characters")

    def _read(self, line: str) -> Iterator[RefundLine | BadLine]:
        if self.is_csv and self.head is None:
            self.head = head_of(line)
            return
        self.number += 1
        yield self._row(line) if self.is_csv else json_line(line)

    def _row(self, line: str) -> RefundLine | BadLine:
        assert self.head is not None
        try:
            [values] = csv.reader([line], strict=True)
        except (csv.Error, ValueError) as error:
            raise FileInvalid(f"line {self.number}: no CSV of RFC 4180") from error
        if len(values) != len(self.head):
            raise FileInvalid(f"line {self.number}: {len(values)} fields, not {len(self.head)}")
        told: dict[str, object] = {n: v for n, v in zip(self.head, values, strict=True) if v}
        amount = told.get("amount")
        if isinstance(amount, str):
            if not WHOLE.fullmatch(amount):
                return BadLine("amount_invalid: amount: a whole number of minor units is needed")
            told["amount"] = int(amount)
        try:
            return msgspec.convert(told, RefundLine)
        except msgspec.ValidationError as error:
            return bad(error)


def head_of(line: str) -> list[str]:
    """Raises FileInvalid."""
    try:
        [names] = csv.reader([line], strict=True)
    except (csv.Error, ValueError) as error:
        raise FileInvalid("line 1: no CSV of RFC 4180") from error
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise FileInvalid(f"line 1: there is no column {unknown[0]!r}")
    if len(set(names)) < len(names):
        raise FileInvalid("line 1: a column stands twice")
    if not set(names) >= NEEDED:
        raise FileInvalid(f"line 1: {', '.join(sorted(NEEDED))} are needed")
    return names


def json_line(line: str) -> RefundLine | BadLine:
    try:
        read: RefundLine = strict.decode(line.encode(), RefundLine)
    except msgspec.ValidationError as error:
        return bad(error)
    except strict.Twice as error:
        return BadLine(f"field_invalid: {error}: it stands twice")
    except strict.NotJson:
        return BadLine("field_invalid: no JSON (RFC 8259)")
    return read


def bad(error: msgspec.ValidationError) -> BadLine:
    words = str(error)
    if words.endswith("`$.currency`"):
        words = "currency: not a currency of ISO 4217"
    words = words[:DETAIL_MAX]
    code = "amount_invalid" if "$.amount" in words else "field_invalid"
    return BadLine(f"{code}: {words}")
