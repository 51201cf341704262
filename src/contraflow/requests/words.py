"""The forms of single fields, as strict as the description of the API says they are."""

from __future__ import annotations

from typing import Annotated

from iso4217 import Currency as Iso4217
from msgspec import Meta

from contraflow.domain.ids import NAME_MAX
from contraflow.domain.money import AMOUNT_MINOR_MAX, exponent_of
from contraflow.requests.fields import METADATA_KEY_MAX, METADATA_MAX, TEXT_MAX

# What steers a terminal or the direction of a text, and half characters. `$` alone would let a
# newline at the end pass.
CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufff0-\uffff\ud800-\udfff"
BLANKS = r"\x20\xa0\u1680\u2000-\u200f\u202f\u205f-\u2065\u3000"
LINE = rf"^[^{CONTROLS}]*$(?!\n)"
NAME = rf"^[^/{BLANKS}{CONTROLS}]+$(?!\n)"
CURRENCIES = sorted(each.code for each in Iso4217 if exponent_of(each.code) is not None)

Name = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=NAME)]
OptionalName = Annotated[str, Meta(max_length=NAME_MAX, pattern=NAME.replace("+$", "*$"))]
Text = Annotated[str, Meta(max_length=TEXT_MAX, pattern=LINE)]
Amount = Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX, description="Minor units.")]
Currency = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=3,
        description="ISO 4217.",
        extra_json_schema={"enum": CURRENCIES},
    ),
]
MetadataKey = Annotated[str, Meta(min_length=1, max_length=METADATA_KEY_MAX, pattern=LINE)]
Metadata = Annotated[dict[MetadataKey, Text], Meta(max_length=METADATA_MAX)]
