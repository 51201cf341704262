"""What a client says over HTTP: its wishes as requests of the API, signed where its key demands."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crucible.letters import canonical

HOST = "crucible"  # The same for every door, so that signed bytes may go to any of them.
SIGNED_FOR_S = 200  # A signature is good for 300 seconds; then the same is signed anew.
COVERED = ("@method", "@authority", "@path", "@query", "content-digest", "idempotency-key")


@dataclass(frozen=True, slots=True)
class Keys:
    """Of the API: one that is enough by itself, and one that demands signatures."""

    plain: str
    signed: str
    signed_id: str
    secret: bytes

    @classmethod
    def read(cls, text: str) -> Keys:
        told = json.loads(text)
        return cls(
            told["plain"], told["signed"], told["signed_id"], base64.b64decode(told["secret"])
        )


@dataclass(frozen=True, slots=True)
class Letter:
    """One request, byte for byte the same whenever it is sent again."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    written_at: float  # Of the monotonic clock.

    @property
    def is_stale(self) -> bool:
        return time.monotonic() - self.written_at > SIGNED_FOR_S

    def bytes(self) -> bytes:
        head = f"POST {self.path} HTTP/1.1\r\nHost: {HOST}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"{head}Content-Length: {len(self.body)}\r\n\r\n".encode() + self.body


def letter_of(fields: Mapping[str, Any], key: str, keys: Keys, nonce: str = "") -> Letter:
    """With a nonce it is signed."""
    path, body = request_of(fields)
    headers = {
        "Authorization": f"Bearer {keys.signed if nonce else keys.plain}",
        "Content-Type": "application/json",
        "Idempotency-Key": key,
    }
    if prefer := fields.get("prefer"):
        headers["Prefer"] = str(prefer)
    if nonce:
        headers |= signature_of(path, body, key, keys, nonce)
    return Letter(path, body, headers, time.monotonic())


def request_of(fields: Mapping[str, Any]) -> tuple[str, bytes]:
    told = {name: value for name, value in fields.items() if name not in ("do", "prefer")}
    match fields["do"]:
        case "record" | "pay":
            path = "/v1/payments"
            told["id"] = told.pop("payment")
            if fields["do"] == "record":
                is_captured = not told.pop("authorized_only", False)
                told["recorded"] = "captured" if is_captured else "authorized"
            elif told.pop("manual", False):
                told["capture_method"] = "manual"
        case "refund":
            path = "/v1/refunds"
        case "reverse":
            path = "/v1/reversals"
        case "withdraw":
            path = f"/v1/refunds/{told.pop('reversal')}/cancel"
        case "cancel" | "capture" as verb:
            path = f"/v1/payments/{told.pop('payment')}/{verb}"
        case other:
            raise ValueError(other)
    return path, canonical(told)


def signature_of(path: str, body: bytes, key: str, keys: Keys, nonce: str) -> dict[str, str]:
    """RFC 9421 with a shared secret, over what contraflow demands."""
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    values = ("POST", HOST, path, "?", digest, key)
    names = " ".join(f'"{name}"' for name in COVERED)
    parameters = f'({names});created={int(time.time())};nonce="{nonce}";keyid="{keys.signed_id}"'
    lines = [f'"{name}": {value}' for name, value in zip(COVERED, values, strict=True)]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    mac = hmac.new(keys.secret, base.encode(), hashlib.sha256).digest()
    return {
        "Content-Digest": digest,
        "Signature-Input": f"sig={parameters}",
        "Signature": f"sig=:{base64.b64encode(mac).decode()}:",
    }
