from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from shop import Shop

from contraflow import wiring
from contraflow.api.door import application
from contraflow.api.server import listening
from contraflow.api.table import OPERATIONS
from contraflow.cli.desk import open_desk
from contraflow.cli.place import Place
from contraflow.engine import loops
from contraflow.settings import Settings
from contraflow.wire import sandbox
from contraflow.wire.sandbox import CARD, Line

Open = Callable[..., None]


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "test.db")


@pytest.fixture
def at_door(database: str) -> Open:
    """Do the work at a door that is open meanwhile, with all loops or with these."""

    def play(
        work: Callable[[Shop], Awaitable[None]], start: Any = loops.start, **more: Any
    ) -> None:
        settings = Settings(database=database, **more)

        async def beside(embedded: wiring.Embedded) -> None:
            async with (
                asyncio.timeout(20),
                open_desk(Place(settings, as_json=True), embedded) as desk,
                listening(application(desk, OPERATIONS), "127.0.0.1:0", None) as address,
                aiohttp.ClientSession() as client,
            ):
                shop = Shop(desk, address, client)
                shop.bank = Line(CARD, sandbox.key_of(embedded.bank.key_text))
                await shop.admit(shop.token)
                await work(shop)

        wiring.run(settings, beside, start=start)

    return play
