"""A client of an open door, with a key of its own."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from contraflow.api.desk import Desk
from contraflow.requests.scopes import Scope
from contraflow.requests.tokens import hash_of, token_of
from contraflow.store import ApiKey
from contraflow.wire import sandbox
from contraflow.wire.sandbox import CARD, Line

PAYMENT = {
    "id": "pay_1",
    "amount": 1_050,
    "currency": "CNY",
    "channel": "sandbox",
    "instrument": "tok_ok",
    "recorded": "captured",
}
REFUND = {"payment": "pay_1", "amount": 300, "currency": "CNY"}
Said = tuple[int, Any]


def api_key(token: str, **more: Any) -> ApiKey:
    sha256 = hash_of(token)
    assert sha256 is not None
    told: dict[str, Any] = {
        "key_id": f"key_{token[8:16]}",
        "tenant": "main",
        "name": "",
        "mode": token[3:7],
        "hint": token[:12],
        "sha256": sha256,
        "scopes": tuple(Scope),
        "merchant": "",
        "networks": (),
        "algorithm": "",
        "material": b"",
        "created_at": 0,
        "expires_at": None,
        "revoked_at": None,
    }
    return ApiKey(**(told | more))


class Shop:
    """Asks with its key, and with an idempotency key that it says or counts on."""

    def __init__(self, desk: Desk, address: str, client: aiohttp.ClientSession) -> None:
        self.desk, self.address, self.client = desk, address, client
        self.bank = Line(CARD, sandbox.key_of("00"))
        self.token = token_of("test", bytes(32))
        self.asked = 0

    async def admit(self, token: str, **more: Any) -> ApiKey:
        key = api_key(token, **more)
        await self.desk.ring.keys.add(key)
        return key

    def send(
        self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str
    ) -> Any:
        """A body is sent as it is if it is bytes. Blanks stand for `_` in the names of headers."""
        given = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            given["Content-Type"] = "application/json"
        if key is not None:
            given["Idempotency-Key"] = key
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return self.client.request(
            method,
            f"{self.address}{path}",
            data=sent,
            headers={n: v for n, v in given.items() if v},
        )

    async def post(self, path: str, body: Any, key: str | None = None, **headers: str) -> Said:
        if key is None:
            self.asked += 1
            key = f"k{self.asked}"
        async with self.send("POST", path, body, key, **headers) as reply:
            return reply.status, await reply.json(content_type=None)

    async def get(self, path: str, **headers: str) -> Said:
        async with self.send("GET", path, **headers) as reply:
            return reply.status, await reply.json(content_type=None)

    async def record(self, **more: Any) -> Said:
        return await self.post("/v1/payments", PAYMENT | more)

    async def refund(self, key: str | None = None, prefer: str = "", **more: Any) -> Said:
        return await self.post("/v1/refunds", REFUND | more, key, Prefer=prefer)

    async def look(self, path: str) -> int:
        async with self.client.get(f"{self.address}{path}") as reply:
            return int(reply.status)

    async def tell(self, body: bytes, headers: Any) -> int:
        async with self.client.post(f"{self.address}/notices", data=body, headers=headers) as reply:
            return int(reply.status)
