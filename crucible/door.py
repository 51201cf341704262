"""A connection to one of the engine's doors: what was certainly answered, or nothing certain."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from crucible.dialect import Letter

HOST = "127.0.0.1"


class NoAnswer(Exception):
    """Nobody knows whether the request was carried out."""


@dataclass(frozen=True, slots=True)
class Said:
    status: int
    body: dict[str, Any]
    is_replayed: bool = False

    @property
    def receipt(self) -> dict[str, Any] | None:
        """Of an acknowledgement: a success, or a refusal that is kept."""
        found = self.body.get("receipt")
        return found if isinstance(found, dict) else None


class Door:
    """One request at a time; kept open between requests."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, letter: Letter, *, within_s: float) -> Said:
        """Raises NoAnswer, and then the connection is gone."""
        try:
            async with asyncio.timeout(within_s):
                return await self._ask(letter)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.close()
            raise NoAnswer(type(error).__name__) from error
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def _ask(self, letter: Letter) -> Said:
        if self._reader is None or self._writer is None or self._reader.at_eof():
            self.close()
            self._reader, self._writer = await asyncio.open_connection(HOST, self.port)
        self._writer.write(letter.bytes())
        top = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = top.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        content = await self._reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        said = json.loads(content) if content else {}
        is_replayed = headers.get("idempotent-replayed") == "true"
        return Said(int(first.split(" ")[1]), said if isinstance(said, dict) else {}, is_replayed)
