"""The sandbox's bank as a process of its own: `python -m crucible.bank --book FILE --port N`."""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import time
from pathlib import Path

from aiohttp import web

from crucible.book import Book
from crucible.counter import Counter
from crucible.letters import SIGNATURE, sign
from crucible.postman import Postman

DUE_EVERY_S = 0.01


def main() -> None:
    asked = parse()
    asyncio.run(serve(asked))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--book", type=Path, required=True)
    parser.add_argument("--key", required=True, help="of its lines, in hexadecimal")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--doors", nargs="+", required=True, help="who takes its notices")
    parser.add_argument("--honest", action="store_true", help="treat every number well")
    return parser.parse_args()


async def serve(asked: argparse.Namespace) -> None:
    key = bytes.fromhex(asked.key)
    book = Book(asked.book)
    counter = Counter(book, key=key, seed=asked.seed)
    postman = Postman(book, key, asked.doors, random.Random(asked.seed))
    counter.is_honest = postman.is_honest = asked.honest
    runner = web.AppRunner(application(counter, postman), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", asked.port, backlog=1_024).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    telling = asyncio.create_task(postman.run())
    acting = asyncio.create_task(act(counter))
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait((telling, acting, stopping), return_when=asyncio.FIRST_COMPLETED)
    await runner.cleanup()
    if stopping not in done:
        done.pop().result()
        sys.exit("the bank has stopped by itself")


async def act(counter: Counter) -> None:
    while True:
        counter.run_due(now_ms())
        await asyncio.sleep(DUE_EVERY_S)


def application(counter: Counter, postman: Postman) -> web.Application:
    async def receive(request: web.Request) -> web.StreamResponse:
        scheme, action = request.match_info["scheme"], request.match_info["action"]
        body = await request.read()
        signature = request.headers.get(SIGNATURE, "")
        reply = counter.receive(scheme, action, body, signature, now_ms())
        if reply.wait_ms:
            await asyncio.sleep(reply.wait_ms / 1_000)
        if reply.status is None:
            return hang_up(request)
        if reply.answer is None:
            return web.Response(status=reply.status)
        told = reply.answer.encode()
        headers = {SIGNATURE: sign(counter.key, told, scheme=scheme, sort="reply")}
        return web.Response(status=reply.status, body=told, headers=headers)

    async def behave(_: web.Request) -> web.Response:
        counter.is_honest = postman.is_honest = True
        return web.Response(status=204)

    async def rest(_: web.Request) -> web.Response:
        is_quiet = postman.is_quiet() and not counter.book.state.dues
        return web.json_response({"is_quiet": is_quiet})

    made = web.Application()
    made.router.add_post("/{scheme}/v1/{action}", receive)
    made.router.add_post("/behave", behave)
    made.router.add_get("/rest", rest)
    return made


def hang_up(request: web.Request) -> web.Response:
    """Close the connection; what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def now_ms() -> int:
    return int(time.time() * 1_000)


if __name__ == "__main__":
    main()
