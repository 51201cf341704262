"""A client of the engine: `python -m crucible.client --log FILE ...`, many wishes at once.

Whatever was not certainly answered is asked again under the same key, until it is. What was
certainly not stored may be wished for again under another key. Every answer is in the log, with
the kernel, before the next request leaves.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import secrets
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from crucible.dialect import Keys, Letter, letter_of
from crucible.door import Door, NoAnswer, Said
from crucible.wishes import Dreamer, Shop, Wish

NONCE = re.compile(r';nonce="(\w+)"')
WITHIN_S = 1.2
AGAIN_S = (0.02, 0.25)
GIVE_UP_SHARE = 0.3  # Of the wishes that were not stored.
REPEAT_SHARE = 0.08  # Of the acknowledged: the same request once more.
AT_ONCE_SHARE = 0.04  # Two of the same at once, at two doors.
END_WITHIN_S = 60.0  # After the end: for what is not certain yet.
FAVOURITE_SHARE = 0.8  # To the door that answered last.
SHUNNED_S = 3.0  # Mostly, after its silence.
CURIOUS_SHARE = 0.03  # Ask it all the same.
SIGNED_SHARE = 0.3  # Of the wishes.
CHEAT_SHARE = 0.02  # Of the signed: the nonce once more, for something else.
KEPT_ALREADY = ("idempotency_key_in_use", "state_unreadable")
KEPT = (404, 409, 422)  # Statuses of refusals, which are kept if there is a receipt.


@dataclass(slots=True)
class Client:
    dreamer: Dreamer
    chance: random.Random
    ports: list[int]
    log: TextIO
    wishes_max: int
    keys: Keys
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    answered: int = 0
    shunned: dict[int, float] = field(default_factory=dict)  # Doors, until when.

    def choose(self) -> int:
        now, is_curious = time.monotonic(), self.chance.random() < CURIOUS_SHARE
        open_ones = [port for port in self.ports if self.shunned.get(port, 0.0) < now]
        return self.chance.choice(self.ports if is_curious or not open_ones else open_ones)

    def shun(self, port: int) -> None:
        self.shunned[port] = time.monotonic() + SHUNNED_S

    def note(self, what: str, **fields: object) -> None:
        self.log.write(json.dumps({"what": what, **fields}, separators=(",", ":")) + "\n")
        self.log.flush()


class Worker:
    """One wish after the other, each until its end is certain."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.doors = {port: Door(port) for port in client.ports}
        self.favourite = client.chance.choice(client.ports)

    async def work(self) -> None:
        client = self.client
        while not client.is_over.is_set():
            if client.answered >= client.wishes_max:
                return
            await self.fulfil(client.dreamer.next_wish())

    async def fulfil(self, wish: Wish) -> None:
        """Under one key, or under the next if it is certain that the one before left nothing."""
        number = 0
        while True:
            key = wish.name if wish.is_shared else f"{wish.name}-{number}"
            answer = await self.until_answered(wish, key)
            if answer is not None:
                return
            self.client.note("left", key=key)
            is_tired = self.client.chance.random() < GIVE_UP_SHARE
            if is_tired or self.client.is_over.is_set():
                return
            number += 1
            await self.pause()

    async def until_answered(self, wish: Wish, key: str) -> Said | None:
        """None if it is certain that nothing is stored under this key."""
        letter = self.write(wish, key)
        is_certain = not wish.is_shared  # Somebody else may have it stored.
        if self.client.chance.random() < AT_ONCE_SHARE:
            is_certain = False
            await asyncio.gather(*(self.send_aside(key, letter) for _ in range(2)))
        while True:
            if letter.is_stale:
                letter = self.write(wish, key)
            sent = time.monotonic()
            port = self.choose()
            try:
                said = await self.doors[port].ask(letter, within_s=WITHIN_S)
            except NoAnswer as error:
                is_certain = False
                self.client.note("silence", key=key, sent=sent, why=str(error))
                self.client.shun(port)
                self.favourite = self.client.choose()
            else:
                self.favourite = port
                is_certain = is_certain and said.body.get("code") not in KEPT_ALREADY
                if self.hear(key, said, sent):
                    await self.repeat(key, letter)
                    await self.cheat(wish, letter)
                    return said
                if is_certain:
                    return None
            await self.pause()

    def hear(self, key: str, said: Said, sent: float) -> bool:
        """Whether this was the end of it."""
        client, got = self.client, time.monotonic()
        receipt, code = said.receipt, said.body.get("code")
        if receipt is not None and said.status in (201, 202, *KEPT):
            replayed = said.is_replayed
            client.note("ack", key=key, sent=sent, got=got, replayed=replayed, receipt=receipt)
            client.answered += 1
            client.dreamer.learn(receipt)
            return True
        if said.status == 422:
            client.note("refused", key=key, sent=sent, got=got, code=code)
            client.answered += 1
            return True
        if code == "state_unreadable":
            client.note("silence", key=key, sent=sent, why=code)
            return False
        if said.status == 503 or (said.status, code) == (409, "idempotency_key_in_use"):
            client.note("nothing", key=key, sent=sent, got=got, code=code)
            return False
        client.note("odd", key=key, sent=sent, got=got, status=said.status, said=said.body)
        return True

    def write(self, wish: Wish, key: str) -> Letter:
        is_signed = self.client.chance.random() < SIGNED_SHARE
        nonce = secrets.token_hex(12) if is_signed else ""
        return letter_of(wish.fields, key, self.client.keys, nonce)

    async def cheat(self, wish: Wish, letter: Letter) -> None:
        """What was signed once is good for nothing else: 401, and nothing is stored."""
        nonce = NONCE.search(letter.headers.get("Signature-Input", ""))
        if nonce is None or self.client.chance.random() > CHEAT_SHARE:
            return
        key = f"cheat-{secrets.token_hex(8)}"
        door = Door(self.client.choose())
        with suppress(NoAnswer):
            forged = letter_of(wish.fields, key, self.client.keys, nonce[1])
            said = await door.ask(forged, within_s=WITHIN_S)
            if said.status not in (401, 503):
                self.client.note("odd", key=key, status=said.status, said=said.body)
        door.close()

    async def repeat(self, key: str, letter: Letter) -> None:
        """Now and then the same once more; whoever judges compares the receipts."""
        if self.client.chance.random() < REPEAT_SHARE:
            await self.send_aside(key, letter)

    async def send_aside(self, key: str, letter: Letter) -> None:
        """Once, at any door, by a connection of its own."""
        door = Door(self.client.choose())
        sent = time.monotonic()
        with suppress(NoAnswer):
            self.hear(key, await door.ask(letter, within_s=WITHIN_S), sent)
        door.close()

    def choose(self) -> int:
        if self.client.chance.random() < FAVOURITE_SHARE:
            return self.favourite
        return self.client.choose()

    async def pause(self) -> None:
        await asyncio.sleep(self.client.chance.uniform(*AGAIN_S))


def main() -> None:
    asyncio.run(run(parse()))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--keys", type=Path, required=True, help="a file with keys of the API")
    parser.add_argument("--ports", type=int, nargs="+", required=True)
    parser.add_argument("--index", type=int, required=True, help="of this process, from 0")
    parser.add_argument("--clients", type=int, required=True, help="how many such processes")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--wishes", type=int, default=10**9, help="answers until it ends")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rail-factor", type=float, default=1.0)
    return parser.parse_args()


async def run(asked: argparse.Namespace) -> None:
    chance = random.Random(f"{asked.seed}/client/{asked.index}")
    shop = Shop(asked.seed, asked.rail_factor)
    dreamer = Dreamer(shop, asked.index, asked.clients, chance)
    with asked.log.open("a", encoding="utf-8") as log:
        keys = Keys.read(asked.keys.read_text())
        client = Client(dreamer, chance, asked.ports, log, asked.wishes, keys)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, client.is_over.set)
        working = [asyncio.create_task(Worker(client).work()) for _ in range(asked.workers)]
        ending = asyncio.create_task(end(client))
        everything: list[asyncio.Task[Any]] = [*working, ending]
        while working:
            done, _ = await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            everything = [task for task in everything if not task.done()]
            working = [task for task in working if not task.done()]
            if ending.done():
                break
        for task in everything:
            task.cancel()
        client.note("end", answered=client.answered, uncertain=len(working))


async def end(client: Client) -> None:
    await client.is_over.wait()
    await asyncio.sleep(END_WITHIN_S)


if __name__ == "__main__":
    main()
