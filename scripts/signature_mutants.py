"""The ways in which a signed request can be changed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from urllib.parse import unquote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from contraflow.wire.http_signature import SignedRequest, Verifier

NOW_S = 1_790_000_000
ORDER = 2**252 + 27742317777372353535851937790883648493  # Of the group of Ed25519 (RFC 8032).
ATTRIBUTES = ("method", "authority", "path", "query", "body")
STRANGERS = " \t\r\n\0\x7f\x85\xa0\u2028\ufeff\u200b;,:=\"'()\\%?#&/+-_.*~^@"
LOOKALIKES = str.maketrans(
    "aceiopsxyABEKMHOPCTX0123456789=:/ksS",
    "асеіорѕхуАВЕКМНОРСТХ０１２３４５６７８９＝：／\u212a\u017f\u017f",  # noqa: RUF001 - the point.
)
SPACES = (" ", "\t", "  ", "\r\n ", "\n", "\u00a0")
ADDED = (";sf", ";bs", ";req", ";tr", ';key="a"', ";x", ";sf=?1", ";sf=?0")
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True, slots=True)
class Case:
    """A request that is accepted, and by whom."""

    request: SignedRequest
    verifier: Verifier


Cases = list[Case]
OfText = Callable[[Random, str], str]
OfRequest = Callable[[Random, SignedRequest, Cases], SignedRequest]


def mutant_of(chance: Random, request: SignedRequest, cases: Cases) -> tuple[str, SignedRequest]:
    """One change, sometimes more; never none."""
    mutant, kind = request, ""
    while mutant == request:
        mutant, kind = request, ""
        for _ in range(chance.choice((1, 1, 1, 1, 1, 2, 3))):
            one, mutant = changed(chance, mutant, cases)
            kind = "several" if kind else one
    return kind, mutant


def changed(chance: Random, request: SignedRequest, cases: Cases) -> tuple[str, SignedRequest]:
    if chance.random() < 0.5:
        kind = chance.choice(list(OF_REQUEST))
        return kind, OF_REQUEST[kind](chance, request, cases)
    part = chance.choice((*ATTRIBUTES, *(name for name, _ in request.headers)))
    kind = chance.choice(list(OF_TEXT))
    text = OF_TEXT[kind](chance, part_of(request, part))
    return f"{part}: {kind}", with_part(request, part, text)


# One part of a request as a text. A body that is no UTF-8 keeps its bytes.


def part_of(request: SignedRequest, part: str) -> str:
    if part == "body":
        return request.body.decode("utf-8", "surrogateescape")
    if part in ATTRIBUTES:
        return str(getattr(request, part))
    return next((value for name, value in request.headers if name == part), "")


def with_part(request: SignedRequest, part: str, text: str) -> SignedRequest:
    if part == "body":
        return replace(request, body=text.encode("utf-8", "surrogateescape"))
    if part in ATTRIBUTES:
        return replace(request, **{part: text})
    headers = ((name, text if name == part else value) for name, value in request.headers)
    return replace(request, headers=tuple(headers))


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


# Changes of one text.


def cut(chance: Random, text: str) -> tuple[str, str]:
    at = chance.randrange(len(text) + 1)
    return text[:at], text[at:]


def flip_a_bit(chance: Random, text: str) -> str:
    before, after = cut(chance, text)
    return before + chr(ord(after[0]) ^ 1 << chance.randrange(8)) + after[1:] if after else text


def insert(chance: Random, text: str) -> str:
    before, after = cut(chance, text)
    return before + chance.choice(STRANGERS + BASE64) + after


def repeat_a_piece(chance: Random, text: str) -> str:
    before, after = cut(chance, text)
    return before + after[: chance.randint(1, 8)] + after


def swap_neighbours(chance: Random, text: str) -> str:
    before, after = cut(chance, text)
    return before + after[1:2] + after[:1] + after[2:]


def change_case(chance: Random, text: str) -> str:
    before, after = cut(chance, text)
    return chance.choice((before + after[:1].swapcase() + after[1:], text.upper(), text.lower()))


def space(chance: Random, text: str) -> str:
    before, after = chance.choice((cut(chance, text), ("", text), (text, "")))
    return before + chance.choice(SPACES) + after


def disguise(chance: Random, text: str) -> str:
    before, after = cut(chance, text)
    return before + after[:1].translate(LOOKALIKES) + after[1:]


def escape(chance: Random, text: str) -> str:
    """%2F for /, %2f for %2F, / for %2F: three texts for one path."""
    before, after = cut(chance, text)
    if "%" in text and chance.random() < 0.5:
        at = text.index("%")
        code = text[at : at + 3]
        return text.replace(code, chance.choice((code.lower(), unquote(code))), 1)
    return (
        before
        + "".join(f"%{byte:02X}" for byte in after[:1].encode("utf-8", "replace"))
        + after[1:]
    )


def spell_base64_otherwise(chance: Random, text: str) -> str:
    """The same bytes for a lenient decoder."""
    end = text.find("=:") if "==:" not in text else text.find("==:")
    if end < 1:
        return text
    last = BASE64.find(text[end - 1])
    return chance.choice(
        (
            text[: end - 1] + BASE64[last ^ 1 << chance.randrange(2)] + text[end:],  # Unused bits.
            text.replace("=:", ":"),
            text.replace("=:", "==:"),
            text.replace("+", "-").replace("/", "_"),
            text[:end] + "=" + text[end:],
            text.replace(":", ""),
        )
    )


OF_TEXT: dict[str, OfText] = {
    "bit": flip_a_bit,
    "cut off": lambda chance, text: cut(chance, text)[0],
    "drop one": lambda chance, text: (halves := cut(chance, text))[0] + halves[1][1:],
    "insert": insert,
    "repeat": repeat_a_piece,
    "swap": swap_neighbours,
    "case": change_case,
    "space": space,
    "lookalike": disguise,
    "escape": escape,
    "base64": spell_base64_otherwise,
}


# Changes that know what a signature is.


def signature_of(request: SignedRequest) -> tuple[str, bytes]:
    """Its label and bytes, as far as they can still be read."""
    label, _, text = part_of(request, "signature").partition("=")
    try:
        return label, base64.b64decode(text.strip(":"))
    except ValueError:
        return label, b""


def with_signature(request: SignedRequest, label: str, signature: bytes) -> SignedRequest:
    return with_part(request, "signature", f"{label}=:{encoded(signature)}:")


def bend_the_point(chance: Random, request: SignedRequest, _: Cases) -> SignedRequest:
    """Signatures that a careless curve takes: S plus the order, R of small order, all zero."""
    label, raw = signature_of(request)
    point, scalar = raw[:32], int.from_bytes(raw[32:], "little")
    shifted = (scalar + ORDER * chance.randint(1, 7)) % 2**256
    other = chance.choice(
        (
            point + shifted.to_bytes(32, "little"),
            point + ((ORDER - scalar) % ORDER).to_bytes(32, "little"),
            raw[:31] + bytes([raw[31] ^ 0x80]) + raw[32:] if len(raw) > 31 else raw,
            bytes([1]) + bytes(63),
            bytes(len(raw)),
            raw[::-1],
            raw + bytes(1),
        )
    )
    return with_signature(request, label, other)


def shuffle_parameters(chance: Random, request: SignedRequest, _: Cases) -> SignedRequest:
    text = part_of(request, "signature-input")
    first, *rest = text.split(";")
    chance.shuffle(rest)
    return with_part(request, "signature-input", ";".join((first, *rest)))


def change_parameters(chance: Random, request: SignedRequest, _: Cases) -> SignedRequest:
    first, *rest = part_of(request, "signature-input").split(";")
    at = chance.randrange(len(rest) + 1)
    new = chance.choice(
        (
            f"created={NOW_S + chance.randint(-300, 300)}",
            f"created={NOW_S}.0",
            f"expires={NOW_S + chance.randint(0, 10**6)}",
            'alg="none"',
            'alg="hmac-sha256"',
            'alg="ed25519"',
            'alg="rsa-pss-sha512"',
            f'nonce="{chance.randbytes(16).hex()}"',
            'keyid="k-2"',
            'tag="x"',
            "x",
        )
    )
    name = new.partition("=")[0]
    match chance.randrange(3):
        case 0:  # One more, or the same twice.
            rest.insert(at, new)
        case 1:
            rest = [new if one.startswith(name) else one for one in rest]
        case _:
            rest = rest[:at] + rest[at + 1 :]
    return with_part(request, "signature-input", ";".join((first, *rest)))


def change_components(chance: Random, request: SignedRequest, _: Cases) -> SignedRequest:
    head, opened, rest = part_of(request, "signature-input").partition("(")
    inner, closed, tail = rest.partition(")")
    names = inner.split(" ")
    at = chance.randrange(len(names))
    match chance.randrange(5):
        case 0:
            chance.shuffle(names)
        case 1:
            del names[at]
        case 2:
            names.insert(at, chance.choice(names))
        case 3:
            names.insert(at, chance.choice(('"@scheme"', '"@target-uri"', '"host"', '"@status"')))
        case _:
            names[at] += chance.choice(ADDED)
    text = head + opened + " ".join(names) + closed + tail
    return with_part(request, "signature-input", text)


def change_headers(chance: Random, request: SignedRequest, _: Cases) -> SignedRequest:
    """Twice, not at all, under another name, or with another one's value."""
    headers = list(request.headers)
    at, other = chance.randrange(len(headers)), chance.randrange(len(headers))
    name, value = headers[at]
    match chance.randrange(5):
        case 0:
            headers.insert(other, (name, chance.choice((value, "", "x"))))
        case 1:
            del headers[at]
        case 2:
            headers[at] = (name.replace("-", "_") if "-" in name else name + " ", value)
        case 3:
            headers[at] = (name, headers[other][1])
        case _:
            headers[at], headers[other] = (
                (name, headers[other][1]),
                (headers[other][0], value),
            )
    return replace(request, headers=tuple(headers))


def change_labels(chance: Random, request: SignedRequest, _: Cases) -> SignedRequest:
    """Of one field, of both, or a second signature beside the first."""
    claim, given = part_of(request, "signature-input"), part_of(request, "signature")
    claims = (claim, f"x{claim}", f"{claim}, x{claim}", f"x{claim}, {claim}")
    givens = (given, f"x{given}", f"{given}, x{given}", f"x{given}, {given}")
    one = with_part(request, "signature-input", chance.choice(claims))
    return with_part(one, "signature", chance.choice(givens))


def take_from_another(chance: Random, request: SignedRequest, cases: Cases) -> SignedRequest:
    other = chance.choice(cases).request
    parts = ("signature", "signature-input", "content-digest", "idempotency-key", *ATTRIBUTES)
    mutant = request
    for part in chance.sample(parts, chance.randint(1, 4)):
        mutant = with_part(mutant, part, part_of(other, part))
    return mutant


def change_body_and_digest(chance: Random, request: SignedRequest, _: Cases) -> SignedRequest:
    """A digest that fits the other body, or one that nobody can check."""
    body = request.body.replace(b"1", b"9") + chance.choice((b"", b" ", b"\n"))
    digest = encoded(hashlib.sha256(body).digest())
    name = chance.choice(("sha-256", "sha-512", "md5", "unixsum", "SHA-256"))
    return with_part(replace(request, body=body), "content-digest", f"{name}=:{digest}:")


def forge(chance: Random, request: SignedRequest, cases: Cases) -> SignedRequest:
    """By whoever knows all but the key: an HMAC under what is public, or a key of its own."""
    claim = part_of(request, "signature-input")
    label, _, params = claim.partition("=")
    params = chance.choice((params, params.replace("ed25519", "hmac-sha256")))
    lines = {
        "@method": request.method,
        "@authority": request.authority,
        "@path": request.path,
        "@query": "?" + request.query,
    }
    names = params.partition(")")[0].strip("(").split(" ")
    base = "\n".join(
        f"{name}: {lines.get(name.strip(chr(34)), part_of(request, name.strip(chr(34))))}"
        for name in names
    )
    base += f'\n"@signature-params": {params}'
    message = base.encode("utf-8", "replace")
    publics = [one.verifier.material for one in cases if one.verifier.algorithm == "ed25519"]
    secret = chance.choice((publics[0], b"", b"k-1", publics[0].hex().encode()))
    own = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
    signature = chance.choice((hmac.digest(secret, message, "sha256"), own.sign(message)))
    mutant = with_part(request, "signature-input", f"{label}={params}")
    return with_signature(mutant, label, signature)


def move_a_border(chance: Random, request: SignedRequest, _: Cases) -> SignedRequest:
    """The same bytes on the line, or in the base, in other parts."""
    path, query = request.path, request.query
    return chance.choice(
        (
            replace(request, path=f"{path}?{query}", query=""),
            replace(request, path=f'{path}\n"@query": ?{query}', query=""),
            replace(request, path=path.replace("/v1", "", 1), authority=request.authority + "/v1"),
            replace(request, path=path + "/"),
            replace(request, path="/." + path),
            replace(request, path="/v1/.." + path),
            replace(request, path="/" + path),
            replace(request, query=query + "&"),
            replace(request, query="&".join(reversed(query.split("&")))),
            replace(request, query="?" + query),
            replace(request, authority=request.authority + chance.choice((":443", ":80", "."))),
            replace(request, method=chance.choice(("PUT", "GET", "post", "POST ", "DELETE"))),
        )
    )


OF_REQUEST: dict[str, OfRequest] = {
    "point": bend_the_point,
    "parameters shuffled": shuffle_parameters,
    "parameters": change_parameters,
    "components": change_components,
    "headers": change_headers,
    "labels": change_labels,
    "from another": take_from_another,
    "body and digest": change_body_and_digest,
    "forged": forge,
    "border": move_a_border,
}
