"""Sends one webhook to a URL that a stranger chose, and connects to public addresses only.

The name is resolved once, all its addresses are judged, and only these are connected to.
So an answer that changes (DNS rebinding) changes nothing, and one bad address is enough to refuse.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address

from aiohttp import (
    AddrInfoType,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
    hdrs,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from msgspec import Struct
from yarl import URL

from contraflow.errors import EgressDenied, PeerSilent
from contraflow.outside.addresses import (
    PORTS,
    Address,
    Denied,
    Network,
    Target,
    judge_address,
    judge_url,
)

WITHIN_S = 15.0  # From the question to the name server to the last byte of the answer.
BODY_BYTES_READ_MAX = 16 * 1024
BODY_BYTES_KEPT_MAX = 1024
HEADERS_MAX = 64  # aiohttp lets none of them have more than 8,190 bytes.
UNSAID = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING)  # It is not read, so it need not be packed.

Resolve = Callable[[str], Awaitable[Sequence[str]]]
OpenSocket = Callable[[AddrInfoType], socket.socket]


async def resolve_by_system(name: str) -> Sequence[str]:
    """The addresses of a name, in the order in which they are to be tried. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def open_socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, *_ = address
    return socket.socket(family, kind, protocol)


@dataclass(frozen=True, slots=True)
class Egress:
    """The way out, and what may pass: by default https to public addresses.

    For development `permitted` may name networks that are not public, such as `LOOPBACK`.
    """

    allows_http: bool = False
    ports: frozenset[int] = PORTS
    permitted: tuple[Network, ...] = ()
    within_s: float = WITHIN_S
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    resolve: Resolve = resolve_by_system
    open_socket: OpenSocket = open_socket

    def __post_init__(self) -> None:
        assert self.tls.verify_mode is ssl.CERT_REQUIRED
        assert self.tls.check_hostname


class Answer(Struct, frozen=True):
    """Any status is one, a redirect as well, which is not followed."""

    status: int
    body: bytes  # Its start, as it came: for a person to read, and never to be trusted.


async def post(egress: Egress, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
    """One attempt. Raises EgressDenied before anything is connected, or PeerSilent.

    Once a status has come it is the answer, even if the rest is late or broken.
    """
    deadline = asyncio.get_running_loop().time() + egress.within_s
    try:
        async with asyncio.timeout_at(deadline):
            target = target_of(egress, url)
            addresses = await addresses_of(egress, target)
    except (OSError, UnicodeError) as error:  # TimeoutError is one of the first.
        raise PeerSilent("the name has no address just now") from error
    async with session_to(egress, target, addresses) as session:
        try:
            async with asyncio.timeout_at(deadline):
                reply = await session.post(
                    URL(target.url, encoded=True),
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                )
        except TimeoutError as error:
            raise PeerSilent(f"no answer within {egress.within_s} s") from error
        except (ClientError, OSError) as error:
            raise PeerSilent(f"{type(error).__name__}: {error}") from error
        with closing(reply):  # Not released: what is left unread is never waited for.
            return Answer(reply.status, await start_of(reply, deadline))


def target_of(egress: Egress, url: str) -> Target:
    target = judge_url(
        url, allows_http=egress.allows_http, ports=egress.ports, permitted=egress.permitted
    )
    if isinstance(target, Denied):
        raise EgressDenied(target.reason)
    return target


async def addresses_of(egress: Egress, target: Target) -> tuple[Address, ...]:
    """The judged ones. The refusal does not say what the name stands for in our own network."""
    if target.address is not None:
        return (target.address,)
    found = await egress.resolve(target.host)
    try:
        addresses = tuple(map(ip_address, found))
    except ValueError as error:
        raise EgressDenied("the name has an address that cannot be read") from error
    if not addresses:
        raise PeerSilent("the name has no address just now")
    if any(judge_address(each, egress.permitted) for each in addresses):
        raise EgressDenied("the name has an address that is not public")
    return addresses


def session_to(egress: Egress, target: Target, addresses: Sequence[Address]) -> ClientSession:
    """For one request: no connection, cookie or answer of a name server is kept.

    It is the last gate, too: whatever aiohttp makes of the URL, no other address gets a socket.
    """
    judged = {str(each) for each in addresses}

    def open_judged(address: AddrInfoType) -> socket.socket:
        host, port, *_ = address[4]
        assert str(host) in judged, "only what was judged is connected to"
        assert port == target.port
        return egress.open_socket(address)

    connector = TCPConnector(
        resolver=Judged(addresses),
        use_dns_cache=False,
        force_close=True,
        ssl=egress.tls,
        socket_factory=open_judged,
    )
    return ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=None),  # `post` has one for all.
        trust_env=False,  # No proxy and no .netrc.
        auto_decompress=False,
        skip_auto_headers=UNSAID,
        read_bufsize=BODY_BYTES_READ_MAX,
        max_headers=HEADERS_MAX,
    )


class Judged(AbstractResolver):
    """Says what was judged, and asks nobody. aiohttp does not ask it about an address."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        del family  # Any.
        return [
            ResolveResult(
                hostname=host,
                host=str(each),
                port=port,
                family=socket.AF_INET if each.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for each in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def start_of(reply: ClientResponse, deadline: float) -> bytes:
    """The rest is read only so far, for a peer that dislikes to be hung up on."""
    kept = bytearray()
    read = 0
    with suppress(ClientError, OSError):
        async with asyncio.timeout_at(deadline):
            while piece := await reply.content.read(BODY_BYTES_READ_MAX - read):
                read += len(piece)
                kept += piece[: BODY_BYTES_KEPT_MAX - len(kept)]
    return bytes(kept)
