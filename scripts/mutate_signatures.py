"""Changes signed requests in a million ways: not one may pass for what was signed.

Each mutant follows from the seed and its number alone, so that one that passed comes back.
A mutant whose every covered byte is as it was counts as `same`: nothing was forged. These have
another label, which nothing signs (RFC 9421 section 1.1), a header beside the covered ones, or
these in another order; what is remembered of them must be as it was, or they count as accepted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import repeat
from operator import itemgetter
from random import Random
from types import SimpleNamespace
from typing import Any

import http_sf
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver, algorithms
from msgspec.structs import replace
from signature_mutants import NOW_S, Case, Cases, encoded, mutant_of, part_of

from contraflow.errors import SignatureInvalid
from contraflow.wire.http_signature import (
    COVERED,
    UNFIT,
    Algorithm,
    Signed,
    SignedRequest,
    Verifier,
    verify,
)

CHUNK = 10_000


@dataclass(slots=True)
class Tally:
    mutants: Counter[str] = field(default_factory=Counter)
    same: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    reached_key: int = 0  # Refused by the signature itself, as the last but one of the checks.

    def add(self, other: Tally) -> None:
        self.mutants.update(other.mutants)
        self.same.update(other.same)
        self.accepted.update(other.accepted)
        self.reached_key += other.reached_key


Verify = Callable[..., Signed]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="mutants")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began, total = time.monotonic(), Tally()
    starts = range(0, asked.count, CHUNK)
    ends = [min(start + CHUNK, asked.count) for start in starts]
    with ProcessPoolExecutor(asked.jobs) as pool:
        for tally in pool.map(run, repeat(asked.seed), starts, ends):
            total.add(tally)
            if total.mutants.total() % (10 * CHUNK) == 0:
                print(json.dumps({"mutants": total.mutants.total()}), flush=True)
    print(json.dumps(report(total) | {"seconds": round(time.monotonic() - began, 1)}))
    return 1 if total.accepted.total() else 0


def report(total: Tally) -> dict[str, Any]:
    return {
        "mutants": total.mutants.total(),
        "accepted": total.accepted.total(),
        "same": total.same.total(),
        "reached_key": total.reached_key,
        "by_kind": {
            kind: {"mutants": count, "same": total.same[kind], "accepted": total.accepted[kind]}
            for kind, count in sorted(total.mutants.items())
        },
    }


def run(seed: int, start: int, end: int, check: Verify = verify) -> Tally:
    """The mutants of these numbers; an exception other than a refusal ends the campaign."""
    cases, tally = cases_of(seed), Tally()
    accepted = [check(case.request, case.verifier, now_s=NOW_S) for case in cases]
    for number in range(start, end):
        chance = Random(seed << 40 | number)  # noqa: S311 - it must come back.
        case, original = chance.choice(list(zip(cases, accepted, strict=True)))
        kind, mutant = mutant_of(chance, case.request, cases)
        tally.mutants[kind] += 1
        try:
            found = check(mutant, case.verifier, now_s=NOW_S)
        except SignatureInvalid as refusal:
            tally.reached_key += str(refusal) == UNFIT
            continue
        if found == original and meaning_of(mutant) == meaning_of(case.request):
            tally.same[kind] += 1
        else:
            tally.accepted[kind] += 1
            print(f"number {number}, {kind}: {mutant}", file=sys.stderr)
    return tally


def meaning_of(request: SignedRequest) -> object:
    """All that is covered, by http_sf's reading, and the signature without its label."""
    label, _, claim = part_of(request, "signature-input").partition("=")
    other, _, given = part_of(request, "signature").partition("=")
    try:
        ((components, _),) = dictionary(part_of(request, "signature-input")).values()
    except (ValueError, UnicodeError):
        return object()  # Equal to nothing.
    covered = {name for name, _ in components}
    lines = [pair for pair in request.headers if pair[0] in covered]
    lines.sort(key=itemgetter(0))  # Between other names order means nothing (RFC 9110 5.3).
    return replace(request, headers=tuple(lines)), claim, given, label == other


def dictionary(text: str) -> dict[str, Any]:
    parsed = http_sf.parse(text.encode(), tltype="dictionary")
    assert isinstance(parsed, dict)
    return parsed


# The requests that were signed, by the library that clients use.


def cases_of(seed: int) -> Cases:
    chance = Random(seed)  # noqa: S311 - keys of a test.
    private = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
    public = private.public_key()
    secret = chance.randbytes(32)
    signers = (
        (Algorithm.ED25519, algorithms.ED25519, private, public, public.public_bytes_raw()),
        (Algorithm.HMAC_SHA256, algorithms.HMAC_SHA256, secret, secret, secret),
    )
    cases = []
    for name, algorithm, signing, verifying, material in signers:
        resolver = MappingKeyResolver(public_keys={"k-1": verifying}, private_keys={"k-1": signing})
        signer = HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=resolver)
        verifier = Verifier(key_id="k-1", algorithm=name, material=material)
        cases += [Case(plain(signer), verifier), Case(rich(signer), verifier)]
    return cases


def plain(signer: HTTPMessageSigner) -> SignedRequest:
    body = b'{"payment":"p_1","amount":{"minor":1250,"currency":"EUR"}}'
    return signed(signer, "/v1/refunds", "", body, {"idempotency-key": "order-77-refund-1"}, {})


def rich(signer: HTTPMessageSigner) -> SignedRequest:
    """With whatever else is allowed."""
    body = '{"payment":"p_1","reason":"zurück"}'.encode()
    digests = ((name, hashlib.new(name.replace("-", ""), body)) for name in ("sha-256", "sha-512"))
    headers = {
        "content-digest": ", ".join(f"{name}=:{encoded(one.digest())}:" for name, one in digests),
        "idempotency-key": "b2c7",
        "content-type": "application/json",
    }
    moment = datetime.fromtimestamp(NOW_S + 60, UTC)
    more = {"expires": moment, "tag": "contraflow", "use_existing_digest": True}
    return signed(signer, "/v1/payments/p%2F1/cancel", "dry=0&note=a%20b", body, headers, more)


def signed(
    signer: HTTPMessageSigner,
    path: str,
    query: str,
    body: bytes,
    headers: dict[str, str],
    more: dict[str, Any],
) -> SignedRequest:
    url = f"https://refunds.example{path}" + (f"?{query}" if query else "")
    message = SimpleNamespace(method="POST", url=url, headers=headers)
    covered = dict.fromkeys((*COVERED, *headers))
    signer.sign(
        message,
        key_id="k-1",
        created=datetime.fromtimestamp(NOW_S, UTC),
        nonce="0123456789abcdefABCDEF",
        covered_component_ids=list(covered),
        body=body,
        **more,
    )
    return SignedRequest(
        method="POST",
        authority="refunds.example",
        path=path,
        query=query,
        headers=tuple((name.lower(), value) for name, value in headers.items()),
        body=body,
    )


if __name__ == "__main__":
    sys.exit(main())
