"""Requests that their key demands to be signed, as RFC 9421 has it."""

from __future__ import annotations

from collections.abc import Mapping

from contraflow.api.caller import Caller
from contraflow.api.desk import Desk
from contraflow.api.problem import Problem
from contraflow.api.request import Request
from contraflow.domain.commands import Nonce
from contraflow.errors import DoorCode, SignatureInvalid
from contraflow.wire.http_signature import (
    Algorithm,
    SignedRequest,
    Verifier,
    authority_of,
    check_digests,
    verify,
    verify_head,
)


def nonce_of(desk: Desk, caller: Caller, request: Request, body: bytes | None) -> Nonce:
    """What may be used once, and a hash of all that was signed. Raises Problem.

    Of a body that comes in pieces (None) the digest is to be checked once it has come whole.
    """
    key = caller.key
    algorithm = Algorithm(key.algorithm)
    material = key.material
    if algorithm is Algorithm.HMAC_SHA256:
        material = desk.unseal(key.key_id, material)
    signed_request = SignedRequest(
        method=request.method,
        authority=authority_of(request.headers.get("host", ""), scheme=request.scope["scheme"]),
        path=request.path,
        query=request.query.decode("latin-1"),
        headers=request.fields,
        body=body or b"",
    )
    verifier = Verifier(key_id=key.key_id, algorithm=algorithm, material=material)
    try:
        judge = verify_head if body is None else verify
        signed = judge(signed_request, verifier, now_s=desk.now_ms() // 1_000)
    except SignatureInvalid as error:
        raise Problem(401, DoorCode.SIGNATURE_INVALID, str(error)) from error
    return Nonce(f"{key.key_id}/{signed.nonce}", signed.digest)


def refuse_other_body(request: Request, digests: Mapping[str, bytes]) -> None:
    """Where the client said what its body is, it must be that. Raises Problem."""
    told = request.headers.get("content-digest")
    if told is None:
        return
    try:
        check_digests(told, digests)
    except SignatureInvalid as error:
        raise Problem(400, DoorCode.BODY_INVALID, str(error), field="content-digest") from error
