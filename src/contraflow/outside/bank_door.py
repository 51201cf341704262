"""The sandbox's bank as a process of its own: its two lines, and its notices, over HTTP."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web

from contraflow.outside import Runtime
from contraflow.outside.bank import Bank
from contraflow.outside.teller import Teller
from contraflow.wire.exchange import Notice, Request

BODY_BYTES_MAX = 64 * 1024
NOTICES_AT_ONCE_MAX = 32
NOTICE_WITHIN_S = 5
TELLINGS_MAX = 100_000  # Of a process that stays; days.
SHUT_WITHIN_S = 1
TAKEN = 204
LOG = logging.getLogger(__name__)


@asynccontextmanager
async def open_door(
    bank: Bank, runtime: Runtime, port: int, addresses: Sequence[str]
) -> AsyncIterator[str]:
    """The address it listens at while it is open; at port 0 the system chooses one.

    Notices are told at the first of the addresses that takes them. Raises OSError.
    """
    timeout = ClientTimeout(total=NOTICE_WITHIN_S)
    connector = TCPConnector(limit=NOTICES_AT_ONCE_MAX)
    async with ClientSession(connector=connector, timeout=timeout) as session:
        tellings_max = TELLINGS_MAX if addresses else 1  # Where nobody listens, it is kept.
        teller = Teller(bank, runtime, Post(session, addresses), tellings_max)
        runner = web.AppRunner(
            application(bank, runtime, teller), access_log=None, shutdown_timeout=SHUT_WITHIN_S
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", port)
            await site.start()
            teller.set_alarm()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def application(bank: Bank, runtime: Runtime, teller: Teller) -> web.Application:
    async def receive(asked: web.Request) -> web.Response:
        handling = bank.receive(await request_of(asked), runtime.now())
        teller.set_alarm()
        if handling.wait_ms:
            await runtime.sleep(handling.wait_ms)
        if handling.reply is None:
            hang_up(asked)
            return web.Response()  # Into a closed connection.
        reply = handling.reply
        return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))

    door = web.Application(client_max_size=BODY_BYTES_MAX)
    door.router.add_post("/{scheme}/v1/{action}", receive)
    return door


async def request_of(asked: web.Request) -> Request:
    headers = tuple((name.lower(), value) for name, value in asked.headers.items())
    scheme, action = asked.match_info["scheme"], asked.match_info["action"]
    return Request(f"{scheme}:/v1/{action}", await asked.read(), headers)


def hang_up(asked: web.Request) -> None:
    if asked.transport is not None:  # The caller may have gone first.
        asked.transport.close()


@dataclass(slots=True)
class Post:
    """Takes a notice to one of several addresses; the one that took the last comes first."""

    session: ClientSession
    addresses: Sequence[str]
    first: int = 0

    async def __call__(self, notice: Notice) -> bool:
        for step in range(len(self.addresses)):
            turn = (self.first + step) % len(self.addresses)
            if await self.is_taken(self.addresses[turn], notice):
                self.first = turn
                return True
        return False

    async def is_taken(self, address: str, notice: Notice) -> bool:
        headers = dict(notice.headers)
        try:
            async with self.session.post(
                f"{address}/notices", data=notice.body, headers=headers
            ) as reply:
                return reply.status == TAKEN
        except (ClientError, OSError, TimeoutError) as error:
            LOG.debug("%s takes no notice: %r", address, error)
            return False
