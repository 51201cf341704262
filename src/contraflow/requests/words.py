"""The forms of single fields, as strict as the description of the API says they are."""

from __future__ import annotations

from typing import Annotated

from iso4217 import Currency as Iso4217
from msgspec import Meta

from contraflow.domain.ids import NAME_MAX
from contraflow.domain.money import AMOUNT_MINOR_MAX, exponent_of
from contraflow.requests.fields import METADATA_KEY_MAX, METADATA_MAX, TEXT_MAX

# What steers a terminal or the direction of a text. Half characters are no UTF-8 anyway.
CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufff0-\uffff"
BLANKS = r"\x20\xa0\u1680\u2000-\u200f\u202f\u205f-\u2065\u3000"
LINE = rf"[^{CONTROLS}]*"
WORD = rf"[^/{BLANKS}{CONTROLS}]"


def form(pattern: str, least: int, most: int, description: str | None = None) -> Meta:
    """`$` is the end of a text for ECMA 262, and for Python also before a last newline."""
    return Meta(
        pattern=rf"^{pattern}\Z",
        min_length=least,
        max_length=most,
        description=description,
        extra_json_schema={"pattern": f"^{pattern}$"},
    )


CURRENCIES = sorted(each.code for each in Iso4217 if exponent_of(each.code) is not None)

Name = Annotated[str, form(f"{WORD}+", 1, NAME_MAX)]
OptionalName = Annotated[str, form(f"{WORD}*", 0, NAME_MAX)]
Text = Annotated[str, form(LINE, 0, TEXT_MAX)]
Amount = Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX, description="Minor units.")]
Currency = Annotated[
    str,
    Meta(
        pattern=rf"^(?:{'|'.join(CURRENCIES)})\Z",
        description="ISO 4217.",
        extra_json_schema={"enum": CURRENCIES, "pattern": "^[A-Z]{3}$"},
    ),
]
MetadataKey = Annotated[str, form(LINE, 1, METADATA_KEY_MAX)]
Metadata = Annotated[dict[MetadataKey, Text], Meta(max_length=METADATA_MAX)]
