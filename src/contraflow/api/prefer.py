"""When to answer, as RFC 7240 lets a client say: at once, or after having waited for the end."""

from __future__ import annotations

import re

from msgspec import Struct

WAIT_S_MAX = 30
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 RFC 9110, 5.6.2
PREFERENCE = re.compile(
    rf"\s*({TOKEN})\s*(?:=\s*({TOKEN}|\"(?:[^\"\\]|\\.)*\")?)?\s*(?:;[^,]*)?\s*(?:,|$)"
)
SECONDS = re.compile(r"[0-9]{1,9}")


class Preference(Struct, frozen=True):
    """`applied` is what is told back; empty where nothing was asked for that we know."""

    wait_s: int
    applied: str


def preference_of(headers: list[str], default_wait_s: int) -> Preference:
    """Of all Prefer headers. What is unknown or malformed is ignored, and of two the first counts.

    `respond-async` with a wait means: wait so long, and then say where to look.
    """
    told: dict[str, str] = {}
    for name, value in PREFERENCE.findall(",".join(headers)):
        told.setdefault(name.lower(), value.strip('"'))
    is_async = told.get("respond-async") == ""
    wait = told.get("wait", "")
    if SECONDS.fullmatch(wait):
        seconds = min(int(wait), WAIT_S_MAX)
        applied = f"respond-async, wait={seconds}" if is_async else f"wait={seconds}"
        return Preference(seconds, applied)
    return Preference(0, "respond-async") if is_async else Preference(default_wait_s, "")
