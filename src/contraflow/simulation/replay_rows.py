"""A row of a file of commands as a command: kind, key, target, amount, at its time."""

from __future__ import annotations

import csv
import hashlib
import io
import lzma
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

from contraflow.domain import commands as c
from contraflow.domain.ids import instruction_id_for
from contraflow.domain.money import AMOUNT_MINOR_MAX, Money, exponent_of
from contraflow.errors import ErrorCode, SettingInvalid
from contraflow.wire import canonical

COLUMNS = ["seq", "at", "kind", "key", "target", "amount_minor", "currency"]
KINDS = ("payment", "authorize", "capture", "cancel", "refund", "reverse", "withdraw")
WITH_AMOUNT = frozenset({"payment", "authorize", "capture", "refund"})
WHOLE = re.compile(r"[1-9][0-9]*")
NOWHERE = "X" * 3  # The code of ISO 4217 for no currency: it differs from every payment's.


class Row(Struct, frozen=True):
    number: int
    at: int  # Milliseconds, UTC.
    kind: str
    key: str
    target: str  # The payment; of a withdrawal the key of the refund request.
    amount_minor: str
    currency: str


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_rows(path: Path) -> list[Row]:
    """In the order of the file, which is that of time. Raises SettingInvalid with the line."""
    compressed = path.read_bytes()
    text = lzma.decompress(compressed) if path.suffix == ".xz" else compressed
    rows = list(_rows(csv.DictReader(io.StringIO(text.decode("utf-8")))))
    for before, after in pairwise(rows):
        if after.at < before.at:
            raise SettingInvalid(f"row {after.number}: at: goes back in time")
    return rows


def _rows(reader: csv.DictReader[str]) -> Iterator[Row]:
    if reader.fieldnames != COLUMNS:
        raise SettingInvalid(f"the columns are {', '.join(COLUMNS)}, not {reader.fieldnames}")
    for line, fields in enumerate(reader, 2):
        try:
            at = datetime.fromisoformat(fields["at"])
            row = Row(
                number=int(fields["seq"]),
                at=round(at.timestamp() * 1_000),
                kind=fields["kind"],
                key=fields["key"],
                target=fields["target"],
                amount_minor=fields["amount_minor"],
                currency=fields["currency"],
            )
        except (TypeError, ValueError) as error:
            raise SettingInvalid(f"line {line}: {error}") from error
        if row.kind not in KINDS or not row.key or at.tzinfo is None:
            raise SettingInvalid(f"line {line}: kind, key or time zone")
        yield row


def refusal_of(row: Row) -> ErrorCode | None:
    """What is refused at the door: the amount alone, and its key is not remembered."""
    if row.kind not in WITH_AMOUNT:
        return None
    is_whole = WHOLE.fullmatch(row.amount_minor) and int(row.amount_minor) <= AMOUNT_MINOR_MAX
    return None if is_whole else ErrorCode.AMOUNT_INVALID


def command_of(row: Row, source: str, tenant: str, refunded: str, channel: str) -> c.ClientCommand:
    """`refunded` is the payment that the refund request named by a withdrawal is about."""
    mark = canonical.fingerprint(
        {"of": row.kind, "to": row.target, "minor": row.amount_minor, "currency": row.currency}
    )
    key, target = f"{tenant}/{row.key}", f"{tenant}/{row.target}"
    line = c.Line(source, row.number)
    match row.kind:
        case "payment" | "authorize":
            return c.RecordPayment(
                key=key,
                fingerprint=mark,
                line=line,
                payment_id=target,
                channel=channel,
                amount=_amount(row),
                is_captured=row.kind == "payment",
            )
        case "capture":
            return c.RecordCapture(
                key=key, fingerprint=mark, line=line, payment_id=target, amount=_amount(row)
            )
        case "cancel":
            return c.RequestCancel(key=key, fingerprint=mark, line=line, payment_id=target)
        case "refund":
            return c.RequestRefund(
                key=key, fingerprint=mark, line=line, payment_id=target, amount=_amount(row)
            )
        case "reverse":
            return c.RequestReversal(key=key, fingerprint=mark, line=line, payment_id=target)
        case _:
            instruction_id = instruction_id_for(payment_id=f"{tenant}/{refunded}", key=target)
            return c.WithdrawReversal(
                key=key, fingerprint=mark, line=line, instruction_id=instruction_id
            )


def _amount(row: Row) -> Money:
    currency = row.currency if exponent_of(row.currency) is not None else NOWHERE
    return Money(int(row.amount_minor), currency)
