"""A request as it came: its headers, and its body for as long and as large as is allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from contraflow.api.problem import Problem
from contraflow.errors import DoorCode

BODY_BYTES_MAX = 64 * 1024
BODY_WITHIN_S = 10
CHUNK_WITHIN_S = 30
# Two of these say two things.
ONCE = frozenset(
    {
        *("authorization", "content-digest", "content-length", "content-type", "host"),
        *("idempotency-key", "signature", "signature-input", "transfer-encoding"),
    }
)
SILENCE = {"connection": "close"}


@dataclass(slots=True)
class Request:
    """Of ASGI. `headers` has the last of each name, in lower case."""

    scope: Mapping[str, Any]
    receive: Any
    fields: list[tuple[str, str]] = field(init=False)
    headers: dict[str, str] = field(init=False)
    is_read: bool = False
    rate: str = ""  # What the caller may still ask for, once it is known who calls.

    def __post_init__(self) -> None:
        raw: list[tuple[bytes, bytes]] = self.scope["headers"]
        self.fields = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in raw]
        self.headers = dict(self.fields)

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """As on the wire."""
        return bytes(self.scope["raw_path"]).decode("latin-1")

    @property
    def query(self) -> bytes:
        return bytes(self.scope["query_string"])

    @property
    def address(self) -> str:
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    @property
    def path_parameters(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self.scope.get("path_params", {})
        return found

    def refuse_twins(self) -> None:
        """Raises Problem."""
        if len(self.headers) == len(self.fields):
            return
        seen: set[str] = set()
        for name, _ in self.fields:
            if name in seen and name in ONCE:
                raise Problem(400, DoorCode.HEADER_INVALID, "it stands twice", field=name)
            seen.add(name)

    async def body(self) -> bytes:
        """Raises Problem, also where it is too large or comes too slowly."""
        self._refuse_large(BODY_BYTES_MAX)
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                body = b""
                async for chunk in self._chunks(BODY_BYTES_MAX):
                    body = body + chunk if body else chunk
                return body
        except TimeoutError as error:
            detail = f"no body within {BODY_WITHIN_S} seconds"
            raise Problem(408, DoorCode.TIMED_OUT, detail, headers=SILENCE) from error

    async def chunks(self, bytes_max: int) -> AsyncIterator[bytes]:
        """Of a large body, as they come. Raises Problem."""
        self._refuse_large(bytes_max)
        chunks = self._chunks(bytes_max)
        while True:
            try:
                async with asyncio.timeout(CHUNK_WITHIN_S):
                    yield await anext(chunks)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                detail = f"nothing came for {CHUNK_WITHIN_S} seconds"
                raise Problem(408, DoorCode.TIMED_OUT, detail, headers=SILENCE) from error

    async def is_gone(self) -> None:
        """Returns when the client has hung up; its request goes on."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def _chunks(self, bytes_max: int) -> AsyncIterator[bytes]:
        size = 0
        while not self.is_read:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Problem(400, DoorCode.BODY_INVALID, "it ends in the middle")
            self.is_read = not message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > bytes_max:
                raise _too_large(bytes_max)
            if chunk:
                yield chunk

    def _refuse_large(self, bytes_max: int) -> None:
        told = self.headers.get("content-length", "0")
        if not told.isdigit() or int(told[:20]) > bytes_max:
            raise _too_large(bytes_max)


def _too_large(bytes_max: int) -> Problem:
    detail = f"larger than {bytes_max} bytes"
    return Problem(413, DoorCode.BODY_TOO_LARGE, detail, headers=SILENCE)
