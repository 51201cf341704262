"""Over HTTP no byte leaves too late, and what has not left is told from what may have."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from contraflow.errors import ChannelUnreachable, LeaveByMissed, NotSent, ReplyLost
from contraflow.outside import http_transport
from contraflow.outside.http_transport import HttpTransport
from contraflow.wire.exchange import Reply, Request

REQUEST = Request("bank:/v1/refund", b'{"minor":5}', (("signature", "s1"),))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAnswer: a1\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
SOON_MS = 60

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Conduct = Callable[[Reader, Writer], Awaitable[None]]


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Server:
    """It counts every byte that comes, and then does what it is told."""

    def __init__(self, conduct: Conduct) -> None:
        self.conduct = conduct
        self.address = ""
        self.heard = b""
        self.connections = 0
        self.free = asyncio.Event()

    async def serve(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        try:
            await self.conduct(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def request(self, reader: Reader) -> bytes:
        """One whole request, or nothing at the end."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = await reader.read(1)
            if not byte:
                return b""
            self.heard += byte
            head += byte
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-len")]
        body = await reader.readexactly(int(lengths[0].partition(b":")[2]))
        self.heard += body
        return head + body

    @property
    def requests(self) -> int:
        return self.heard.count(b"POST ")


@asynccontextmanager
async def serving(
    conduct: Callable[[Server, Reader, Writer], Awaitable[None]],
) -> AsyncIterator[Server]:
    async def one(reader: Reader, writer: Writer) -> None:
        await conduct(server, reader, writer)

    server = Server(one)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield server


@asynccontextmanager
async def way_to(*addresses: str, slots: int = 4, **changes: Any) -> AsyncIterator[HttpTransport]:
    """To `bank`, and to `bank2`."""
    schemes = ("bank", "bank2")[: len(addresses)]
    options: dict[str, Any] = {"reply_within_ms": 1_000, "store_now": now_ms} | changes
    way = HttpTransport(
        dict(zip(schemes, addresses, strict=True)), dict.fromkeys(schemes, slots), **options
    )
    try:
        yield way
    finally:
        await way.close()


def play(work: Coroutine[Any, Any, None]) -> None:
    async def within_patience() -> None:
        async with asyncio.timeout(10):
            await work

    asyncio.run(within_patience())


# Conducts


async def answer_all(server: Server, reader: Reader, writer: Writer) -> None:
    while await server.request(reader):
        writer.write(OK)


async def answer_once(server: Server, reader: Reader, writer: Writer) -> None:
    if await server.request(reader):
        writer.write(OK)
        await writer.drain()


async def hang_up(server: Server, reader: Reader, _: Writer) -> None:
    await server.request(reader)


async def stay_silent(server: Server, reader: Reader, _: Writer) -> None:
    await server.request(reader)
    await server.free.wait()


def answer_with(*parts: bytes) -> Callable[[Server, Reader, Writer], Awaitable[None]]:
    """Part by part, and then silence."""

    async def conduct(server: Server, reader: Reader, writer: Writer) -> None:
        await server.request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
        await server.free.wait()

    return conduct


# What arrives


def test_a_request_arrives_as_it_is_and_its_reply_comes_back() -> None:
    async def work() -> None:
        async with serving(answer_all) as server, way_to(f"{server.address}/line") as way:
            reply = await way.send(REQUEST, now_ms() + 1_000)
            head, _, body = server.heard.partition(b"\r\n\r\n")

            assert (reply.status, reply.body) == (200, b"ok")
            assert ("answer", "a1") in reply.headers
            assert head.startswith(b"POST /line/v1/refund HTTP/1.1\r\n")
            assert b"signature: s1" in head
            assert body == REQUEST.body

    play(work())


def test_a_connection_is_used_again() -> None:
    async def work() -> None:
        async with serving(answer_all) as server, way_to(server.address) as way:
            for _ in range(3):
                await way.send(REQUEST, now_ms() + 1_000)

            assert (server.connections, server.requests) == (1, 3)

    play(work())


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 307 Again\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nno",
    ],
)
def test_a_reply_is_only_carried_whatever_it_says(reply: bytes) -> None:
    """Nothing is followed, unpacked or asked again."""

    async def work() -> None:
        async with serving(answer_with(reply)) as server, way_to(server.address) as way:
            told = await way.send(REQUEST, now_ms() + 1_000)

            assert told.status == int(reply.split()[1])
            assert server.requests == 1

    play(work())


# What may have left


@pytest.mark.parametrize(
    "conduct",
    [
        hang_up,
        stay_silent,
        answer_with(HEAD),
        answer_with(HEAD, b"o"),
        answer_with(b"HTTP/1.1 200"),
        answer_with(b"hello\r\n\r\n"),
        answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", b"x" * 2_000_000),
    ],
    ids=["hangs_up", "silent", "no_body", "half_a_body", "half_a_head", "no_http", "too_long"],
)
def test_without_a_whole_reply_it_may_have_been_heard(conduct: Any) -> None:
    async def work() -> None:
        async with serving(conduct) as server, way_to(server.address, reply_within_ms=150) as way:
            with pytest.raises(ReplyLost):
                await way.send(REQUEST, now_ms() + 1_000)

            assert server.requests == 1

    play(work())


def test_a_reply_that_trickles_is_given_up_when_its_time_is_over() -> None:
    async def trickle(server: Server, reader: Reader, writer: Writer) -> None:
        await server.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def work() -> None:
        async with serving(trickle) as server, way_to(server.address, reply_within_ms=100) as way:
            begun = now_ms()
            with pytest.raises(ReplyLost):
                await way.send(REQUEST, now_ms() + 5_000)

            assert 100 <= now_ms() - begun < 1_000

    play(work())


def test_a_reply_may_come_after_leave_by() -> None:
    async def late(server: Server, reader: Reader, writer: Writer) -> None:
        await server.request(reader)
        await asyncio.sleep(0.15)
        writer.write(OK)
        await writer.drain()

    async def work() -> None:
        async with serving(late) as server, way_to(server.address) as way:
            reply = await way.send(REQUEST, now_ms() + SOON_MS)

            assert reply.status == 200

    play(work())


def test_nothing_is_sent_again_on_a_connection_that_broke() -> None:
    """The second request meets a connection that was kept alive, and is hung up on."""

    async def once_then_hang_up(server: Server, reader: Reader, writer: Writer) -> None:
        await server.request(reader)
        writer.write(OK)
        await server.request(reader)

    async def work() -> None:
        async with serving(once_then_hang_up) as server, way_to(server.address) as way:
            await way.send(REQUEST, now_ms() + 1_000)
            with pytest.raises(ReplyLost):
                await way.send(REQUEST, now_ms() + 1_000)
            await asyncio.sleep(0.05)

            assert (server.connections, server.requests) == (1, 2)

    play(work())


# What has certainly not left


def test_who_refuses_the_connection_has_heard_nothing() -> None:
    async def work() -> None:
        async with serving(answer_all) as server:
            address = server.address
        async with way_to(address) as way:
            with pytest.raises(ChannelUnreachable, match="Connect"):
                await way.send(REQUEST, now_ms() + 1_000)

    play(work())


@pytest.mark.parametrize(
    ("url", "address"),
    [("bank:/v1/x", "http://nowhere.invalid"), ("elsewhere:/v1/x", "http://127.0.0.1:1")],
)
def test_what_has_no_address_is_not_sent(url: str, address: str) -> None:
    async def work() -> None:
        async with way_to(address) as way:
            with pytest.raises(NotSent):
                await way.send(Request(url, b"{}"), now_ms() + 5_000)

    play(work())


def test_after_leave_by_no_byte_leaves() -> None:
    async def work() -> None:
        async with serving(answer_all) as server, way_to(server.address) as way:
            with pytest.raises(LeaveByMissed):
                await way.send(REQUEST, now_ms() - 1)
            await asyncio.sleep(0.05)

            assert server.heard == b""

    play(work())


def test_who_waits_for_a_connection_until_leave_by_sends_nothing() -> None:
    """The only slot is taken by a request whose reply does not come."""

    async def work() -> None:
        async with (
            serving(stay_silent) as server,
            way_to(server.address, slots=1, reply_within_ms=200) as way,
        ):
            first = asyncio.create_task(way.send(REQUEST, now_ms() + 1_000))
            while not server.requests:
                await asyncio.sleep(0.005)
            heard = server.heard
            with pytest.raises(LeaveByMissed):
                await way.send(REQUEST, now_ms() + SOON_MS)
            with pytest.raises(ReplyLost):
                await first

            assert server.heard == heard

    play(work())


def test_a_stalled_connect_ends_at_leave_by_and_sends_nothing() -> None:
    """A socket whose queue of connections is full answers nobody."""

    async def work() -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            name = full.getsockname()
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.settimeout(0)
                filler.connect_ex(name)
            async with way_to(f"http://127.0.0.1:{name[1]}") as way:
                begun = now_ms()
                with pytest.raises(LeaveByMissed):
                    await way.send(REQUEST, now_ms() + SOON_MS)

                assert now_ms() - begun < 1_000
            for filler in fillers:
                filler.close()

    play(work())


@pytest.mark.parametrize("is_kept_alive", [False, True])
def test_the_last_look_at_the_clock_is_when_the_connection_is_there(*, is_kept_alive: bool) -> None:
    """A process that was stopped while it connected, or waited for a connection, looks then."""
    looks: list[bool] = []

    async def work() -> None:
        async with serving(answer_all) as server, way_to(server.address) as way:

            def clock() -> int:
                looks.append(is_connected(way))
                return now_ms() + 60_000 * any(looks)

            if is_kept_alive:
                await way.send(REQUEST, now_ms() + 1_000)
            heard, way.store_now = server.heard, clock
            with pytest.raises(LeaveByMissed):
                await way.send(REQUEST, now_ms() + 1_000)
            await asyncio.sleep(0.05)

            assert looks[:2] == [False, True]
            assert server.heard == heard
            assert server.connections == 1

    play(work())


def is_connected(way: HttpTransport) -> bool:
    """Whether a request holds a connection."""
    connectors: list[Any] = [pool.connector for pool in way._pools.values()]
    return any(getattr(held, "transport", None) for c in connectors for held in c._acquired)


def test_whoever_is_stopped_on_the_way_sends_nothing_later() -> None:
    async def work() -> None:
        async with serving(stay_silent) as server, way_to(server.address, slots=1) as way:
            first = asyncio.create_task(way.send(REQUEST, now_ms() + 1_000))
            while not server.requests:
                await asyncio.sleep(0.005)
            second = asyncio.create_task(way.send(REQUEST, now_ms() + 1_000))
            await asyncio.sleep(0.01)
            second.cancel()
            heard = server.heard
            server.free.set()
            with pytest.raises(ReplyLost):
                await first
            with pytest.raises(asyncio.CancelledError):
                await second
            await asyncio.sleep(0.05)

            assert server.heard == heard

    play(work())


def test_a_body_leaves_once_whoever_asks_for_it() -> None:
    class Wire:
        written = b""

        async def write(self, chunk: bytes) -> None:
            self.written += chunk

    async def work() -> None:
        wire: Any = Wire()
        departure = http_transport.Departure(b"once", lambda: None)
        await departure.write_with_length(wire, 4)
        with pytest.raises(http_transport.DepartureRefused):
            await departure.write_with_length(wire, 4)

        assert wire.written == b"once"
        assert departure.call_off()

    play(work())


# Who shares what


def test_a_dead_line_leaves_the_others_their_connections() -> None:
    async def work() -> None:
        async with (
            serving(stay_silent) as dead,
            serving(answer_all) as alive,
            way_to(dead.address, alive.address, slots=2) as way,
        ):
            stuck = [asyncio.create_task(way.send(REQUEST, now_ms() + 500)) for _ in range(8)]
            begun = now_ms()
            replies: list[Reply] = [
                await way.send(Request("bank2:/v1/refund", b"{}"), now_ms() + 1_000)
                for _ in range(20)
            ]

            assert len(replies) == 20
            assert now_ms() - begun < 500
            dead.free.set()
            await asyncio.gather(*stuck, return_exceptions=True)

    play(work())
