"""What a key may do: each operation of the API needs one of these."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from contraflow.domain.word import Word


class Scope(Word):
    PAYMENTS_READ = "payments:read"
    PAYMENTS_WRITE = "payments:write"
    REFUNDS_READ = "refunds:read"  # And every other reversal.
    REFUNDS_WRITE = "refunds:write"
    EVENTS_READ = "events:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    METRICS_READ = "metrics:read"


READING = tuple(scope for scope in Scope if scope.endswith(":read"))
ROLES: Mapping[str, tuple[Scope, ...]] = MappingProxyType(
    {
        "all": tuple(Scope),
        "read": READING,
        "shop": (*READING, Scope.PAYMENTS_WRITE, Scope.REFUNDS_WRITE),
        "support": (Scope.PAYMENTS_READ, Scope.REFUNDS_READ, Scope.REFUNDS_WRITE),
    }
)
