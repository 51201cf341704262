"""API keys: shown once, listed without themselves, replaced with an overlap, and revoked."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contraflow.requests.scopes import ROLES
from contraflow.requests.tokens import hash_of


def test_a_key_is_shown_once_and_kept_as_a_hash(shell: Any, database: Any) -> None:
    made = shell("keys", "create", "--name", "shop")
    [listed] = shell("keys", "list")

    assert hash_of(made["key"]) is not None
    assert (listed["id"], listed["name"], listed["status"]) == (made["id"], "shop", "active")
    assert made["key"].startswith(listed["hint"])
    assert made["key"] not in str(listed)
    assert made["key"].encode() not in database.read_bytes()


def test_a_key_is_for_a_mode_scopes_a_merchant_and_networks(shell: Any) -> None:
    shell("keys", "create", "--mode", "live", "--role", "support", "--network", "10.0.0.0/8")
    shell("keys", "create", "--scope", "events:read", "--merchant", "berlin", "--expires", "24h")
    live, small = shell("keys", "list")

    assert (live["mode"], live["networks"]) == ("live", ["10.0.0.0/8"])
    assert live["scopes"] == [str(scope) for scope in ROLES["support"]]
    assert (small["scopes"], small["merchant"]) == (["events:read"], "berlin")
    assert small["expires_at"] is not None


def test_a_key_may_demand_signatures(shell: Any) -> None:
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    text = base64.b64encode(public).decode()
    by_secret = shell("keys", "create", "--sign", "hmac-sha256")
    by_pair = shell("keys", "create", "--sign", f"ed25519:{text}")

    assert len(base64.b64decode(by_secret["signing_secret"])) == 32
    assert by_pair["signing_secret"] is None
    assert [key["signature"] for key in shell("keys", "list")] == ["hmac-sha256", "ed25519"]


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--mode", "real"), "mode"),
        (("--role", "king"), "role"),
        (("--scope", "money:print"), "scope"),
        (("--network", "10.0.0.1/8"), "network"),
        (("--expires", "soon"), "expires"),
        (("--merchant", "a/b"), "merchant"),
        (("--sign", "none"), "sign"),
        (("--sign", "ed25519:AAAA"), "sign"),
        (("--sign", "ed25519:" + base64.b64encode(bytes(32)).decode()), "sign"),
        (("--sign", "rsa:" + base64.b64encode(bytes(32)).decode()), "sign"),
    ],
)
def test_a_key_that_cannot_be_is_refused_by_name(
    shell: Any, words: tuple[str, ...], field: str
) -> None:
    refused = shell("keys", "create", *words, code=2)

    assert refused["error"]["detail"].startswith(f"{field}: ")


def test_a_key_is_replaced_with_an_overlap(shell: Any) -> None:
    old = shell("keys", "create", "--role", "read", "--sign", "hmac-sha256")
    fresh = shell("keys", "rotate", old["id"], "--overlap", "1h")
    first, second = shell("keys", "list")

    assert fresh["id"] != old["id"]
    assert fresh["key"] != old["key"]
    assert fresh["signing_secret"] != old["signing_secret"]
    assert (first["status"], second["status"]) == ("active", "active")
    assert first["expires_at"] is not None
    assert second["expires_at"] is None
    assert second["scopes"] == first["scopes"]


def test_a_revoked_key_stays_revoked(shell: Any) -> None:
    made = shell("keys", "create")
    first = shell("keys", "revoke", made["id"])
    again = shell("keys", "revoke", made["id"])

    assert first["status"] == again["status"] == "revoked"
    assert first["revoked_at"] == again["revoked_at"]
    assert shell("keys", "revoke", "key_none", code=2)["error"]["detail"].startswith("key_id: ")


def test_the_keys_of_another_tenant_are_not_there(shell: Any) -> None:
    made = shell("keys", "create", "--tenant", "other")

    assert shell("keys", "list") == []
    assert shell("keys", "revoke", made["id"], code=2)["error"]["detail"].startswith("key_id: ")
