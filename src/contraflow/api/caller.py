"""Who calls: an API key, and what it may do.

A key is looked up again after half a second, so that one that was revoked is dead on all processes
within a second; while the database cannot be asked nobody is let in.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from contraflow.api.problem import Problem
from contraflow.domain.owner import Owner
from contraflow.errors import DoorCode
from contraflow.requests.tokens import hash_of
from contraflow.store import ApiKey, Keys

FRESH_MS = 500
KEYS_MAX = 10_000
BEARER = "bearer "
CHALLENGE = {"www-authenticate": 'Bearer realm="contraflow"'}


class Caller(Struct, frozen=True):
    key: ApiKey
    owner: Owner
    scopes: frozenset[str]


@dataclass(slots=True)
class KeyRing:
    """Keys as they were at most half a second ago. `reach`: the channels of each mode."""

    keys: Keys
    reach: Mapping[str, frozenset[str]]
    known: OrderedDict[bytes, tuple[Caller, int]] = field(default_factory=OrderedDict)

    async def caller_with(self, token: str, now: int) -> Caller:
        """`now` is in milliseconds. Raises Problem, or StoreUnwritable."""
        sha256 = hash_of(token)
        if sha256 is None:
            raise refusal("no such key")
        found = self.known.get(sha256)
        if found is not None and found[1] > now - FRESH_MS:
            caller = found[0]
        else:
            caller = await self._look_up(sha256, now)
        if caller.key.expires_at is not None and caller.key.expires_at <= now:
            raise refusal("the key has expired")
        return caller

    async def _look_up(self, sha256: bytes, now: int) -> Caller:
        key = await self.keys.find(sha256)
        if key is None or key.revoked_at is not None:
            self.known.pop(sha256, None)
            raise refusal("no such key" if key is None else "the key was revoked")
        owner = Owner(tenant=key.tenant, merchant=key.merchant, channels=self.reach[key.mode])
        caller = Caller(key, owner, frozenset(key.scopes))
        self.known[sha256] = (caller, now)
        self.known.move_to_end(sha256)
        if len(self.known) > KEYS_MAX:
            self.known.popitem(last=False)
        return caller


def token_in(headers: Mapping[str, str]) -> str:
    """Raises Problem."""
    told = headers.get("authorization", "")
    if told[: len(BEARER)].lower() != BEARER:
        raise refusal("Authorization: Bearer KEY is needed")
    return told[len(BEARER) :].strip()


def refuse_foreign_network(caller: Caller, address: str) -> None:
    """Raises Problem."""
    networks = caller.key.networks
    if not networks:
        return
    try:
        host = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        host = None
    if isinstance(host, ipaddress.IPv6Address) and host.ipv4_mapped:
        host = host.ipv4_mapped
    if host is None or not any(host in ipaddress.ip_network(each) for each in networks):
        raise Problem(403, DoorCode.FORBIDDEN, "the key does not allow calls from this address")


def refuse_without(scope: str, caller: Caller) -> None:
    """Raises Problem."""
    if scope not in caller.scopes:
        raise Problem(403, DoorCode.FORBIDDEN, f"the key lacks the scope {scope}")


def refusal(detail: str) -> Problem:
    return Problem(401, DoorCode.UNAUTHENTICATED, detail, headers=CHALLENGE)
