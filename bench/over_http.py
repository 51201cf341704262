"""What one refund costs over HTTP: our door, the floor, and the usual way.

    python bench/over_http.py [--quick]

One JSON object a line on stdout, kept in bench/results/ as well; progress and verdicts on stderr;
it fails where a judged figure misses. The arms take turns on one private PostgreSQL with full
durability, each in a fresh database, with one hot merchant; the clients are 64 connections of one
process on the same machine. What counts is the refunds that are final at the end of a turn and a
drain of at most a tenth of it, divided by the time until then; a ratio is of two turns of one
round, and its median counts.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import secrets
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from http_signing import Signer
from pg_arms import HOT, TEMPLATES, Place, started_workers
from pg_lives import BATCH
from pg_server import fresh_database, running_server, settings_of, superuser
from postgres import FLOOR, Size, figure_of, prepare
from report import Figure, missed, publish, say
from workload import TENANT, payment_name

from contraflow.outside.ports import next_free
from contraflow.outside.postgres_found import find_servers
from contraflow.outside.postgres_server import PostgresServer

CONNECTIONS = 64
DRAIN_SHARE = 0.1
POOLS = (8, 32)
PAYMENTS_PLAIN = 8_000
KEY = "a-key-for-the-usual-way"
READY_WITHIN_S = 20
HERE = Path(__file__).parent
PROGRAM = (sys.executable, "-c", "from contraflow.cli.main import main; main()")
FINAL = "SELECT count(*) FROM contraflow.instruction WHERE kind = 'refund' AND state = 'succeeded'"
FINAL_PLAIN = "SELECT count(*) FROM refund WHERE status = 'succeeded'"

AT_LEAST = {
    "http_async_ratio_to_floor": 0.22,
    "http_wait_ratio_to_floor": 0.18,
    "http_ratio_to_plain": 10.0,
    "http_signed_over_unsigned": 0.55,
}
AT_MOST = {"http_async_p99_over_p50": 4.0, "http_wait_p99_over_p50": 4.0}


@dataclass(frozen=True, slots=True)
class Run:
    rounds: int
    seconds: float
    size: Size


FULL = Run(5, 8.0, Size(0, 0, 40 * BATCH, 10, 0))
QUICK = Run(1, 4.0, Size(0, 0, 12 * BATCH, 10, 0))


@dataclass(frozen=True, slots=True)
class Turn:
    """Refunds a second that are final, and how long their clients waited."""

    per_s: float
    p50_ms: float
    p99_ms: float
    answers: int
    load_cpu_us: float

    def __str__(self) -> str:
        return (
            f"{self.per_s:.0f} refunds/s, p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, "
            f"{self.answers} answers, {self.load_cpu_us:.0f} us of the clients' CPU each"
        )


Round = dict[str, float | Turn]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one short round: rougher figures")
    asked = parser.parse_args()
    figures = asyncio.run(measure(QUICK if asked.quick else FULL))
    publish(figures, "-http")
    sys.exit(1 if missed(figures, AT_MOST, AT_LEAST) else 0)


async def measure(run: Run) -> list[Figure]:
    with (
        tempfile.TemporaryDirectory(prefix="contraflow-bench-") as name,
        running_server(find_servers()[0], {}) as server,
    ):
        folder = Path(name)
        say(await settings_of(server))
        writes = await prepare(server, folder, run.size)
        (folder / "secret").write_text(secrets.token_hex(32))
        async with started_workers() as workers:
            place = Place(server, workers, writes, run.size.side_by_side, 10)
            rounds = [await one_round(place, folder, run, n) for n in range(run.rounds)]
    return [*ratios(rounds), *absolutes(rounds)]


async def one_round(place: Place, folder: Path, run: Run, number: int) -> Round:
    """Every other one in the opposite order."""
    arms = ["floor", "async", "wait", "signed", *(f"plain_{pool}" for pool in POOLS)]
    found: Round = {}
    for arm in arms if number % 2 == 0 else reversed(arms):
        if arm == "floor":
            found[arm] = 1 / (await place.turn(FLOOR)).wall
        elif arm.startswith("plain"):
            found[arm] = await plain_turn(place.server, run, int(arm.partition("_")[2]))
        else:
            found[arm] = await our_turn(place.server, folder, run, arm)
        say(f"round {number + 1} of {run.rounds}: {arm}: {found[arm]}")
    return found


# Our door.


async def our_turn(server: PostgresServer, folder: Path, run: Run, mode: str) -> Turn:
    async with fresh_database(server, TEMPLATES[HOT], "turn") as dsn:
        token, key_id, secret = await key_for(dsn, folder, is_signed=mode == "signed")
        prefer = "respond-async" if mode == "async" else "wait=10"
        signer = Signer(key_id, secret) if mode == "signed" else None
        count = int(run.seconds * 8_000)
        requests = our_requests(token, prefer, run.size.side_by_side, count, signer)
        command = (
            str(HERE / "http_server.py"), "--dsn", dsn, "--secret", str(folder / "secret")
        )  # fmt: skip
        async with serving(command) as port, superuser(server, "turn") as connection:
            before = await connection.fetchval(FINAL)
            told, begun = await loaded(port, run.seconds, requests)
            return await judged(connection, FINAL, before, told, begun)


async def key_for(dsn: str, folder: Path, *, is_signed: bool) -> tuple[str, str, bytes]:
    words = ("keys", "create", "--tenant", TENANT, "--json", "--db", dsn)
    sign = ("--sign", "hmac-sha256") if is_signed else ()
    environment = {"CONTRAFLOW_SECRET_FILE": str(folder / "secret"), "PATH": "/usr/bin:/bin"}
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, *words, *sign, stdout=PIPE, env=environment
    )
    said, _ = await process.communicate()
    told = json.loads(said)
    secret = base64.b64decode(told["signing_secret"] or "")
    return told["key"], told["id"], secret


def our_requests(
    token: str, prefer: str, payments: int, count: int, signer: Signer | None
) -> Iterator[bytes]:
    for number in range(count):
        payment = payment_name(number % payments).partition("/")[2]
        body = f'{{"payment": "{payment}", "amount": 1, "currency": "CNY"}}'.encode()
        key = f"refund-{number}"
        lines = [
            "POST /v1/refunds HTTP/1.1",
            "Host: bench",
            f"Authorization: Bearer {token}",
            "Content-Type: application/json",
            f"Idempotency-Key: {key}",
            f"Prefer: {prefer}",
            f"Content-Length: {len(body)}",
        ]
        if signer is not None:
            lines += signer.headers("/v1/refunds", body, key)
        yield "\r\n".join([*lines, "", ""]).encode() + body


# The usual way.


async def plain_turn(server: PostgresServer, run: Run, pool: int) -> Turn:
    async with superuser(server) as connection:
        await connection.execute("CREATE DATABASE usual")
    try:
        dsn = server.superuser_dsn("usual").replace("postgresql://", "postgresql+asyncpg://")
        service = (str(HERE / "plain" / "service.py"), "--dsn", dsn)
        words = ("--furnish", str(PAYMENTS_PLAIN), "--key", KEY)
        furnishing = await asyncio.create_subprocess_exec(sys.executable, *service, *words)
        assert await furnishing.wait() == 0
        command = (*service, "--pool", str(pool))
        requests = plain_requests(int(run.seconds * 3_000))
        async with serving(command) as port, superuser(server, "usual") as connection:
            await connection.execute("VACUUM (ANALYZE)")
            told, begun = await loaded(port, run.seconds, requests)
            return await judged(connection, FINAL_PLAIN, 0, told, begun)
    finally:
        async with superuser(server) as connection:
            await connection.execute("DROP DATABASE usual WITH (FORCE)")


def plain_requests(count: int) -> Iterator[bytes]:
    for number in range(count):
        payment = f"p{number % PAYMENTS_PLAIN}"
        body = f'{{"payment": "{payment}", "amount": 1, "currency": "CNY"}}'.encode()
        lines = [
            "POST /v1/refunds HTTP/1.1",
            "Host: bench",
            f"Authorization: Bearer {KEY}",
            "Content-Type: application/json",
            f"Idempotency-Key: refund-{number}",
            f"Content-Length: {len(body)}",
        ]
        yield "\r\n".join([*lines, "", ""]).encode() + body


# Both.


@asynccontextmanager
async def serving(command: Sequence[str]) -> AsyncIterator[int]:
    port = int(next_free("127.0.0.1:18080", 1).rpartition(":")[2])
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, "--port", str(port), stdout=PIPE
    )
    try:
        await open_for_business(process, port)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def open_for_business(process: Process, port: int) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while True:
        assert process.returncode is None, "the server has ended; see its complaint above"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert time.monotonic() < until, "nobody listens"
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def loaded(
    port: int, seconds: float, requests: Iterator[bytes]
) -> tuple[dict[str, Any], float]:
    """What the clients tell, and when they began."""
    lines = b"".join(base64.b64encode(request) + b"\n" for request in requests)
    words = ("--port", str(port), "--connections", str(CONNECTIONS), "--seconds", str(seconds))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "http_load.py"), *words, stdin=PIPE, stdout=PIPE
    )
    said, _ = await process.communicate(lines)
    ended = time.monotonic()
    told = json.loads(said)
    assert not told["failed"], told["failures"]
    assert not told["is_dry"], "there were too few requests"
    return told, ended - told["seconds"]


async def judged(
    connection: asyncpg.Connection, question: str, before: int, told: dict[str, Any], begun: float
) -> Turn:
    """Final by now, or within the drain; whatever is later does not count."""
    until = begun + told["seconds"] * (1 + DRAIN_SHARE)
    while True:
        final = await connection.fetchval(question) - before
        now = time.monotonic()
        if final >= told["answers"] or now >= until:
            break
        await asyncio.sleep(0.02)
    assert final <= told["answers"] + CONNECTIONS, "each answer is one refund"
    return Turn(
        per_s=final / (now - begun),
        p50_ms=told["p50_us"] / 1_000,
        p99_ms=told["p99_us"] / 1_000,
        answers=told["answers"],
        load_cpu_us=told["cpu_us"],
    )


# Figures.


def turn(one: Round, arm: str) -> Turn:
    found = one[arm]
    assert isinstance(found, Turn)
    return found


def floor(one: Round) -> float:
    found = one["floor"]
    assert isinstance(found, float)
    return found


def usual(one: Round) -> float:
    return max(turn(one, f"plain_{pool}").per_s for pool in POOLS)


def ratios(rounds: Sequence[Round]) -> list[Figure]:
    def figure(name: str, values: list[float]) -> Figure:
        return figure_of(f"http_{name}", values, "ratio", 3)

    def spread(arm: str) -> list[float]:
        return [turn(one, arm).p99_ms / turn(one, arm).p50_ms for one in rounds]

    return [
        figure("async_ratio_to_floor", [turn(r, "async").per_s / floor(r) for r in rounds]),
        figure("wait_ratio_to_floor", [turn(r, "wait").per_s / floor(r) for r in rounds]),
        figure("ratio_to_plain", [turn(r, "wait").per_s / usual(r) for r in rounds]),
        figure("async_p99_over_p50", spread("async")),
        figure("wait_p99_over_p50", spread("wait")),
        figure(
            "signed_over_unsigned",
            [turn(r, "signed").per_s / turn(r, "wait").per_s for r in rounds],
        ),
    ]


def absolutes(rounds: Sequence[Round]) -> list[Figure]:
    figures = [figure_of("http_floor_per_s", [floor(one) for one in rounds], "1/s", 0)]
    for arm in ("async", "wait", "signed", *(f"plain_{pool}" for pool in POOLS)):
        for name, unit in (("per_s", "1/s"), ("p50_ms", "ms"), ("p99_ms", "ms")):
            values = [getattr(turn(one, arm), name) for one in rounds]
            figures.append(figure_of(f"http_{arm}_{name}", values, unit, 1))
    return figures


if __name__ == "__main__":
    main()
