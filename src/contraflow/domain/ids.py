"""Names: ids that start with their tenant, and the number of an instruction towards its channel.

A number follows from the request alone: a database restored from an old backup makes the same
number again, and the channel drops the duplicate.
"""

from __future__ import annotations

import base64
import hashlib
import re

DOMAIN = b"contraflow/number/v1"
TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
NAME_MAX = 128
POLICY_PREFIX = "policy:"  # Keys of requests that our own policies make.


def qualified(tenant: str, name: str) -> str:
    assert TENANT.fullmatch(tenant), tenant
    return f"{tenant}/{name}"


def tenant_of(qualified_id: str) -> str:
    return qualified_id.partition("/")[0]


def name_of(qualified_id: str) -> str:
    return qualified_id.partition("/")[2]


def policy_key(payment_id: str, cause: str) -> str:
    """The key of a request that our own policy makes: the same cause asks once."""
    return f"{tenant_of(payment_id)}/{POLICY_PREFIX}{cause}"


def number_for(*, payment_id: str, key: str, leg: int = 0, generation: int = 0) -> str:
    """26 characters of A-Z and 2-7, which every channel can carry.

    Of (payment, client key, leg, generation), each framed by its length; payment and key carry
    the tenant. A new generation needs proof that the old number is dead.
    """
    fields = (payment_id.encode(), key.encode(), b"%d" % leg, b"%d" % generation)
    framed = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    digest = hashlib.sha256(DOMAIN + framed).digest()
    return base64.b32encode(digest[:20])[:26].decode()


def instruction_id_for(*, payment_id: str, key: str, leg: int = 0) -> str:
    """The id of an instruction is its first number, so one word finds it here and there."""
    return f"{tenant_of(payment_id)}/{number_for(payment_id=payment_id, key=key, leg=leg)}"
