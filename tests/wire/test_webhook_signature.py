"""What we sign is accepted by the receivers' own verifier, and no change of it is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from contraflow.errors import SignatureInvalid
from contraflow.wire.webhook_signature import (
    SECRETS_MAX,
    WebhookSecret,
    headers_for,
    parse_secret,
    public_key_of,
    secret_from,
    signing_key_from,
    text_of,
)

BODY = b'{"type":"refund.succeeded","data":{"minor":1050}}'
MESSAGE = "msg_1"
SECRET = secret_from(bytes(range(32)))
NEXT_SECRET = secret_from(bytes(range(100, 124)))
KEY = signing_key_from(bytes(range(32)))
NEXT_KEY = signing_key_from(bytes(range(1, 33)))

# Of the reference libraries: all of them sign this message, at this time.
VECTOR = {"message_id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "sent_at_s": 1_614_265_330}
VECTOR_BODY = b'{"test": 2432232314}'


def headers_now(*secrets: WebhookSecret, body: bytes = BODY) -> dict[str, str]:
    """The receivers' library compares with its own clock."""
    return headers_for(secrets, message_id=MESSAGE, sent_at_s=int(time.time()), body=body)


def check_v1a(public: str, headers: dict[str, str], body: bytes) -> None:
    """Verify as a receiver would. Raises InvalidSignature."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    for each in headers["webhook-signature"].split(" "):
        version, _, text = each.partition(",")
        if version == "v1a":
            try:
                return key.verify(base64.b64decode(text), signed)
            except InvalidSignature:
                continue
    raise InvalidSignature


# Vectors


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        pytest.param(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            id="v1 of libraries/javascript",
        ),
        pytest.param(
            "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=",
            "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHe"
            "YGb7KaaBRdM5WqyeFiL8Ag==",
            id="v1a of libraries/go",
        ),
        pytest.param(
            "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dR"
            "qSKJp4AJ6p9lMicMFs6Kvg==",
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZ"
            "dpXwVLPo3mNl8EM+m7TBAg==",
            id="v1a of the specification and of Svix",
        ),
    ],
)
def test_a_published_vector_is_signed_alike(secret: str, expected: str) -> None:
    headers = headers_for([parse_secret(secret)], body=VECTOR_BODY, **VECTOR)  # type: ignore[arg-type]

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": expected,
    }


def test_the_public_half_is_the_published_one() -> None:
    key = parse_secret(
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9l"
        "MicMFs6Kvg=="
    )

    assert public_key_of(key) == "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def test_the_symmetric_signature_is_the_one_of_rfc_2104() -> None:
    headers = headers_for([SECRET], message_id=MESSAGE, sent_at_s=7, body=BODY)

    expected = hmac.new(bytes(range(32)), b"msg_1.7." + BODY, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()


# The receivers' verifier


@settings(max_examples=50, deadline=None)
@given(seed=st.binary(min_size=24, max_size=64), body=st.text(st.characters(codec="utf-8")))
def test_the_library_accepts_every_symmetric_signature(seed: bytes, body: str) -> None:
    secret = secret_from(seed)

    headers = headers_now(secret, body=body.encode())

    Webhook(text_of(secret)).verify(body, headers, json_parse=False)


@pytest.mark.parametrize("secret", [SECRET, NEXT_SECRET], ids=["old", "new"])
def test_while_a_secret_is_rotated_both_are_accepted(secret: WebhookSecret) -> None:
    headers = headers_now(SECRET, KEY, NEXT_SECRET)

    Webhook(text_of(secret)).verify(BODY, headers)


@pytest.mark.parametrize("key", [KEY, NEXT_KEY], ids=["old", "new"])
def test_while_a_key_is_rotated_both_are_accepted(key: WebhookSecret) -> None:
    headers = headers_now(KEY, SECRET, NEXT_KEY)

    check_v1a(public_key_of(key), headers, BODY)


def test_another_secret_is_refused() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(text_of(NEXT_SECRET)).verify(BODY, headers_now(SECRET))


def test_another_key_is_refused() -> None:
    with pytest.raises(InvalidSignature):
        check_v1a(public_key_of(NEXT_KEY), headers_now(KEY), BODY)


def verified_v1(headers: dict[str, str], body: bytes) -> None:
    Webhook(text_of(SECRET)).verify(body, headers, json_parse=False)


def verified_v1a(headers: dict[str, str], body: bytes) -> None:
    check_v1a(public_key_of(KEY), headers, body)


VERIFIERS = pytest.mark.parametrize(
    ("secret", "verified"), [(SECRET, verified_v1), (KEY, verified_v1a)], ids=["v1", "v1a"]
)
Verified = Callable[[dict[str, str], bytes], None]


@VERIFIERS
def test_each_changed_byte_of_the_body_is_noticed(
    secret: WebhookSecret, verified: Verified
) -> None:
    headers = headers_now(secret)
    verified(headers, BODY)

    for place in range(len(BODY)):
        changed = BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :]
        with pytest.raises((WebhookVerificationError, InvalidSignature)):
            verified(headers, changed)


@VERIFIERS
@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_each_changed_byte_of_a_signed_header_is_noticed(
    secret: WebhookSecret, verified: Verified, name: str
) -> None:
    headers = headers_now(secret)

    for place, character in enumerate(headers[name]):
        other = chr(ord(character) ^ 1)
        changed = headers[name][:place] + other + headers[name][place + 1 :]
        with pytest.raises((WebhookVerificationError, InvalidSignature)):
            verified(headers | {name: changed}, BODY)


@VERIFIERS
def test_each_changed_byte_of_the_signature_is_noticed(
    secret: WebhookSecret, verified: Verified
) -> None:
    headers = headers_now(secret)
    version, _, text = headers["webhook-signature"].partition(",")
    signature = base64.b64decode(text)

    for place in range(len(signature)):
        changed = bytearray(signature)
        changed[place] ^= 1
        written = f"{version},{base64.b64encode(changed).decode()}"
        with pytest.raises((WebhookVerificationError, InvalidSignature)):
            verified(headers | {"webhook-signature": written}, BODY)


# Secrets


@pytest.mark.parametrize("secret", [SECRET, NEXT_SECRET, KEY], ids=str)
def test_a_secret_is_read_back_from_its_text(secret: WebhookSecret) -> None:
    assert parse_secret(text_of(secret)) == secret


@pytest.mark.parametrize(("secret", "prefix"), [(SECRET, "whsec_"), (KEY, "whsk_")], ids=str)
def test_a_secret_says_what_it_is(secret: WebhookSecret, prefix: str) -> None:
    assert text_of(secret).startswith(prefix)


def base64_of(count: int) -> str:
    return base64.b64encode(bytes(range(count))).decode()


MALFORMED = {
    "nothing": "",
    "no prefix": base64_of(32),
    "a prefix only": "whsec_",
    "a key's prefix only": "whsk_",
    "another prefix": "whpk_" + base64_of(32),
    "a prefix in capitals": "WHSEC_" + base64_of(32),
    "a blank before it": " whsec_" + base64_of(32),
    "a line end behind it": "whsec_" + base64_of(32) + "\n",
    "no base64": "whsec_" + "*" * 44,
    "base64 for URLs": "whsec_" + "-_-_" * 8,
    "no padding": "whsec_" + base64_of(32).rstrip("="),
    "bits behind the last byte": "whsec_" + base64_of(32)[:-2] + "9=",
    "one byte too short": "whsec_" + base64_of(23),
    "one byte too long": "whsec_" + base64_of(65),
    "a key of 31 bytes": "whsk_" + base64_of(31),
    "a key of 33 bytes": "whsk_" + base64_of(33),
    "another key's public half": "whsk_" + base64_of(64),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_secret_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(SignatureInvalid) as raised:
        parse_secret(text)

    assert len(text) < 8 or text[6:] not in str(raised.value)


@pytest.mark.parametrize("count", [0, 23, 65])
def test_a_secret_is_made_of_enough_bytes(count: int) -> None:
    with pytest.raises(SignatureInvalid):
        secret_from(bytes(count))


@pytest.mark.parametrize("count", [0, 31, 33, 64])
def test_a_key_is_made_of_one_seed(count: int) -> None:
    with pytest.raises(SignatureInvalid):
        signing_key_from(bytes(count))


def test_a_symmetric_secret_has_no_public_half() -> None:
    with pytest.raises(SignatureInvalid):
        public_key_of(SECRET)


@pytest.mark.parametrize("secret", [SECRET, KEY], ids=str)
def test_a_secret_does_not_print(secret: WebhookSecret) -> None:
    shown = f"{secret} {secret!r} {[secret]} {secret:}"

    for spoken in (text_of(secret)[6:], secret.material.hex(), repr(secret.material)):
        assert spoken not in shown


# Promises of the caller


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\n", "ä", "a" * 129])
def test_an_id_cannot_move_the_signed_parts(message_id: str) -> None:
    with pytest.raises(AssertionError):
        headers_for([SECRET], message_id=message_id, sent_at_s=1, body=BODY)


@pytest.mark.parametrize("count", [0, SECRETS_MAX + 1])
def test_a_message_has_at_least_one_signature_and_not_too_many(count: int) -> None:
    with pytest.raises(AssertionError):
        headers_for([SECRET] * count, message_id=MESSAGE, sent_at_s=1, body=BODY)
