"""Signs requests as a client of ours must: RFC 9421 with a shared secret, before the clock runs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

COVERED = ("@method", "@authority", "@path", "@query", "content-digest", "idempotency-key")


@dataclass(frozen=True, slots=True)
class Signer:
    key_id: str
    secret: bytes

    def headers(self, path: str, body: bytes, key: str) -> list[str]:
        digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
        values = ("POST", "bench", path, "?", digest, key)
        names = " ".join(f'"{name}"' for name in COVERED)
        nonce, created = secrets.token_hex(12), int(time.time())
        parameters = f'({names});created={created};nonce="{nonce}";keyid="{self.key_id}"'
        lines = [f'"{name}": {value}' for name, value in zip(COVERED, values, strict=True)]
        base = "\n".join([*lines, f'"@signature-params": {parameters}'])
        mac = hmac.new(self.secret, base.encode(), hashlib.sha256).digest()
        return [
            f"Content-Digest: {digest}",
            f"Signature-Input: sig={parameters}",
            f"Signature: sig=:{base64.b64encode(mac).decode()}:",
        ]
