"""Many clients in one process: each asks, waits for its answer, and asks again.

    python bench/http_load.py --port N --connections 64 --seconds S < requests

Each request is a line of base64 on stdin, so that nothing is made while the clock runs. On stdout
one JSON object: answers, those that are no success, seconds, and latencies in microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
import time
from collections.abc import Iterator
from typing import cast

import uvloop

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "
ANSWER_WITHIN_S = 30
HUNDREDTHS = (50, 95, 99)


class Client(asyncio.Protocol):
    """One connection that is kept."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.held = b""
        self.asked_at = 0.0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.run.clients.append(self)

    def ask(self) -> None:
        request = next(self.run.requests, None)
        if request is None or time.perf_counter() >= self.run.until:
            self.run.leave()
            return
        self.asked_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.held += data
        end = self.held.find(HEAD_END)
        if end < 0:
            return
        head = self.held[:end].lower()
        _, _, rest = head.partition(LENGTH)
        length = int(rest.partition(b"\r\n")[0])
        if len(self.held) < end + len(HEAD_END) + length:
            return
        self.run.latencies.append(time.perf_counter() - self.asked_at)
        if head[9:10] != b"2":
            self.run.failures.append(self.held[:400].decode("latin-1"))
        self.held = b""
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio calls it so
        if not self.run.is_over.done():
            self.run.is_over.set_exception(ConnectionError("the server hung up"))


class Run:
    def __init__(self, requests: Iterator[bytes], seconds: float) -> None:
        self.requests, self.seconds = requests, seconds
        self.clients: list[Client] = []
        self.latencies: list[float] = []
        self.failures: list[str] = []
        self.until = 0.0
        self.left = 0
        self.is_over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def leave(self) -> None:
        self.left += 1
        if self.left == len(self.clients):
            self.is_over.set_result(None)


async def load(port: int, connections: int, seconds: float, requests: list[bytes]) -> None:
    run = Run(iter(requests), seconds)
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Client(run), "127.0.0.1", port)
    cpu, begun = time.process_time(), time.perf_counter()
    run.until = begun + seconds
    for client in run.clients:
        client.ask()
    await asyncio.wait_for(run.is_over, seconds + ANSWER_WITHIN_S)
    took = time.perf_counter() - begun
    ordered = sorted(run.latencies)
    told = {
        "answers": len(ordered),
        "failures": run.failures[:3],
        "failed": len(run.failures),
        "seconds": took,
        "cpu_us": 1e6 * (time.process_time() - cpu) / max(1, len(ordered)),
        "is_dry": next(run.requests, None) is None,
        **{f"p{n}_us": round(1e6 * ordered[len(ordered) * n // 100]) for n in HUNDREDTHS},
    }
    print(json.dumps(told), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, required=True)
    asked = parser.parse_args()
    requests = [base64.b64decode(line) for line in sys.stdin.buffer]
    uvloop.run(load(asked.port, asked.connections, asked.seconds, requests))


if __name__ == "__main__":
    main()
