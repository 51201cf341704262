"""A webhook reaches the public address that was judged, and nothing else, whatever the URL is."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import AddrInfoType
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from test_addresses import HOSTILE_URLS

from contraflow.errors import EgressDenied, PeerSilent
from contraflow.outside.addresses import LOOPBACK, PORTS, Target
from contraflow.outside.egress import (
    BODY_BYTES_KEPT_MAX,
    BODY_BYTES_READ_MAX,
    HEADERS_MAX,
    Answer,
    Egress,
    post,
    resolve_by_system,
    session_to,
)

PUBLIC = "93.184.215.14"
PUBLIC_IPV6 = "2606:4700:4700::1111"
BODY = b'{"type":"refund.succeeded"}'
HEADERS = {"webhook-id": "msg_1", "content-type": "application/json"}
NAME = "shop.example"
SOON_S = 0.1
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Conduct = Callable[[Reader, Writer], Awaitable[None]]


# The world: a resolver, sockets that are counted, and a server that counts connections.


class Names:
    """A resolver that answers with the next of its answers, and with the last one from then on."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Sockets:
    """Counts them, and lets none but those to loopback go anywhere."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open(self, address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, peer = address
        self.opened.append(str(peer[0]))
        if str(peer[0]) not in ("127.0.0.1", "::1"):
            raise ConnectionRefusedError("no test leaves this machine")
        return socket.socket(family, kind, protocol)


class Listener(NamedTuple):
    port: int
    requests: list[bytes]  # One for each connection: what came, up to the end of its body.
    went_away: asyncio.Event  # A client has hung up.


@asynccontextmanager
async def listening(conduct: Conduct, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    async def serve(reader: Reader, writer: Writer) -> None:
        requests.append(b"")
        place = len(requests) - 1
        try:
            requests[place] = await reader.readuntil(b"\r\n\r\n")
            requests[place] += await reader.readexactly(len(BODY))
            await conduct(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            went_away.set()
            writer.close()

    requests: list[bytes] = []
    went_away = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield Listener(server.sockets[0].getsockname()[1], requests, went_away)


def saying(*pieces: bytes) -> Conduct:
    async def conduct(_: Reader, writer: Writer) -> None:
        for piece in pieces:
            writer.write(piece)
        await writer.drain()

    return conduct


def play(work: Coroutine[Any, Any, None]) -> None:
    async def within_patience() -> None:
        async with asyncio.timeout(10):
            await work

    asyncio.run(within_patience())


async def send(egress: Egress, url: str) -> Answer:
    return await post(egress, url, headers=HEADERS, body=BODY)


def to(listener: Listener, **changes: Any) -> Egress:
    """In plain HTTP to loopback, which is allowed here."""
    options: dict[str, Any] = {
        "allows_http": True,
        "ports": frozenset({listener.port}),
        "permitted": LOOPBACK,
        "resolve": Names(["127.0.0.1"]).resolve,
        "tls": PLAIN_TLS,
    }
    return Egress(**(options | changes))


PLAIN_TLS = ssl.create_default_context()  # It reads files, so once.


# URLs


def test_a_hostile_url_is_refused_before_a_name_is_asked_or_a_socket_opened() -> None:
    """The resolver would say something public, so nothing else stands in the way."""

    async def work() -> None:
        async with listening(saying(OK)) as listener:
            for written in HOSTILE_URLS:
                names, sockets = Names([PUBLIC]), Sockets()
                egress = Egress(
                    ports=PORTS | {listener.port},
                    resolve=names.resolve,
                    open_socket=sockets.open,
                    tls=PLAIN_TLS,
                )
                url = written.replace("$", str(listener.port))
                with pytest.raises(EgressDenied):
                    await send(egress, url)

                assert (names.asked, sockets.opened, listener.requests) == ([], [], []), url

    play(work())


def test_the_same_count_sees_what_is_allowed() -> None:
    """So that a count of nothing means something."""

    async def work() -> None:
        async with listening(saying(OK)) as listener:
            names, sockets = Names(["127.0.0.1"]), Sockets()
            egress = to(listener, resolve=names.resolve, open_socket=sockets.open)
            for host in ("127.0.0.1", "localhost"):
                await send(egress, f"http://{host}:{listener.port}/hook")

            assert names.asked == ["localhost"]
            assert sockets.opened == ["127.0.0.1", "127.0.0.1"]
            assert len(listener.requests) == 2

    play(work())


# Names

DENIED_ANSWERS = (
    ["127.0.0.1"],
    ["127.0.0.53"],
    ["::1"],
    ["0.0.0.0"],  # noqa: S104 - It is connected to, not bound.
    ["::"],
    ["10.0.0.1"],
    ["172.16.0.1"],
    ["192.168.1.1"],
    ["169.254.169.254"],
    ["100.64.0.1"],
    ["100.100.100.200"],
    ["168.63.129.16"],
    ["192.0.0.192"],
    ["198.18.0.1"],
    ["203.0.113.1"],
    ["224.0.0.1"],
    ["255.255.255.255"],
    ["fd00:ec2::254"],
    ["fe80::1"],
    ["fe80::1%lo"],
    [f"{PUBLIC_IPV6}%1"],
    ["fec0::1"],
    ["ff02::1"],
    ["::ffff:127.0.0.1"],
    ["::ffff:8.8.8.8"],
    ["::127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["64:ff9b::808:808"],
    ["64:ff9b:1::7f00:1"],
    ["2002:7f00:1::"],
    ["2001::1"],
    ["2001:10::1"],
    ["2001:db8::1"],
    ["100::1"],
    [PUBLIC, "127.0.0.1"],
    ["127.0.0.1", PUBLIC],
    [PUBLIC, PUBLIC_IPV6, "::1"],
    [PUBLIC] * 50 + ["10.0.0.1"],
    [PUBLIC, "not an address"],
    ["2130706433"],
    ["0x7f000001"],
    ["127.1"],
    [""],
)


@pytest.mark.parametrize("answer", DENIED_ANSWERS, ids=lambda answer: ", ".join(answer[-2:]))
def test_one_denied_address_of_a_name_is_enough(answer: list[str]) -> None:
    async def work() -> None:
        names, sockets = Names(answer), Sockets()
        egress = Egress(resolve=names.resolve, open_socket=sockets.open, tls=PLAIN_TLS)
        with pytest.raises(EgressDenied) as raised:
            await send(egress, f"https://{NAME}/hook")

        assert (names.asked, sockets.opened) == ([NAME], [])
        assert not any(each and each in str(raised.value) for each in answer)

    play(work())


def test_a_name_that_is_bound_anew_is_asked_once_and_never_reaches_loopback() -> None:
    async def work() -> None:
        async with listening(saying(OK)) as listener:
            names, sockets = Names([PUBLIC, PUBLIC_IPV6], ["127.0.0.1"]), Sockets()
            egress = Egress(
                ports=frozenset({listener.port}),
                resolve=names.resolve,
                open_socket=sockets.open,
                tls=PLAIN_TLS,
            )
            url = f"https://{NAME}:{listener.port}/hook"
            with pytest.raises(PeerSilent):
                await send(egress, url)
            assert names.asked == [NAME]
            assert set(sockets.opened) == {PUBLIC, PUBLIC_IPV6}

            with pytest.raises(EgressDenied):
                await send(egress, url)
            assert names.asked == [NAME, NAME]
            assert len(sockets.opened) == 2
            assert listener.requests == []

    play(work())


@pytest.mark.parametrize(("judged", "port"), [("8.8.8.8", 0), ("127.0.0.1", 1)])
def test_whatever_is_made_of_a_url_no_other_address_or_port_gets_a_socket(
    judged: str, port: int
) -> None:
    """aiohttp asks no resolver about an address, so the last gate is at the socket."""

    async def work() -> None:
        async with listening(saying(OK)) as listener:
            sockets = Sockets()
            egress = to(listener, open_socket=sockets.open)
            target = Target(
                scheme="http",
                host=judged,
                port=listener.port + port,
                path="/",
                address=ip_address(judged),
            )
            async with session_to(egress, target, [ip_address(judged)]) as session:
                with pytest.raises(AssertionError):
                    await session.post(f"http://127.0.0.1:{listener.port}/")

            assert (sockets.opened, listener.requests) == ([], [])

    play(work())


@pytest.mark.parametrize("trouble", [socket.gaierror(-2, "unknown"), UnicodeError(), None])
def test_a_name_without_an_address_is_a_silent_peer(trouble: Exception | None) -> None:
    async def resolve(_: str) -> Sequence[str]:
        if trouble is not None:
            raise trouble
        return []

    async def work() -> None:
        with pytest.raises(PeerSilent):
            await send(Egress(resolve=resolve, tls=PLAIN_TLS), f"https://{NAME}/")

    play(work())


def test_a_slow_name_server_has_no_more_time_than_the_rest() -> None:
    async def resolve(_: str) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    async def work() -> None:
        egress = Egress(resolve=resolve, tls=PLAIN_TLS, within_s=SOON_S)
        with pytest.raises(PeerSilent):
            await send(egress, f"https://{NAME}/")

    play(work())


def test_the_system_is_asked_for_each_address_once() -> None:
    async def work() -> None:
        addresses = await resolve_by_system("127.0.0.1")

        assert list(addresses) == ["127.0.0.1"]

    play(work())


# TLS


class Certified(NamedTuple):
    client: ssl.SSLContext  # Trusts the certificate.
    server: ssl.SSLContext


def certified(folder: Path, name: str) -> Certified:
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain = folder / f"{name}.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain.write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    client = ssl.create_default_context(cadata=certificate.public_bytes(Encoding.PEM).decode())
    return Certified(client, server)


def test_a_server_with_the_right_certificate_is_told(tmp_path: Path) -> None:
    certificate = certified(tmp_path, NAME)

    async def work() -> None:
        async with listening(saying(OK), certificate.server) as listener:
            names = Names(["127.0.0.1"])
            egress = to(listener, tls=certificate.client, resolve=names.resolve, allows_http=False)
            answer = await send(egress, f"https://{NAME}:{listener.port}/hook?a=%2F")

            assert answer == Answer(200, b"ok")
            assert names.asked == [NAME]
            head, _, body = listener.requests[0].partition(b"\r\n\r\n")
            assert body == BODY
            assert head.startswith(b"POST /hook?a=%2F HTTP/1.1\r\n")
            assert f"Host: {NAME}:{listener.port}".encode() in head
            assert b"webhook-id: msg_1" in head

    play(work())


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    certificate = certified(tmp_path, "other.example")

    async def work() -> None:
        async with listening(saying(OK), certificate.server) as listener:
            with pytest.raises(PeerSilent, match="Certificate"):
                await send(to(listener, tls=certificate.client), f"https://{NAME}:{listener.port}/")

            assert not any(listener.requests)

    play(work())


def test_a_certificate_that_nobody_trusts_is_refused(tmp_path: Path) -> None:
    certificate = certified(tmp_path, NAME)

    async def work() -> None:
        async with listening(saying(OK), certificate.server) as listener:
            with pytest.raises(PeerSilent, match="Certificate"):
                await send(to(listener), f"https://{NAME}:{listener.port}/")

            assert not any(listener.requests)

    play(work())


def test_certificates_cannot_be_left_unchecked() -> None:
    lax = ssl.create_default_context()
    lax.check_hostname = False

    with pytest.raises(AssertionError):
        Egress(tls=lax)


# Answers


@pytest.mark.parametrize("status", [200, 204, 301, 302, 303, 307, 308, 400, 410, 429, 500, 503])
def test_any_status_is_an_answer_and_a_redirect_is_not_followed(status: int) -> None:
    async def elsewhere(_: Reader, writer: Writer) -> None:
        port = writer.get_extra_info("sockname")[1]
        writer.write(
            f"HTTP/1.1 {status} So\r\nLocation: http://127.0.0.1:{port}/next\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        await writer.drain()

    async def work() -> None:
        async with listening(elsewhere) as listener:
            answer = await send(to(listener), f"http://127.0.0.1:{listener.port}/")

            assert answer == Answer(status, b"")
            assert len(listener.requests) == 1

    play(work())


def test_of_a_long_body_the_start_is_kept_and_of_an_endless_one_no_more_is_read() -> None:
    written = 0

    async def endless(_: Reader, writer: Writer) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"a" * 4_096)
            written += 4_096
            await writer.drain()

    async def work() -> None:
        async with listening(endless) as listener:
            answer = await send(to(listener), f"http://127.0.0.1:{listener.port}/")
            await listener.went_away.wait()

            assert answer == Answer(200, b"a" * BODY_BYTES_KEPT_MAX)
            assert written < 64 * 1024 * 1024  # The buffers of the system, at most.

    play(work())


def test_no_more_of_a_body_is_taken_from_the_peer_than_is_read() -> None:
    taken = []

    async def conduct(reader: Reader, writer: Writer) -> None:
        body = b"b" * (BODY_BYTES_READ_MAX + 1)
        writer.write(b"HTTP/1.1 500 No\r\nContent-Length: %d\r\n\r\n" % (len(body) + 1) + body)
        taken.append(await reader.read(1))  # One byte is missing, so it is not waited for.

    async def work() -> None:
        async with listening(conduct) as listener:
            answer = await send(to(listener), f"http://127.0.0.1:{listener.port}/")
            await listener.went_away.wait()

            assert answer == Answer(500, b"b" * BODY_BYTES_KEPT_MAX)
            assert taken in ([b""], [])  # Hung up on.

    play(work())


def test_a_packed_body_is_not_unpacked() -> None:
    packed = gzip.compress(b"0" * 10_000_000, mtime=0)[:500]
    said = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 500\r\n\r\n" + packed

    async def work() -> None:
        async with listening(saying(said)) as listener:
            answer = await send(to(listener), f"http://127.0.0.1:{listener.port}/")

            assert answer == Answer(200, packed)

    play(work())


async def drip(reader: Reader, writer: Writer) -> None:
    """A status, some of the body, and then nothing until the other side hangs up."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nslow")
    await reader.read()


async def say_nothing(reader: Reader, _: Writer) -> None:
    await reader.read()


async def break_off(_: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()


@pytest.mark.parametrize(("conduct", "kept"), [(drip, b"slow"), (break_off, b"half")])
def test_once_a_status_has_come_a_late_or_broken_body_changes_nothing(
    conduct: Conduct, kept: bytes
) -> None:
    async def work() -> None:
        async with listening(conduct) as listener:
            url = f"http://127.0.0.1:{listener.port}/"
            answer = await send(to(listener, within_s=SOON_S), url)
            await listener.went_away.wait()

            assert answer == Answer(200, kept)

    play(work())


FIELD = b"X: " + b"x" * 4_000 + b"\r\n"
NO_ANSWERS = {
    "nothing at all": say_nothing,
    "the end": saying(),
    "no HTTP": saying(b"220 mail.example ESMTP\r\n\r\n"),
    "half a head": saying(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "a long header": saying(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 8_200, b"\r\n\r\n"),
    "a long status": saying(b"HTTP/1.1 200 ", b"x" * 8_200, b"\r\n\r\n"),
    "many headers": saying(b"HTTP/1.1 200 OK\r\n", FIELD * (HEADERS_MAX + 1), b"\r\n"),
    "two lengths": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
}


@pytest.mark.parametrize("conduct", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_what_is_no_answer_is_silence(conduct: Conduct) -> None:
    async def work() -> None:
        async with listening(conduct) as listener:
            url = f"http://127.0.0.1:{listener.port}/"
            with pytest.raises(PeerSilent):
                await send(to(listener, within_s=SOON_S), url)
            await listener.went_away.wait()

    play(work())


async def promise_without_end(_: Reader, writer: Writer) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
        await writer.drain()


async def begin_without_end(_: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: x\r\n" * 10)
        await writer.drain()


@pytest.mark.parametrize("conduct", [promise_without_end, begin_without_end])
def test_a_head_without_an_end_is_silence(conduct: Conduct) -> None:
    async def work() -> None:
        async with listening(conduct) as listener:
            url = f"http://127.0.0.1:{listener.port}/"
            with pytest.raises(PeerSilent):
                await send(to(listener, within_s=SOON_S), url)
            await listener.went_away.wait()

    play(work())


def test_a_port_at_which_nobody_listens_is_silence() -> None:
    async def work() -> None:
        async with listening(saying(OK)) as listener:
            pass
        with pytest.raises(PeerSilent):
            await send(to(listener), f"http://127.0.0.1:{listener.port}/")

    play(work())


def test_a_connection_is_used_for_one_request_only() -> None:
    async def keep_open(reader: Reader, writer: Writer) -> None:
        writer.write(OK)
        await reader.read()

    async def work() -> None:
        async with listening(keep_open) as listener:
            egress = to(listener)
            for path in ("a", "b", "b"):
                await send(egress, f"http://127.0.0.1:{listener.port}/{path}")

            assert len(listener.requests) == 3
            assert all(b"\r\nConnection: close\r\n" in each for each in listener.requests)

    play(work())


# The environment


def test_a_proxy_and_a_password_file_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work() -> None:
        async with listening(saying(OK)) as proxy, listening(saying(OK)) as listener:
            netrc = tmp_path / "netrc"
            netrc.write_text("machine 127.0.0.1 login somebody password something\n")
            netrc.chmod(0o600)
            monkeypatch.setenv("NETRC", str(netrc))
            for name in ("http_proxy", "https_proxy", "all_proxy"):
                for written in (name, name.upper()):
                    monkeypatch.setenv(written, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)

            answer = await send(to(listener), f"http://127.0.0.1:{listener.port}/")

            assert answer.status == 200
            assert proxy.requests == []
            assert len(listener.requests) == 1
            assert b"authorization" not in listener.requests[0].lower()

    play(work())
