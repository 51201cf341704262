"""contraflow's own door with all its loops, on PostgreSQL, and a bank that answers at once.

    python bench/http_server.py --dsn DSN --port N --secret FILE

It is `contraflow serve --work` but for the sandbox's bank, which is in this process and keeps its
book in memory: the usual way beside it has its bank in its process, too.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from contraflow import banking, wiring
from contraflow.api.door import application
from contraflow.api.server import listening
from contraflow.api.table import OPERATIONS
from contraflow.cli import aside
from contraflow.cli.desk import open_desk
from contraflow.cli.place import Place
from contraflow.engine import loops
from contraflow.engine.waiting import watch_others
from contraflow.outside.event_loop import EventLoop, new_loop
from contraflow.settings import Settings
from contraflow.store.places import open_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", type=Path, required=True)
    asked = parser.parse_args()
    settings = Settings(
        database=asked.dsn,
        door=f"127.0.0.1:{asked.port}",
        secret_file=str(asked.secret),
        requests_per_minute=10_000_000,
        sinks={},
    )
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve(settings))


async def serve(settings: Settings) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with asyncio.TaskGroup() as group:
        runtime = EventLoop(group)
        store = await open_store(settings.database, runtime.now)
        embedded = wiring.embed(settings, runtime, store, banking.memory_bank())
        loops.start(embedded.parts)
        async with open_desk(Place(settings, as_json=True), embedded) as desk:
            runtime.spawn(watch_others(embedded.parts, desk.views))
            aside.start(embedded, desk.mailroom, desk.batch_room)
            app = application(desk, OPERATIONS)
            async with listening(app, settings.door, None):
                print("ready", flush=True)
                await stopped.wait()
                desk.end()
        runtime.stop()
    await store.close()


if __name__ == "__main__":
    main()
