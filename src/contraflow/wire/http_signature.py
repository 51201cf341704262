"""Verifies that a request was signed by the holder of a key (RFC 9421, with RFC 9530 digests).

One signature, in the one form that RFC 8941 section 4.1 would write it, over at least `COVERED`.
Whatever means the same but is written otherwise is refused, so signed bytes cannot be changed.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from contraflow.errors import SignatureInvalid

WINDOW_S = 300  # How far `created` may be from our clock, before or behind.
COVERED = ("@method", "@authority", "@path", "@query", "content-digest", "idempotency-key")
PARAMETERS = {"created": int, "expires": int, "nonce": str, "keyid": str, "alg": str, "tag": str}
HASHES = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}

COMPONENTS_MAX = 16
INPUT_CHARACTERS_MAX = 2_048  # Of Signature-Input.
SIGNATURE_CHARACTERS_MAX = 256
FIELD_CHARACTERS_MAX = 4_096  # Of each covered field, of the path and of the query.
SECRET_BYTES_MIN = 32
PUBLIC_KEY_BYTES = 32

# The points of Ed25519 whose order divides 8, in all their encodings but for the sign; RFC 8032
# leaves them to whoever takes keys (section 5.1.7), libraries let them pass.
SMALL_ORDER = frozenset(
    bytes.fromhex(point)
    for point in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)

UNFIT = "signature: does not fit this request and the key"

# The grammar is RFC 8941's, without escapes, and with nothing optional.
KEY = r"[a-z*][a-z0-9_.*-]{0,63}"
BASE64 = r":([A-Za-z0-9+/]+={0,2}):"
NAME = r'"@?[a-z0-9!#$%&\'*+.^_`|~-]{1,64}"'
PARAMETER = re.compile(r';([a-z]+)=("[ !#-\[\]-~]*"|0|[1-9][0-9]{0,14})')
INPUT = re.compile(
    rf"(?P<label>{KEY})="
    rf"(?P<signed>\((?P<names>{NAME}(?: {NAME})*)\)(?P<parameters>(?:{PARAMETER.pattern})*))"
)
MEMBER = re.compile(rf"({KEY})={BASE64}")  # A label and its signature, too.
DIGESTS = re.compile(rf"{MEMBER.pattern}(?:, {MEMBER.pattern})*")
NONCE = re.compile(r"[A-Za-z0-9_\-.~+/=]{16,128}")

# Spaces around a field are refused: we would sign without them, and the next reader may keep them.
FIELD = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
DERIVED = {
    "@method": re.compile(r"[A-Z]{1,16}"),
    "@authority": re.compile(r"[a-z0-9.:\[\]_-]{1,255}"),
    "@path": re.compile(r"/[!\"$->@-~]*"),
    "@query": re.compile(r"\?[!\"$-~]*"),
}


class Algorithm(enum.StrEnum):
    """Of a key, by its record; the names are those of RFC 9421 section 6.2."""

    ED25519 = "ed25519"
    HMAC_SHA256 = "hmac-sha256"


class Verifier(Struct, frozen=True, kw_only=True):
    """What the record of a key knows. The material is a public key, or a secret; never a text."""

    key_id: str
    algorithm: Algorithm
    material: bytes

    def __post_init__(self) -> None:
        match self.algorithm:
            case Algorithm.ED25519:
                assert len(self.material) == PUBLIC_KEY_BYTES, "the raw key of RFC 8032"
            case Algorithm.HMAC_SHA256:
                assert len(self.material) >= SECRET_BYTES_MIN, "a secret that cannot be guessed"

    def __repr__(self) -> str:
        return f"Verifier({self.key_id!r}, {self.algorithm}, ***)"


class SignedRequest(Struct, frozen=True, kw_only=True):
    """A request as it came. Path and query keep their percent-encoding; names are lower case."""

    method: str
    authority: str  # By `authority_of`.
    path: str
    query: str  # Without the question mark; empty where there is none.
    headers: Sequence[tuple[str, str]]
    body: bytes


class Signed(Struct, frozen=True, kw_only=True):
    """What is left to check: that the nonce was never seen with another digest."""

    nonce: str
    created_s: int  # Unix time.
    digest: bytes  # SHA-256 of the signature base: equal for the same signed bytes.


class Claim(Struct, frozen=True, kw_only=True):
    """What a request says of its signature."""

    components: Sequence[str]
    parameters: dict[str, str]
    signed: str  # The value of @signature-params.
    signature: bytes


def is_public_key(material: bytes) -> bool:
    """Of Ed25519, and none that a constant signature fits, whatever the message."""
    if len(material) != PUBLIC_KEY_BYTES:
        return False
    without_sign = material[:-1] + bytes([material[-1] & 0x7F])
    return without_sign not in SMALL_ORDER


def authority_of(host: str, *, scheme: str) -> str:
    """The Host header as it is signed: lower case, no default port (RFC 9421 section 2.2.3)."""
    if not host.isascii():
        return host  # Refused later; `lower` would turn a Kelvin sign into a k.
    return host.removesuffix({"http": ":80", "https": ":443"}.get(scheme, "")).lower()


def verify(request: SignedRequest, verifier: Verifier, *, now_s: int) -> Signed:
    """Raises SignatureInvalid; the message names what the client must change."""
    signed = verify_head(request, verifier, now_s=now_s)
    check_digest(field_of(fields_of(request.headers), "content-digest"), request.body)
    return signed


def verify_head(request: SignedRequest, verifier: Verifier, *, now_s: int) -> Signed:
    """All but that the body is the one that was signed: for one that comes in pieces."""
    fields = fields_of(request.headers)
    claim = claim_of(fields)
    check_components(claim.components)
    check_parameters(claim.parameters, verifier, now_s=now_s)
    base = base_of(request, fields, claim)
    check_signature(base, claim.signature, verifier)
    return Signed(
        nonce=claim.parameters["nonce"],
        created_s=int(claim.parameters["created"]),
        digest=hashlib.sha256(base).digest(),
    )


Fields = dict[str, str | None]  # None: there more than once.


def fields_of(headers: Sequence[tuple[str, str]]) -> Fields:
    fields: Fields = {}
    for name, value in headers:
        fields[name] = None if name in fields else value
    return fields


def field_of(fields: Fields, name: str, characters_max: int = FIELD_CHARACTERS_MAX) -> str:
    if name not in fields:
        raise SignatureInvalid(f"{name}: is missing")
    value = fields[name]
    if value is None:
        raise SignatureInvalid(f"{name}: is there more than once")
    if len(value) > characters_max or not FIELD.fullmatch(value):
        raise SignatureInvalid(
            f"{name}: at most {characters_max} printable ASCII characters, no spaces around them"
        )
    return value


def claim_of(fields: Fields) -> Claim:
    """Labels are not signed, so one that could be chosen among several would say nothing."""
    found = INPUT.fullmatch(field_of(fields, "signature-input", INPUT_CHARACTERS_MAX))
    if found is None:
        raise SignatureInvalid(
            "signature-input: one signature is needed, as RFC 8941 section 4.1 writes it, "
            "over components without parameters"
        )
    given = MEMBER.fullmatch(field_of(fields, "signature", SIGNATURE_CHARACTERS_MAX))
    if given is None or given[1] != found["label"]:
        raise SignatureInvalid("signature: one is needed, with the label of signature-input")
    parameters = PARAMETER.findall(found["parameters"])
    if len(dict(parameters)) != len(parameters):
        raise SignatureInvalid("signature-input: a parameter is there more than once")
    return Claim(
        components=[name[1:-1] for name in found["names"].split(" ")],
        parameters={name: parameter_of(name, value) for name, value in parameters},
        signed=found["signed"],
        signature=decoded(given[2]),
    )


def parameter_of(name: str, value: str) -> str:
    """Without its quotes."""
    if name not in PARAMETERS:
        raise SignatureInvalid(f"signature-input: the parameter {name[:64]} is not known here")
    kind = str if value[0] == '"' else int
    if kind is not PARAMETERS[name]:
        raise SignatureInvalid(f"{name}: the parameter has another type")
    return value.strip('"')


def decoded(text: str) -> bytes:
    """Only the one text that these bytes have: bits after the last byte must be zero."""
    try:
        signature = base64.b64decode(text, validate=True)
    except ValueError:
        signature = b""
    if base64.b64encode(signature).decode() != text:
        raise SignatureInvalid("signature: base64 in its canonical form is needed (RFC 4648 3.5)")
    return signature


def check_components(components: Sequence[str]) -> None:
    if len(components) > COMPONENTS_MAX:
        raise SignatureInvalid(f"signature-input: at most {COMPONENTS_MAX} components")
    if len(set(components)) != len(components):
        raise SignatureInvalid("signature-input: a component is there more than once")
    missing = [name for name in COVERED if name not in components]
    if missing:
        raise SignatureInvalid(f"signature-input: must cover {', '.join(missing)}")


def check_parameters(parameters: dict[str, str], verifier: Verifier, *, now_s: int) -> None:
    """The algorithm is the key's; what the message says of it can only be right or wrong."""
    for name in ("created", "nonce", "keyid"):
        if name not in parameters:
            raise SignatureInvalid(f"{name}: the parameter is missing")
    if parameters["keyid"] != verifier.key_id:
        raise SignatureInvalid("keyid: is not the id of the API key")
    if parameters.get("alg", verifier.algorithm) != verifier.algorithm:
        raise SignatureInvalid("alg: is not the algorithm of the API key; it may be left out")
    if not NONCE.fullmatch(parameters["nonce"]):
        raise SignatureInvalid(
            "nonce: 16 to 128 characters of A-Z a-z 0-9 _ - . ~ + / = are needed"
        )
    if abs(now_s - int(parameters["created"])) > WINDOW_S:
        raise SignatureInvalid(f"created: is more than {WINDOW_S} s away from the time here")
    if int(parameters.get("expires", now_s)) < now_s:
        raise SignatureInvalid("expires: has passed")


def base_of(request: SignedRequest, fields: Fields, claim: Claim) -> bytes:
    """The signature base, the bytes that are signed (RFC 9421 section 2.5)."""
    derived = {
        "@method": request.method,
        "@authority": request.authority,
        "@path": request.path,
        "@query": "?" + request.query,  # Also where there is none (section 2.2.7).
    }
    lines = []
    for name in claim.components:
        value = derived_of(derived, name) if name[0] == "@" else field_of(fields, name)
        lines.append(f'"{name}": {value}')
    lines.append(f'"@signature-params": {claim.signed}')
    return "\n".join(lines).encode("ascii")


def derived_of(derived: dict[str, str], name: str) -> str:
    if name not in derived:
        raise SignatureInvalid(f"{name}: cannot be covered here; @path and @query say the same")
    value = derived[name]
    if len(value) > FIELD_CHARACTERS_MAX or not DERIVED[name].fullmatch(value):
        raise SignatureInvalid(f"{name}: the request has no form that can be signed")
    return value


def check_signature(base: bytes, signature: bytes, verifier: Verifier) -> None:
    match verifier.algorithm:
        case Algorithm.HMAC_SHA256:
            expected = hmac.digest(verifier.material, base, "sha256")
            if not hmac.compare_digest(expected, signature):
                raise SignatureInvalid(UNFIT)
        case Algorithm.ED25519:
            try:
                Ed25519PublicKey.from_public_bytes(verifier.material).verify(signature, base)
            except InvalidSignature as error:
                raise SignatureInvalid(UNFIT) from error


def check_digest(value: str, body: bytes) -> None:
    check_digests(value, {name: make(body).digest() for name, make in HASHES.items()})


def check_digests(value: str, digests: Mapping[str, bytes]) -> None:
    """Every known digest must be that of the body; texts are compared, so base64 is canonical."""
    if not DIGESTS.fullmatch(value):
        raise SignatureInvalid("content-digest: a dictionary is needed as RFC 9530 section 2 shows")
    members = MEMBER.findall(value)
    if len(dict(members)) != len(members):
        raise SignatureInvalid("content-digest: a digest is there more than once")
    known = [(digests[name], text) for name, text in members if name in digests]
    if not known:
        raise SignatureInvalid("content-digest: sha-256 or sha-512 is needed")
    for digest, text in known:
        expected = base64.b64encode(digest).decode()
        if not hmac.compare_digest(expected, text):
            raise SignatureInvalid("content-digest: is not that of the body")
