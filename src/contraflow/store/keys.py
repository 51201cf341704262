"""Who may call: the API keys, of which only a hash is kept."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from contraflow.store import ApiKey
from contraflow.store.shelf import Row, Shelf

FIELDS = (
    "key_id, tenant, name, mode, hint, sha256, scopes, merchant, networks, algorithm, material, "
    "created_at, expires_at, revoked_at"
)
FIND = f"SELECT {FIELDS} FROM api_key WHERE sha256 = $1"  # noqa: S608 our own words
ALL = f"SELECT {FIELDS} FROM api_key WHERE tenant = $1 ORDER BY created_at, key_id"  # noqa: S608
ADD = """
INSERT INTO api_key VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""
# An end is only ever brought forward.
EXPIRE = """
UPDATE api_key SET expires_at = $3
WHERE tenant = $1 AND key_id = $2 AND (expires_at IS NULL OR expires_at > $3)
"""
REVOKE = """
UPDATE api_key SET revoked_at = $3 WHERE tenant = $1 AND key_id = $2 AND revoked_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class StoredKeys:
    shelf: Shelf

    async def find(self, sha256: bytes) -> ApiKey | None:
        rows = await self.shelf.rows(FIND, sha256)
        return _key_of(rows[0]) if rows else None

    async def list_keys(self, tenant: str) -> list[ApiKey]:
        return [_key_of(row) for row in await self.shelf.rows(ALL, tenant)]

    async def add(self, key: ApiKey) -> None:
        scopes = msgspec.json.encode(key.scopes).decode()
        networks = msgspec.json.encode(key.networks).decode()
        row = msgspec.structs.astuple(
            msgspec.structs.replace(key, scopes=scopes, networks=networks)
        )
        await self.shelf.write((ADD, [row]))

    async def expire(self, tenant: str, key_id: str, at: int) -> None:
        await self.shelf.write((EXPIRE, [(tenant, key_id, at)]))

    async def revoke(self, tenant: str, key_id: str, at: int) -> None:
        await self.shelf.write((REVOKE, [(tenant, key_id, at)]))


def _key_of(row: Row) -> ApiKey:
    fields = dict(zip(ApiKey.__struct_fields__, row, strict=True))
    for name in ("scopes", "networks"):
        fields[name] = msgspec.json.decode(fields[name])
    return msgspec.convert(fields, ApiKey)
