"""What the API offers, as values: from them the routes are made, and the description of the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from contraflow.api.caller import Caller
from contraflow.api.prefer import Preference
from contraflow.api.request import Request
from contraflow.domain.commands import Nonce
from contraflow.requests.scopes import Scope

if TYPE_CHECKING:
    from contraflow.api.desk import Desk

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
JSON = "application/json"
VERSION = "2026-11-01"  # Of this API; a breaking change gets another date, and a year's notice.


class NoQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """The address takes no parameters."""


class Answer(Struct, frozen=True):
    status: int
    body: Any = None  # A Struct, or bytes as they are.
    headers: Mapping[str, str] = NO_HEADERS
    media_type: str = JSON


@dataclass(slots=True, kw_only=True)
class Call:
    """One request, read and admitted; who calls is known where the operation needs a scope."""

    request: Request
    path: Mapping[str, str]
    query: Any
    body: Any
    key: str  # Of idempotency, as the client chose it; empty where none is needed.
    preference: Preference
    address: str  # Of the network.
    device: str  # The User-Agent.
    nonce: Nonce | None
    admitted: Caller | None

    @property
    def caller(self) -> Caller:
        assert self.admitted is not None, "the operation needs a scope"
        return self.admitted

    @property
    def tenant(self) -> str:
        return self.caller.owner.tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`answers` are the shapes by status; what may be refused is common to all."""

    name: str
    method: str
    path: str
    act: Callable[[Desk, Call], Awaitable[Answer]]
    about: str  # One sentence.
    scope: Scope | None = None  # None: nobody needs a key.
    body: type | None = None
    query: type[Struct] = NoQuery
    answers: Mapping[int, Any] = field(default_factory=dict)
    is_money: bool = False  # Needs an idempotency key, and a signature where the key demands one.
    takes: Sequence[str] = ()  # Media types of a body that comes in chunks.
    may_wait: bool = False  # Listens to Prefer.
    gives: str = JSON
    refuses: Sequence[int] = ()  # Statuses beyond those that follow from the rest.
    example: Mapping[str, Any] | None = None  # A body that works.
