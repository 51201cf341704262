"""Telling other processes that there is something to do, and being told. Never needed, only fast.

Outside of the money's transactions: a NOTIFY in them would make all commits stand in one queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import asyncpg

from contraflow.store import postgres_statements as sql

CHANNEL = "contraflow"
PAUSE_S = 0.01  # At most one notification in so long.
HEARTBEAT_S = 5.0  # How long a dead connection may go unnoticed.
RECONNECT_S = 1.0
CONNECT_S = 5


def nobody() -> None:
    pass


@dataclass(slots=True)
class Wake:
    """One dedicated connection, which no pooler may share."""

    dsn: str
    settings: dict[str, str]
    ring: Callable[[], None] = nobody
    called: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._run())

    def call(self) -> None:
        """Soon, and once for all that happens until then."""
        self.called.set()

    async def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception:  # noqa: BLE001 whatever it is: polling goes on
                await asyncio.sleep(RECONNECT_S)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(
            self.dsn, timeout=CONNECT_S, server_settings=self.settings, command_timeout=CONNECT_S
        )
        try:
            await connection.add_listener(CHANNEL, self.listener(connection.get_server_pid()))
            self.ring()  # Much may have happened that nobody could tell us.
            while True:
                try:
                    # Not wait_for: in Python 3.11 that can swallow the cancellation of `close`.
                    async with asyncio.timeout(HEARTBEAT_S):
                        await self.called.wait()
                except TimeoutError:
                    await connection.execute("SELECT 1")
                    continue
                self.called.clear()
                await connection.execute(sql.WAKE)
                await asyncio.sleep(PAUSE_S)
        finally:
            connection.terminate()

    def listener(self, own: int) -> Callable[[object, int, str, object], None]:
        def heard(_: object, pid: int, __: str, ___: object) -> None:
            """Perhaps as the last word of a connection that is gone by now."""
            if pid != own:
                self.ring()

        return heard
