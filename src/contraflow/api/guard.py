"""Who may ask at the door: programs of this machine. A web page in its browser is none.

There are no keys yet, so nobody else can be told from anybody. Notices are signed, and may come
from everywhere.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from contraflow.errors import ContraflowError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
BODY_WITHIN_S = 10
HANDLED_MAX = 8_192  # More than may wait for a commit, so that health is still told.


class Denied(ContraflowError):
    """Nothing was looked at, and nothing stored."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code = status, code


def refuse_strangers(asked: web.Request, host: str) -> None:
    """`host` is where the door listens.

    A page can send neither JSON without asking first, nor a request without its Origin; and one
    whose name was bound to our address says that name as Host. Raises Denied.
    """
    if host not in LOOPBACK:
        raise Denied(
            403, "forbidden", "requests are taken on the loopback interface only; this door is not"
        )
    if (asked.host or "").rpartition(":")[0] not in LOOPBACK and asked.host not in LOOPBACK:
        raise Denied(421, "forbidden", "the Host is another one than this door's")
    if "Origin" in asked.headers:
        raise Denied(403, "forbidden", "requests from web pages are not taken")
    if asked.content_type != "application/json":
        raise Denied(415, "field_invalid", "the Content-Type must be application/json")


async def body_of(asked: web.Request) -> bytes:
    """Raises Denied if it comes too slowly; one that is too long is a 413."""
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            return await asked.read()
    except TimeoutError as error:
        raise Denied(408, "field_invalid", f"no body within {BODY_WITHIN_S} seconds") from error
