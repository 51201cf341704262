"""A request, its reply and a notice as plain values; something else moves the bytes."""

from __future__ import annotations

from msgspec import Struct

Headers = tuple[tuple[str, str], ...]  # Names in lower case.


class Request(Struct, frozen=True, gc=False):
    url: str
    body: bytes
    headers: Headers = ()
    method: str = "POST"


class Reply(Struct, frozen=True, gc=False):
    status: int
    body: bytes
    headers: Headers = ()


class Notice(Struct, frozen=True, gc=False):
    """What a channel sends unasked. Verify `body` as it came before reading it."""

    body: bytes
    headers: Headers = ()


def header(headers: Headers, name: str) -> str:
    """The first header of this name, or an empty text."""
    return next((value for key, value in headers if key == name), "")
