"""Signs what is told to a merchant, in the form of Standard Webhooks 1.0.0.

The specification is github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

from __future__ import annotations

import base64
import enum
import hmac
import re
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from contraflow.errors import SignatureInvalid

SECRET_BYTES_MIN = 24
SECRET_BYTES_MAX = 64
SEED_BYTES = 32
SECRETS_MAX = 8  # Of one message: the header must stay below what receivers read.
MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")  # A full stop would move the signed parts.
SENT_AT_S_MAX = 253_402_300_799  # The end of the year 9999.
PUBLIC_PREFIX = "whpk_"


class Scheme(enum.StrEnum):
    """By its signature's version: HMAC-SHA256, or Ed25519."""

    SYMMETRIC = "v1"
    ASYMMETRIC = "v1a"


PREFIXES = {Scheme.SYMMETRIC: "whsec_", Scheme.ASYMMETRIC: "whsk_"}


class WebhookSecret(Struct, frozen=True):
    """What one endpoint's messages are signed with; it does not print."""

    scheme: Scheme
    material: bytes  # A secret of 24 to 64 bytes, or the seed of RFC 8032.

    def __post_init__(self) -> None:
        match self.scheme:
            case Scheme.SYMMETRIC:
                assert SECRET_BYTES_MIN <= len(self.material) <= SECRET_BYTES_MAX
            case Scheme.ASYMMETRIC:
                assert len(self.material) == SEED_BYTES

    def __repr__(self) -> str:
        return f"WebhookSecret({self.scheme}, ***)"


def secret_from(seed: bytes) -> WebhookSecret:
    """A secret that both sides know, of 24 to 64 random bytes; raises SignatureInvalid."""
    if not SECRET_BYTES_MIN <= len(seed) <= SECRET_BYTES_MAX:
        raise SignatureInvalid(
            f"webhook secret: {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes are needed"
        )
    return WebhookSecret(Scheme.SYMMETRIC, seed)


def signing_key_from(seed: bytes) -> WebhookSecret:
    """A key whose public half the merchant gets, of 32 random bytes; raises SignatureInvalid."""
    if len(seed) != SEED_BYTES:
        raise SignatureInvalid(f"webhook signing key: {SEED_BYTES} bytes are needed")
    return WebhookSecret(Scheme.ASYMMETRIC, seed)


def parse_secret(text: str) -> WebhookSecret:
    """Raises SignatureInvalid, which does not repeat the text.

    The specification leaves the layout of `whsk_` open: the reference library for Go takes the
    seed, Svix the seed and the public key behind it. Both are taken here.
    """
    if text.startswith(PREFIXES[Scheme.SYMMETRIC]):
        return secret_from(decoded(text.removeprefix(PREFIXES[Scheme.SYMMETRIC])))
    if not text.startswith(PREFIXES[Scheme.ASYMMETRIC]):
        raise SignatureInvalid("webhook secret: it begins with whsec_ or whsk_")
    material = decoded(text.removeprefix(PREFIXES[Scheme.ASYMMETRIC]))
    key = signing_key_from(material[:SEED_BYTES])
    if material[SEED_BYTES:] not in (b"", public_bytes_of(key)):
        raise SignatureInvalid("webhook signing key: the public half is another key's")
    return key


def text_of(secret: WebhookSecret) -> str:
    """To be shown once, to the merchant or the operator; `parse_secret` reads it."""
    return PREFIXES[secret.scheme] + encoded(secret.material)


def public_key_of(secret: WebhookSecret) -> str:
    """What a merchant verifies `v1a` with; raises SignatureInvalid for a symmetric secret."""
    if secret.scheme is not Scheme.ASYMMETRIC:
        raise SignatureInvalid("webhook secret: only a signing key has a public half")
    return PUBLIC_PREFIX + encoded(public_bytes_of(secret))


def headers_for(
    secrets: Sequence[WebhookSecret], *, message_id: str, sent_at_s: int, body: bytes
) -> dict[str, str]:
    """The three headers of one attempt, with a signature of each secret, in their order.

    The id stays the same when an event is sent again, and `sent_at_s` (Unix time) does not.
    While a secret is rotated the old one signs too.
    """
    assert 1 <= len(secrets) <= SECRETS_MAX
    assert MESSAGE_ID.fullmatch(message_id)
    assert 0 <= sent_at_s <= SENT_AT_S_MAX
    signed = b".".join((message_id.encode(), str(sent_at_s).encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at_s),
        "webhook-signature": " ".join(signature_of(signed, secret) for secret in secrets),
    }


def signature_of(signed: bytes, secret: WebhookSecret) -> str:
    match secret.scheme:
        case Scheme.SYMMETRIC:
            signature = hmac.digest(secret.material, signed, "sha256")
        case Scheme.ASYMMETRIC:
            signature = private_key_of(secret).sign(signed)
    return f"{secret.scheme},{encoded(signature)}"


def public_bytes_of(secret: WebhookSecret) -> bytes:
    return private_key_of(secret).public_key().public_bytes_raw()


def private_key_of(secret: WebhookSecret) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(secret.material)


def encoded(material: bytes) -> str:
    return base64.b64encode(material).decode()


def decoded(text: str) -> bytes:
    """Only the one text that these bytes have (RFC 4648 section 3.5)."""
    try:
        material = base64.b64decode(text, validate=True)
    except ValueError:
        material = b""
    if encoded(material) != text:
        raise SignatureInvalid("webhook secret: base64 with its padding is needed (RFC 4648)")
    return material
