"""Listens with uvicorn, and lets nobody hold a connection who sends nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contraflow.api.problem import MEDIA_TYPE, Problem
from contraflow.errors import DoorCode, SettingInvalid

CONNECTIONS_MAX = 4_096
BACKLOG = 1_024
HEADERS_WITHIN_S = 10.0
HEADER_BYTES_MAX = 16 * 1024  # Of all of one request, its first line included.
IDLE_S = 75
SHUT_WITHIN_S = 3


class Tls(Struct, frozen=True):
    """Of the door. With authorities, only clients whose certificate is theirs are let in."""

    certificate: Path
    key: Path
    client_authorities: Path | None = None


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn bounds neither the time nor the size of headers, nor who is connected."""

    patience: asyncio.TimerHandle | None = None
    header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            self.refuse(Problem(503, DoorCode.OVERLOADED, headers={"retry-after": "1"}))
            return
        self.patience = self.loop.call_later(HEADERS_WITHIN_S, self.give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self.be_patient()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.header_bytes = 0
        if self.patience is None:
            self.patience = self.loop.call_later(HEADERS_WITHIN_S, self.give_up)

    def on_url(self, url: bytes) -> None:
        self.count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.be_patient()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def count(self, size: int) -> None:
        self.header_bytes += size
        if self.header_bytes > HEADER_BYTES_MAX and not self.transport.is_closing():
            detail = f"more than {HEADER_BYTES_MAX} bytes of headers"
            self.refuse(Problem(431, DoorCode.HEADER_INVALID, detail))

    def send_400_response(self, msg: str) -> None:
        self.refuse(Problem(400, DoorCode.HEADER_INVALID, msg))

    def be_patient(self) -> None:
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None

    def give_up(self) -> None:
        self.patience = None
        detail = f"no whole request within {HEADERS_WITHIN_S:.0f} seconds"
        self.refuse(Problem(408, DoorCode.TIMED_OUT, detail))

    def refuse(self, problem: Problem) -> None:
        """Below the routes, where a request is no request."""
        if self.transport.is_closing():
            return
        body = problem.body("")
        head = [f"HTTP/1.1 {problem.status} {problem.code}", "connection: close"]
        head += [f"content-type: {MEDIA_TYPE}", f"content-length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in problem.headers.items()]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        self.transport.close()


class QuietServer(Server):
    """Signals are for whoever runs us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def listening(app: Any, place: str, tls: Tls | None) -> AsyncIterator[str]:
    """The address while it is open. Raises SettingInvalid if it cannot listen there."""
    bound = bind(place)
    config = Config(
        app,
        http=GuardedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=SHUT_WITHIN_S,
        **_tls_options(tls),
    )
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        bound.close()
        raise SettingInvalid(f"tls: {error}") from error
    server = QuietServer(config)
    serving = asyncio.ensure_future(server.serve([bound]))
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        host, port = bound.getsockname()[:2]
        yield f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        server.should_exit = True
        await serving
        bound.close()


def bind(place: str) -> socket.socket:
    """Raises SettingInvalid."""
    host, _, port = place.rpartition(":")
    host = host.strip("[]")
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(
            host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(BACKLOG)
        except BaseException:
            bound.close()
            raise
    except OSError as error:
        raise SettingInvalid(f"door: {error.strerror or error}") from error
    bound.settimeout(0)  # It does not block.
    return bound


def _tls_options(tls: Tls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    options: dict[str, Any] = {
        "ssl_certfile": str(tls.certificate),
        "ssl_keyfile": str(tls.key),
        "ssl_version": ssl.PROTOCOL_TLS_SERVER,
    }
    if tls.client_authorities is not None:
        options["ssl_ca_certs"] = str(tls.client_authorities)
        options["ssl_cert_reqs"] = ssl.CERT_REQUIRED
    return options
