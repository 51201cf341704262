"""The way to banks over HTTP: it knows whether a byte has left, and lets none leave too late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, hdrs
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload

from contraflow.errors import ChannelUnreachable, LeaveByMissed, ReplyLost
from contraflow.wire.exchange import Reply, Request

CONNECT_WITHIN_S = 5
KEPT_ALIVE_S = 15
REPLY_BYTES_MAX = 1 << 20
UNSAID = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT)


@dataclass(slots=True)
class HttpTransport:
    """A transport with a pool of connections for each scheme, so that no line starves another."""

    addresses: Mapping[str, str]  # By scheme: `sandbox:/v1/pay` is asked at `{address}/v1/pay`.
    slots: Mapping[str, int]  # How many connections a scheme may have.
    reply_within_ms: int  # From the first byte to the last of the reply.
    store_now: Callable[[], int]  # `leave_by` is of this clock; see decisions/0017.
    _pools: dict[str, ClientSession] = field(default_factory=dict)

    async def send(self, request: Request, leave_by: int) -> Reply:
        scheme, _, path = request.url.partition(":")
        if scheme not in self.addresses:
            raise ChannelUnreachable(f"{scheme}: no address in the settings")
        limit = asyncio.timeout(max(1, leave_by - self.store_now()) / 1_000)
        departure = Departure(request.body, lambda: self._let_go(leave_by, limit))
        try:
            async with limit:
                return await self._exchange(scheme, path, request, departure)
        except (ClientError, OSError, ReplyTooLong) as error:
            # Called off first: what has not left now never will.
            if departure.call_off():
                raise ReplyLost(_words(error)) from error
            if self.store_now() > leave_by or limit.expired():
                raise LeaveByMissed from error
            raise ChannelUnreachable(_words(error)) from error
        finally:
            departure.call_off()  # Also where whoever sends it has gone away.

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()

    def _let_go(self, leave_by: int, limit: asyncio.Timeout) -> None:
        """The last look at the clock; from here on it is the reply that is waited for."""
        if self.store_now() > leave_by or limit.expired():
            raise LeaveByMissed
        limit.reschedule(asyncio.get_running_loop().time() + self.reply_within_ms / 1_000)

    async def _exchange(
        self, scheme: str, path: str, request: Request, departure: Departure
    ) -> Reply:
        async with self._pool(scheme).request(
            request.method,
            f"{self.addresses[scheme]}{path}",
            data=departure,
            headers=request.headers,
            allow_redirects=False,
        ) as reply:
            body = bytearray()
            async for chunk in reply.content.iter_any():
                body += chunk
                if len(body) > REPLY_BYTES_MAX:
                    raise ReplyTooLong
            headers = tuple((name.lower(), value) for name, value in reply.headers.items())
            return Reply(reply.status, bytes(body), headers)

    def _pool(self, scheme: str) -> ClientSession:
        pool = self._pools.get(scheme)
        if pool is None:
            pool = self._pools[scheme] = ClientSession(
                connector=TCPConnector(limit=self.slots[scheme], keepalive_timeout=KEPT_ALIVE_S),
                # All but connecting is limited by `send`, which knows whether a byte has left.
                timeout=ClientTimeout(total=None, sock_connect=CONNECT_WITHIN_S),
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=UNSAID,
            )
        return pool


class Departure(BytesPayload):
    """The body of one request, and its gate: aiohttp holds the head back until the body comes.

    So both leave in one write, and what did not come through here has not left.
    """

    def __init__(self, body: bytes, let_go: Callable[[], None]) -> None:
        super().__init__(body)
        self._let_go = let_go
        self._is_over = False
        self._has_left = False

    def call_off(self) -> bool:
        """Let nothing leave any more. Whether something has left already."""
        self._is_over = True
        return self._has_left

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        if self._is_over or self._has_left:
            raise DepartureRefused
        self._let_go()
        self._has_left = True
        await super().write_with_length(writer, content_length)


class DepartureRefused(Exception):
    """It was called off, or has left before: nothing is sent twice."""


class ReplyTooLong(Exception):
    """No bank of ours says so much."""


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
