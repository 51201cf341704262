"""A server that falls silent, as after a power cut or behind a broken switch, is given up."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from contract.stores.samples import save
from store.asking import ask, recorded, refund_of
from store.bad_road import Road, bad_road
from store.databases import Database, Opened

from contraflow.domain.decision import Receipt
from contraflow.engine.audit import audit
from contraflow.errors import StoreUnwritable
from contraflow.store import postgres, postgres_link, postgres_opening

pytestmark = pytest.mark.slow
ANSWER_S = 0.3


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "ANSWER_S_MAX", ANSWER_S)
    monkeypatch.setattr(postgres_opening, "ANSWER_S_MAX", ANSWER_S)
    monkeypatch.setattr(postgres_link, "CONNECT_S", ANSWER_S)
    monkeypatch.setattr(postgres, "OUTAGE_S_MAX", 1.0)
    monkeypatch.setattr(postgres, "RECONNECT_S", 0.02)


async def speak(road: Road) -> None:
    """Again; what is under way on the old connections stays lost."""
    road.is_silent = False
    for trip in road.trips:
        trip.end()


async def test_a_batch_says_within_its_time_that_nothing_was_stored(
    database: Database, opened: Opened
) -> None:
    async with bad_road(database.dsn, database.socket) as (road, dsn):
        store = await opened.store(dsn=dsn)
        await ask(store, recorded())
        road.is_silent = True
        begun = time.monotonic()
        with pytest.raises(StoreUnwritable):
            await ask(store, refund_of())
        with pytest.raises(StoreUnwritable):
            await store.due("sandbox", 1)
        with pytest.raises(StoreUnwritable):
            await store.undelivered("sink", 1)
        took = time.monotonic() - begun
        await speak(road)
        again = await ask(store, refund_of())

    assert took < 5
    assert len(again) == 1
    assert audit(await (await opened.store()).contents()) == []


async def test_a_commit_whose_answer_never_comes_is_found(
    database: Database, opened: Opened
) -> None:
    async with bad_road(database.dsn, database.socket) as (road, dsn):
        store = await opened.store(dsn=dsn)
        road.at_commit.append("silence")
        saving = asyncio.ensure_future(save(store, receipts=[Receipt("acme/k", bytes(32), b"")]))
        await asyncio.sleep(4 * ANSWER_S)
        assert not saving.done()
        await speak(road)
        await asyncio.wait_for(saving, 10)

    assert set((await (await opened.store()).contents()).receipts) == {"acme/k"}


async def test_a_commit_that_waits_for_its_standby_is_not_broken_off(
    own: Database, opened_own: Opened
) -> None:
    """A cancelled wait would end in a commit that looks done and has no copy."""
    store = await opened_own.store()
    await own.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    await own.execute("SELECT pg_reload_conf()")
    try:
        await asyncio.sleep(0.2)
        saving = asyncio.ensure_future(save(store, receipts=[Receipt("acme/k", bytes(32), b"")]))
        await asyncio.sleep(4 * ANSWER_S)
        waiting = await own.value(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        )
        assert (waiting, saving.done()) == (1, False)
    finally:
        await own.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await own.execute("SELECT pg_reload_conf()")
    await asyncio.wait_for(saving, 20)

    assert set((await store.contents()).receipts) == {"acme/k"}


# A whole process.

SETTINGS = """\
bank = "http://127.0.0.1:1"
door = "127.0.0.1:0"
[channels.sandbox]
plugin = "sandbox"
credentials = {{ key = "{key}" }}
"""
STOP_S_MAX = 10
PROGRAM = (sys.executable, "-c", "from contraflow.cli.main import main; main()")


@pytest.mark.parametrize("what", ["serve", "work"])
async def test_a_process_ends_in_time_though_the_server_says_nothing(
    opened: Opened, tmp_path: Path, what: str
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(SETTINGS.format(key="0f" * 32))
    secret = tmp_path / "secret"
    secret.write_text("0f" * 32)
    store = await opened.store()
    await ask(store, recorded(), *(refund_of(minor=1) for _ in range(3)))
    async with bad_road(opened.database.dsn, opened.database.socket) as (road, dsn):
        process = await asyncio.create_subprocess_exec(
            *(*PROGRAM, what, "--settings", str(settings)),
            env=os.environ | {"CONTRAFLOW_DATABASE": dsn, "CONTRAFLOW_SECRET_FILE": str(secret)},
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        await asyncio.sleep(0.5)
        road.is_silent = True
        await asyncio.sleep(0.5)
        begun = time.monotonic()
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 3 * STOP_S_MAX)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    assert time.monotonic() - begun < STOP_S_MAX
    assert process.returncode == 0
