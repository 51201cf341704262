"""Text from outside becomes a value, or is refused by the name of its field."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from contraflow.domain.ids import NAME_MAX, POLICY_PREFIX, TENANT, qualified
from contraflow.domain.instruction import Labels
from contraflow.domain.money import AmountInvalid, Money, money_of
from contraflow.errors import ErrorCode
from contraflow.wire import canonical

TEXT_MAX = 500
METADATA_MAX = 50  # Pairs.
METADATA_KEY_MAX = 40
WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")  # Longer ones are above 10^15 anyhow.
LONG = re.compile(r"[1-9][0-9]{18,}")
DURATION = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d)")
UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 24 * 3_600_000}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ADDRESS = re.compile(r"https?://[^/\s@]+")
PARKED = re.compile(r"[A-Z2-7]{26}/parked_fact/.+")  # About a number that nobody knows.


class FieldInvalid(ValueError):
    """A field has no acceptable value."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


def tenant_name(text: str) -> str:
    if not TENANT.fullmatch(text):
        raise FieldInvalid("tenant", "1 to 32 of a-z, 0-9, - and _, not starting with - or _")
    return text


def name(field: str, text: str) -> str:
    """One word for an object: an id, a key, a channel."""
    if not text:
        raise FieldInvalid(field, "empty")
    if len(text) > NAME_MAX:
        raise FieldInvalid(field, f"longer than {NAME_MAX} characters")
    if not text.isprintable() or text != text.strip():
        raise FieldInvalid(field, "only printable characters, and no blanks at its ends")
    if "/" in text:
        raise FieldInvalid(field, "no '/'")
    return text


def optional_name(field: str, text: str) -> str:
    return name(field, text) if text else ""


def own_id(field: str, tenant: str, text: str) -> str:
    return qualified(tenant, name(field, text))


def own_key(tenant: str, text: str) -> str:
    if text.startswith(POLICY_PREFIX):
        raise FieldInvalid("key", f"{POLICY_PREFIX} is for what our own policies ask for")
    return own_id("key", tenant, text)


def case_id(tenant: str, text: str) -> str:
    """As `attention list` shows it: without its tenant, where it has one."""
    if not text or not text.isprintable() or len(text) > 4 * NAME_MAX:
        raise FieldInvalid("id", "an id as shown by: contraflow attention list")
    return text if PARKED.fullmatch(text) else qualified(tenant, text)


def money(minor: str, currency: str) -> Money:
    """Raises AmountInvalid, naming the field and the reason."""
    if WHOLE.fullmatch(minor):
        return money_of(int(minor), currency)
    if LONG.fullmatch(minor):
        raise AmountInvalid(ErrorCode.AMOUNT_INVALID, "minor: above 10^15")
    raise AmountInvalid(
        ErrorCode.AMOUNT_INVALID, f"minor: a whole number of minor units is needed, not {minor!r}"
    )


def optional_money(minor: str | None, currency: str | None) -> Money | None:
    if minor is None and currency is None:
        return None
    if minor is None or currency is None:
        missing = "minor" if minor is None else "currency"
        raise FieldInvalid(missing, "an amount needs both --minor and --currency")
    return money(minor, currency)


def minor_or_none(field: str, text: str | None) -> int | None:
    """A count of minor units that may be 0."""
    if text is None:
        return None
    if not WHOLE.fullmatch(text) or int(text) < 0:
        raise FieldInvalid(field, f"a whole number of minor units is needed, not {text!r}")
    return int(text)


def address(field: str, text: str) -> str:
    """Of a process that listens, without a path."""
    if not ADDRESS.fullmatch(text):
        raise FieldInvalid(field, "an address like http://127.0.0.1:8080, without a path")
    return text


def words(field: str, text: str) -> str:
    """Free text of one line."""
    if len(text) > TEXT_MAX:
        raise FieldInvalid(field, f"longer than {TEXT_MAX} characters")
    if not is_writable(text):
        raise FieldInvalid(field, "no control characters, and only whole characters of UTF-8")
    return text


def is_writable(text: str) -> bool:
    """Also emoji, whose joints are not `printable`; but nothing that steers a terminal."""
    joints = {"\u200d", "\ufe0f"}
    return all(character.isprintable() or character in joints for character in text)


def metadata_of(pairs: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or len(key) > METADATA_KEY_MAX:
            reason = f"KEY=VALUE is needed, the key of at most {METADATA_KEY_MAX} characters"
            raise FieldInvalid("metadata", reason)
        if key in found:
            raise FieldInvalid("metadata", "a key is given twice")
        found[words("metadata", key)] = words("metadata", value)
    if len(found) > METADATA_MAX:
        raise FieldInvalid("metadata", f"more than {METADATA_MAX} pairs")
    return found


def labels_of(source: str, metadata: Iterable[str] = (), **texts: str) -> str:
    """Canonical JSON of the labels; an option is named as its label is. `source` is the door."""
    told = {field: words(field, text) for field, text in texts.items()}
    merchant_reference = told.pop("reference", "")
    labels = Labels(
        source=source, merchant_reference=merchant_reference, metadata=metadata_of(metadata), **told
    )
    return canonical.encode(labels).decode()


def moment(field: str, text: str, *, now: int) -> int:
    """Milliseconds UTC, from ISO 8601 with a zone, or from `24h`: so long ago."""
    ago = DURATION.fullmatch(text)
    if ago:
        return max(0, now - int(ago[1]) * UNITS_MS[ago[2]])
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise FieldInvalid(field, "a time like 2026-11-24T08:00:00Z, or 90s, 24h, 7d") from None
    if read.utcoffset() is None:
        raise FieldInvalid(field, "the time needs its zone: Z for UTC")
    return (read - EPOCH) // timedelta(milliseconds=1)


def duration_ms(field: str, text: str) -> int:
    read = DURATION.fullmatch(text)
    if read is None:
        raise FieldInvalid(field, "a duration like 90s, 15m, 24h or 7d")
    return int(read[1]) * UNITS_MS[read[2]]
