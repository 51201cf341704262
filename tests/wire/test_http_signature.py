"""A signed request is accepted in one form only, and no change of it passes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    MappingKeyResolver,
    algorithms,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from contraflow.errors import SignatureInvalid
from contraflow.wire.http_signature import (
    COVERED,
    SMALL_ORDER,
    UNFIT,
    Algorithm,
    Signed,
    SignedRequest,
    Verifier,
    authority_of,
    base_of,
    check_digest,
    check_signature,
    claim_of,
    fields_of,
    is_public_key,
    verify,
)

SCRIPTS = Path(__file__).parents[2] / "scripts"
NOW_S = 1_790_000_000
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
SECRET = bytes(range(32, 64))
ED25519 = Verifier(key_id="k-1", algorithm=Algorithm.ED25519, material=PUBLIC)
HMAC = Verifier(key_id="k-1", algorithm=Algorithm.HMAC_SHA256, material=SECRET)
VERIFIERS = pytest.mark.parametrize("verifier", [ED25519, HMAC], ids=lambda one: one.algorithm)

BODY = b'{"payment":"p_1","amount":{"minor":1250,"currency":"EUR"}}'
DIGEST = "sha-256=:ClQVud1+Y8tg4HzN6RnN4ujdSgxTLBvRjdnUa7uijmY=:"
COMPONENTS = " ".join(f'"{name}"' for name in COVERED)
PARAMETERS = f';created={NOW_S};nonce="0123456789abcdef";keyid="k-1"'
REQUEST = SignedRequest(
    method="POST",
    authority="refunds.example",
    path="/v1/refunds",
    query="dry=0",
    headers=(("content-digest", DIGEST), ("idempotency-key", "order-77")),
    body=BODY,
)


def mac_or_signature(verifier: Verifier, base: bytes) -> bytes:
    if verifier.algorithm == Algorithm.ED25519:
        return PRIVATE.sign(base)
    return hmac.digest(SECRET, base, "sha256")


def signed(
    request: SignedRequest = REQUEST,
    *,
    verifier: Verifier = HMAC,
    components: str = COMPONENTS,
    parameters: str = PARAMETERS,
    label: str = "sig1",
    forged: bytes | None = None,
) -> SignedRequest:
    """As section 2.5 says, by hand: whatever is refused then is refused by its own rule."""
    known = {
        "@method": request.method,
        "@authority": request.authority,
        "@path": request.path,
        "@query": f"?{request.query}",
        "@target-uri": f"https://{request.authority}{request.path}?{request.query}",
        **dict(request.headers),
    }
    lines = [f"{name}: {known.get(name.strip(chr(34)), '')}" for name in components.split(" ")]
    base = "\n".join((*lines, f'"@signature-params": ({components}){parameters}'))
    raw = mac_or_signature(verifier, base.encode()) if forged is None else forged
    return with_headers(
        request,
        ("signature-input", f"{label}=({components}){parameters}"),
        ("signature", f"{label}=:{base64.b64encode(raw).decode()}:"),
    )


def with_headers(request: SignedRequest, *more: tuple[str, str]) -> SignedRequest:
    return replace(request, headers=(*request.headers, *more))


def with_header(request: SignedRequest, name: str, value: str) -> SignedRequest:
    pairs = ((one, value if one == name else old) for one, old in request.headers)
    return replace(request, headers=tuple(pairs))


def header(request: SignedRequest, name: str) -> str:
    return dict(request.headers)[name]


def refusal_of(request: SignedRequest, verifier: Verifier = HMAC) -> str:
    with pytest.raises(SignatureInvalid) as refused:
        verify(request, verifier, now_s=NOW_S)
    return str(refused.value)


# What is accepted


@VERIFIERS
def test_a_signed_request_is_accepted_and_tells_what_a_nonce_is_remembered_by(
    verifier: Verifier,
) -> None:
    base = (
        '"@method": POST\n'
        '"@authority": refunds.example\n'
        '"@path": /v1/refunds\n'
        '"@query": ?dry=0\n'
        f'"content-digest": {DIGEST}\n'
        '"idempotency-key": order-77\n'
        '"@signature-params": ("@method" "@authority" "@path" "@query" "content-digest" '
        '"idempotency-key");created=1790000000;nonce="0123456789abcdef";keyid="k-1"'
    )
    expected = Signed(
        nonce="0123456789abcdef",
        created_s=NOW_S,
        digest=hashlib.sha256(base.encode()).digest(),
    )

    assert verify(signed(verifier=verifier), verifier, now_s=NOW_S) == expected


@pytest.mark.parametrize(
    ("verifier", "golden"),
    [
        (
            ED25519,
            "Feg0YwSl9+FUeeOmNw4frMuNS7hf/tnyeesyHyahCNA3JOFiXGGJoxxL/8P7rrE20kVaZsMybamGrUrgxDWCDw==",
        ),
        (HMAC, "DpOvxv4amGuXWtBSzz2ExbzMmbexB0pXueMF0o8LFgc="),
    ],
    ids=lambda one: getattr(one, "algorithm", ""),
)
def test_a_signature_of_long_ago_still_fits(verifier: Verifier, golden: str) -> None:
    request = signed(forged=base64.b64decode(golden))

    assert verify(request, verifier, now_s=NOW_S).created_s == NOW_S


# RFC 9421, appendix B: the request, two keys, and what they signed.
RFC_REQUEST = SignedRequest(
    method="POST",
    authority="example.com",
    path="/foo",
    query="param=Value&Pet=dog",
    headers=(
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-type", "application/json"),
        (
            "content-digest",
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmT"
            "HWXvJwew==:",
        ),
        ("content-length", "18"),
    ),
    body=b'{"hello": "world"}',
)
RFC_ED25519 = Verifier(
    key_id="test-key-ed25519",
    algorithm=Algorithm.ED25519,
    material=base64.b64decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="),
)
RFC_HMAC = Verifier(
    key_id="test-shared-secret",
    algorithm=Algorithm.HMAC_SHA256,
    material=base64.b64decode(
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
    ),
)


@pytest.mark.parametrize(
    ("verifier", "claimed", "given"),
    [
        (
            RFC_HMAC,
            'sig-b25=("date" "@authority" "content-type");created=1618884473;'
            'keyid="test-shared-secret"',
            "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
        ),
        (
            RFC_ED25519,
            'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");'
            'created=1618884473;keyid="test-key-ed25519"',
            "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5W"
            "PpBKRCw==:",
        ),
    ],
    ids=["B.2.5", "B.2.6"],
)
def test_the_examples_of_the_rfc_fit(verifier: Verifier, claimed: str, given: str) -> None:
    request = with_headers(RFC_REQUEST, ("signature-input", claimed), ("signature", given))
    fields = fields_of(request.headers)
    claim = claim_of(fields)

    check_signature(base_of(request, fields, claim), claim.signature, verifier)
    check_digest(header(request, "content-digest"), request.body)
    assert refusal_of(request, verifier).startswith("signature-input: must cover")


@VERIFIERS
@pytest.mark.parametrize("query", ["", "a=%2F&b"])
@pytest.mark.parametrize(
    "more",
    [{}, {"include_alg": False}, {"tag": "contraflow", "label": "sig1"}],
    ids=["plain", "without alg", "with tag"],
)
def test_what_the_library_signs_is_accepted(
    verifier: Verifier, query: str, more: dict[str, Any]
) -> None:
    message = message_of(replace(REQUEST, query=query, headers=(("idempotency-key", "order-77"),)))
    library(HTTPMessageSigner, verifier).sign(
        message,
        key_id="k-1",
        created=datetime.fromtimestamp(NOW_S, UTC),
        expires=datetime.fromtimestamp(NOW_S + 60, UTC),
        nonce="0123456789abcdef",
        covered_component_ids=COVERED,
        body=BODY,
        **more,
    )
    headers = tuple((name.lower(), value) for name, value in message.headers.items())
    request = replace(REQUEST, query=query, headers=headers)

    assert verify(request, verifier, now_s=NOW_S).nonce == "0123456789abcdef"


@VERIFIERS
def test_what_is_signed_by_hand_is_accepted_by_the_library(verifier: Verifier) -> None:
    message = message_of(signed(verifier=verifier))
    verified = library(HTTPMessageVerifier, verifier).verify(
        message, max_age=None, require_components=COVERED, body=BODY
    )

    assert [one.nonce for one in verified] == ["0123456789abcdef"]


def message_of(request: SignedRequest) -> SimpleNamespace:
    query = f"?{request.query}" if request.query else ""
    return SimpleNamespace(
        method=request.method,
        url=f"https://{request.authority}{request.path}{query}",
        headers=dict(request.headers),
    )


def library(kind: Any, verifier: Verifier) -> Any:
    private, public, algorithm = SECRET, SECRET, algorithms.HMAC_SHA256
    if verifier.algorithm == Algorithm.ED25519:
        private, public, algorithm = PRIVATE, PRIVATE.public_key(), algorithms.ED25519
    keys = MappingKeyResolver(public_keys={"k-1": public}, private_keys={"k-1": private})
    return kind(signature_algorithm=algorithm, key_resolver=keys)


@pytest.mark.parametrize(
    "request_",
    [
        signed(
            with_headers(REQUEST, ("date", "Tue, 20 Apr 2021")), components=f'"date" {COMPONENTS}'
        ),
        signed(with_headers(REQUEST, ("x-empty", "")), components=f'{COMPONENTS} "x-empty"'),
        signed(parameters=f';tag="a;b=1, c=("{PARAMETERS}'),
        signed(parameters=f'{PARAMETERS};expires={NOW_S};alg="hmac-sha256"'),
        signed(with_header(REQUEST, "content-digest", f"md5=:AAAA:, {DIGEST}")),
        signed(replace(REQUEST, authority="[::1]:8080")),
        with_headers(signed(), ("x-forwarded-for", "a"), ("x-forwarded-for", "b")),
    ],
    ids=["another field", "an empty one", "a tag", "the last second", "md5 too", "port", "others"],
)
def test_what_is_allowed_may_be_there(request_: SignedRequest) -> None:
    assert verify(request_, HMAC, now_s=NOW_S).created_s == NOW_S


@pytest.mark.parametrize("off_s", [-300, -299, 0, 299, 300])
def test_a_clock_may_be_five_minutes_off(off_s: int) -> None:
    assert verify(signed(), HMAC, now_s=NOW_S + off_s).created_s == NOW_S


@pytest.mark.parametrize("off_s", [-10_000, -301, 301, 86_400])
def test_a_clock_that_is_further_off_is_refused(off_s: int) -> None:
    with pytest.raises(SignatureInvalid, match="created: is more than 300 s away"):
        verify(signed(), HMAC, now_s=NOW_S + off_s)


@pytest.mark.parametrize(
    ("host", "scheme", "expected"),
    [
        ("API.Example", "https", "api.example"),
        ("api.example:443", "https", "api.example"),
        ("api.example:80", "http", "api.example"),
        ("api.example:443", "http", "api.example:443"),
        ("[::1]:443", "https", "[::1]"),
        ("\u212a.example", "https", "\u212a.example"),
    ],
)
def test_an_authority_is_normalised_as_it_is_signed(host: str, scheme: str, expected: str) -> None:
    assert authority_of(host, scheme=scheme) == expected


def test_a_verifier_does_not_print_its_key() -> None:
    assert repr(HMAC) == "Verifier('k-1', hmac-sha256, ***)"
    assert str(HMAC) == repr(HMAC)


@pytest.mark.parametrize(
    ("algorithm", "material"),
    [(Algorithm.ED25519, bytes(31)), (Algorithm.HMAC_SHA256, bytes(31))],
)
def test_a_short_key_is_no_key(algorithm: Algorithm, material: bytes) -> None:
    with pytest.raises(AssertionError):
        Verifier(key_id="k-1", algorithm=algorithm, material=material)


# What is refused, in the order of the checks; signed rightly wherever the rule allows it.

INPUT = header(signed(), "signature-input")
GIVEN = header(signed(), "signature")
ONE = "signature-input: one signature is needed"
LABEL = "signature: one is needed, with the label of signature-input"
DICTIONARY = "content-digest: a dictionary is needed"


def without(name: str) -> SignedRequest:
    return replace(signed(), headers=tuple(one for one in signed().headers if one[0] != name))


def with_digest(value: str) -> SignedRequest:
    return signed(with_header(REQUEST, "content-digest", value))


def with_parameters(old: str, new: str) -> SignedRequest:
    assert old in PARAMETERS
    return signed(parameters=PARAMETERS.replace(old, new))


def with_unused_bit(text: str) -> str:
    """The last character of 32 bytes carries two bits that belong to none."""
    changed_text = text[:-3] + chr(ord(text[-3]) + 1) + text[-2:]
    assert base64.b64decode(changed_text[6:-1]) == base64.b64decode(text[6:-1])
    return changed_text


REFUSALS: Sequence[tuple[str, SignedRequest]] = [
    ("signature-input: is missing", REQUEST),
    ("signature: is missing", without("signature")),
    (
        "signature-input: is there more than once",
        with_headers(signed(), ("signature-input", INPUT)),
    ),
    ("signature: is there more than once", with_headers(signed(), ("signature", GIVEN))),
    ("signature-input: at most 2048", signed(parameters=f'{PARAMETERS};tag="{"x" * 2048}"')),
    ("signature-input: at most", with_header(signed(), "signature-input", INPUT + " ")),
    ("signature: at most 256", with_header(signed(), "signature", GIVEN + "x" * 256)),
    # Two labels, or none.
    (ONE, with_header(signed(), "signature-input", f"{INPUT}, sig2{INPUT[4:]}")),
    (LABEL, with_header(signed(), "signature", f"{GIVEN}, sig2{GIVEN[4:]}")),
    (LABEL, with_header(signed(), "signature", f"sig2{GIVEN[4:]}")),
    (ONE, with_header(signed(), "signature-input", INPUT[5:])),
    (ONE, signed(label="Sig1")),
    # Other forms of the same.
    (ONE, with_header(signed(), "signature-input", INPUT.replace(" ", "  "))),
    (ONE, with_header(signed(), "signature-input", INPUT.replace(";", "; "))),
    (ONE, with_header(signed(), "signature-input", INPUT.replace("(", "( "))),
    (ONE, with_header(signed(), "signature-input", INPUT.replace(")", " )"))),
    (ONE, with_header(signed(), "signature-input", INPUT.replace("created=", "created=0"))),
    (ONE, with_header(signed(), "signature-input", INPUT.replace('"k-1"', '"k\\-1"'))),
    (LABEL, with_header(signed(), "signature", GIVEN + ";x")),
    (LABEL, with_header(signed(), "signature", GIVEN[:-1] + "_:")),
    ("signature: base64", with_header(signed(), "signature", GIVEN[:-2] + ":")),
    ("signature: base64", with_header(signed(), "signature", GIVEN[:-1] + "=:")),
    ("signature: base64", with_header(signed(), "signature", with_unused_bit(GIVEN))),
    # Components.
    (ONE, signed(components="", parameters=PARAMETERS)),
    *(
        (
            ONE,
            signed(components=COMPONENTS.replace('"idempotency-key"', f'"idempotency-key"{more}')),
        )
        for more in (";sf", ";bs", ";req", ";tr", ';key="a"')
    ),
    (ONE, signed(components=COMPONENTS.replace("idempotency-key", "Idempotency-Key"))),
    *(
        (
            f"signature-input: must cover {name}",
            signed(components=" ".join(f'"{one}"' for one in COVERED if one != name)),
        )
        for name in COVERED
    ),
    (
        "signature-input: a component is there more than once",
        signed(components=f'{COMPONENTS} "@path"'),
    ),
    (
        "signature-input: at most 16 components",
        signed(components=COMPONENTS + "".join(f' "x-{at}"' for at in range(11))),
    ),
    ("@target-uri: cannot be covered", signed(components=f'{COMPONENTS} "@target-uri"')),
    (
        "@signature-params: cannot be covered",
        signed(components=f'{COMPONENTS} "@signature-params"'),
    ),
    # Parameters.
    ("created: the parameter is missing", with_parameters(f";created={NOW_S}", "")),
    ("nonce: the parameter is missing", with_parameters(';nonce="0123456789abcdef"', "")),
    ("keyid: the parameter is missing", with_parameters(';keyid="k-1"', "")),
    ("keyid: is not the id", with_parameters("k-1", "k-2")),
    ("created: the parameter has another type", with_parameters(str(NOW_S), f'"{NOW_S}"')),
    ("nonce: the parameter has another type", with_parameters('"0123456789abcdef"', "123")),
    (ONE, with_parameters(str(NOW_S), f"-{NOW_S}")),
    (ONE, with_parameters(str(NOW_S), f"{NOW_S}.0")),
    (ONE, with_parameters(str(NOW_S), "1" * 16)),
    ("nonce: 16 to 128 characters", with_parameters("0123456789abcdef", "0123456789abcde")),
    ("nonce: 16 to 128 characters", with_parameters("0123456789abcdef", "0" * 129)),
    ("nonce: 16 to 128 characters", with_parameters("0123456789abcdef", "0123456789 abcdef")),
    (
        "signature-input: a parameter is there more",
        signed(parameters=f"{PARAMETERS};created={NOW_S}"),
    ),
    ("signature-input: the parameter x is not known", signed(parameters=f'{PARAMETERS};x="1"')),
    ("expires: has passed", signed(parameters=f"{PARAMETERS};expires={NOW_S - 1}")),
    ("alg: is not the algorithm", signed(parameters=f'{PARAMETERS};alg="none"')),
    ("alg: is not the algorithm", signed(parameters=f'{PARAMETERS};alg="ed25519"')),
    ("alg: is not the algorithm", signed(parameters=f'{PARAMETERS};alg=""')),
    # The request.
    ("@method: the request has no form", signed(replace(REQUEST, method="post"))),
    ("@authority: the request has no form", signed(replace(REQUEST, authority="Refunds.example"))),
    ("@path: the request has no form", signed(replace(REQUEST, path="v1/refunds"))),
    ("@path: the request has no form", signed(replace(REQUEST, path="/v1/refunds?dry=0"))),
    ("@path: the request has no form", signed(replace(REQUEST, path='/v1\n"@query": ?'))),
    ("@path: the request has no form", signed(replace(REQUEST, path="/" + "x" * 4096))),
    ("@query: the request has no form", signed(replace(REQUEST, query="a b"))),
    ("idempotency-key: is missing", signed(replace(REQUEST, headers=REQUEST.headers[:1]))),
    (
        "idempotency-key: is there more than once",
        signed(with_headers(REQUEST, ("idempotency-key", "x"))),
    ),
    ("idempotency-key: at most", signed(with_header(REQUEST, "idempotency-key", "order-77 "))),
    ("idempotency-key: at most", signed(with_header(REQUEST, "idempotency-key", "order\u201077"))),
    ("idempotency-key: at most 4096", signed(with_header(REQUEST, "idempotency-key", "x" * 4097))),
    (
        "content-digest: is there more than once",
        signed(with_headers(REQUEST, ("content-digest", DIGEST))),
    ),
    # The signature.
    (UNFIT, signed(forged=bytes(32))),
    (UNFIT, signed(forged=bytes(64))),
    (UNFIT, signed(forged=b"x")),
    (UNFIT, with_header(signed(), "idempotency-key", "order-78")),
    # The body.
    ("content-digest: is not that of the body", replace(signed(), body=BODY + b"\n")),
    ("content-digest: is not that of the body", replace(signed(), body=b"")),
    ("content-digest: is not that of the body", with_digest(DIGEST.replace("Y=:", "Y==:"))),
    ("content-digest: is not that of the body", with_digest(DIGEST.replace("mY=", "mZ="))),
    ("content-digest: is not that of the body", with_digest(f"{DIGEST}, sha-512=:AAAA:")),
    ("content-digest: sha-256 or sha-512 is needed", with_digest("md5=:AAAA:")),
    (DICTIONARY, with_digest(f"{DIGEST},sha-512=:AAAA:")),
    ("content-digest: a digest is there more than once", with_digest(f"{DIGEST}, {DIGEST}")),
    (DICTIONARY, with_digest(f"{DIGEST};x")),
    (DICTIONARY, with_digest("")),
    (DICTIONARY, with_digest(DIGEST.replace("sha", "SHA"))),
]


@pytest.mark.parametrize(("reason", "request_"), REFUSALS, ids=[reason for reason, _ in REFUSALS])
def test_what_is_not_as_it_must_be_is_refused(reason: str, request_: SignedRequest) -> None:
    said = refusal_of(request_)

    assert said.startswith(reason)


# Confusion of algorithms


@pytest.mark.parametrize(
    ("alg", "reason"),
    [
        ("", UNFIT),
        (';alg="ed25519"', UNFIT),
        (';alg="hmac-sha256"', "alg: is not the algorithm"),
        (';alg="none"', "alg: is not the algorithm"),
    ],
)
def test_a_public_key_is_no_secret(alg: str, reason: str) -> None:
    parameters = PARAMETERS + alg
    mac = hmac.digest(PUBLIC, base_for(parameters), "sha256")

    assert refusal_of(signed(parameters=parameters, forged=mac), ED25519).startswith(reason)


def test_a_public_key_as_a_secret_would_sign_it_if_the_message_chose() -> None:
    """The forgery above is a good one: under a record that says HMAC it would pass."""
    forged = signed(forged=hmac.digest(PUBLIC, base_for(PARAMETERS), "sha256"))
    confused = Verifier(key_id="k-1", algorithm=Algorithm.HMAC_SHA256, material=PUBLIC)

    assert verify(forged, confused, now_s=NOW_S).created_s == NOW_S
    assert refusal_of(forged, ED25519) == UNFIT


def base_for(parameters: str) -> bytes:
    request = signed(parameters=parameters, forged=b"x")
    fields = fields_of(request.headers)
    return base_of(request, fields, claim_of(fields))


def test_a_signature_of_ed25519_has_no_second_form() -> None:
    """S plus the order of the group is the same scalar (RFC 8032 section 5.1.7)."""
    order = 2**252 + 27742317777372353535851937790883648493
    raw = PRIVATE.sign(base_for(PARAMETERS))
    scalar = int.from_bytes(raw[32:], "little") + order

    assert verify(signed(forged=raw), ED25519, now_s=NOW_S).created_s == NOW_S
    assert refusal_of(signed(forged=raw[:32] + scalar.to_bytes(32, "little")), ED25519) == UNFIT


# Any one change

PARTS = ("method", "authority", "path", "query", "body", *dict(signed().headers))


def changes(text: str) -> st.SearchStrategy[str]:
    at = st.integers(0, len(text) - 1)
    return st.one_of(
        at.map(lambda i: text[:i] + text[i + 1 :]),
        at.map(lambda i: text[:i] + text[i].swapcase() + text[i + 1 :]),
        at.map(lambda i: text[:i] + text[i:][::-1]),
        st.builds(
            lambda i, bit: text[:i] + chr(ord(text[i]) ^ 1 << bit) + text[i + 1 :],
            at,
            st.integers(0, 7),
        ),
        st.builds(lambda i, more: text[:i] + more + text[i:], at, st.text(min_size=1, max_size=3)),
    )


@st.composite
def changed(draw: st.DrawFn, verifier: Verifier) -> SignedRequest:
    request = signed(verifier=verifier)
    part = draw(st.sampled_from(PARTS))
    if part == "body":
        text = draw(changes(request.body.decode()))
        return replace(request, body=text.encode("utf-8", "surrogatepass"))
    if part in ("method", "authority", "path", "query"):
        return replace(request, **{part: draw(changes(getattr(request, part)))})
    return with_header(request, part, draw(changes(header(request, part))))


@VERIFIERS
@settings(max_examples=150, deadline=None)
@given(drawn=st.data())
def test_no_single_change_of_a_part_passes(verifier: Verifier, drawn: st.DataObject) -> None:
    mutant = drawn.draw(changed(verifier))
    assume(mutant != signed(verifier=verifier))

    with pytest.raises(SignatureInvalid):
        verify(mutant, verifier, now_s=NOW_S)


@VERIFIERS
@settings(max_examples=50, deadline=None)
@given(order=st.permutations(COVERED))
def test_no_other_order_of_components_passes(verifier: Verifier, order: list[str]) -> None:
    assume(tuple(order) != COVERED)
    names = " ".join(f'"{name}"' for name in order)
    mutant = with_header(
        signed(verifier=verifier), "signature-input", f"sig1=({names}){PARAMETERS}"
    )

    with pytest.raises(SignatureInvalid):
        verify(mutant, verifier, now_s=NOW_S)


@VERIFIERS
@settings(max_examples=50, deadline=None)
@given(names=st.permutations(list(dict(signed().headers))))
def test_no_exchange_of_values_between_headers_passes(verifier: Verifier, names: list[str]) -> None:
    request = signed(verifier=verifier)
    values = [value for _, value in request.headers]
    mutant = replace(request, headers=tuple(zip(names, values, strict=True)))
    assume(mutant != request)

    with pytest.raises(SignatureInvalid):
        verify(mutant, verifier, now_s=NOW_S)


# The campaign


@pytest.mark.slow
def test_of_twenty_thousand_mutants_none_is_accepted() -> None:
    ran = subprocess.run(
        [sys.executable, SCRIPTS / "mutate_signatures.py", "--count", "20000", "--seed", "7"],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(ran.stdout.splitlines()[-1])

    assert (report["mutants"], report["accepted"]) == (20_000, 0)
    assert report["same"] < 200
    assert report["reached_key"] > 5_000


def lenient_spaces(request: SignedRequest, verifier: Verifier, *, now_s: int) -> Signed:
    headers = tuple((name, value.strip()) for name, value in request.headers)
    return verify(replace(request, headers=headers), verifier, now_s=now_s)


def lenient_base64(request: SignedRequest, verifier: Verifier, *, now_s: int) -> Signed:
    label, _, text = header(request, "signature").partition("=")
    raw = base64.b64decode(text.strip(":") + "==")
    usual = f"{label}=:{base64.b64encode(raw).decode()}:"
    return verify(with_header(request, "signature", usual), verifier, now_s=now_s)


def careless_of_the_body(request: SignedRequest, verifier: Verifier, *, now_s: int) -> Signed:
    try:
        return verify(request, verifier, now_s=now_s)
    except SignatureInvalid as refusal:
        if "is not that of the body" not in str(refusal):
            raise
        return Signed(nonce="", created_s=0, digest=b"")


def believing_the_message(request: SignedRequest, verifier: Verifier, *, now_s: int) -> Signed:
    if 'alg="hmac-sha256"' in header(request, "signature-input"):
        verifier = replace(verifier, algorithm=Algorithm.HMAC_SHA256)
    return verify(request, verifier, now_s=now_s)


@pytest.mark.slow
@pytest.mark.parametrize(
    "careless", [lenient_spaces, lenient_base64, careless_of_the_body, believing_the_message]
)
def test_the_campaign_finds_a_careless_verifier(
    careless: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    campaign = importlib.import_module("mutate_signatures")

    def check(request: SignedRequest, verifier: Verifier, *, now_s: int) -> Signed:
        try:
            return careless(request, verifier, now_s=now_s)
        except (KeyError, ValueError) as error:
            raise SignatureInvalid from error

    tally = campaign.run(7, 0, 20_000, check)

    assert tally.accepted.total() > 0


def constant_signature_fits(material: bytes) -> bool:
    """With S = 0 and a point of small order as R, for a message of many."""
    key = Ed25519PublicKey.from_public_bytes(material)
    for number in range(64):
        for point in sorted(SMALL_ORDER):
            try:
                key.verify(point + bytes(32), b"%d" % number)
            except InvalidSignature:
                continue
            return True
    return False


@pytest.mark.parametrize("point", sorted(SMALL_ORDER), ids=bytes.hex)
def test_a_key_that_everything_fits_is_no_key(point: bytes) -> None:
    negative = point[:-1] + bytes([point[-1] | 0x80])

    assert not is_public_key(point)
    assert not is_public_key(negative)
    assert not is_public_key(point[:-1])


def test_keys_of_small_order_are_dangerous_indeed() -> None:
    """Else the list were of no use; the library takes the canonical ones."""
    assert constant_signature_fits(bytes.fromhex("01" + "00" * 31))
    good = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert is_public_key(good)
    assert not constant_signature_fits(good)
