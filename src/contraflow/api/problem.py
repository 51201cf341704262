"""What went wrong, as RFC 9457 has it: one form for every answer that is no success."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Struct

from contraflow.errors import ContraflowError, DoorCode, ErrorCode

MEDIA_TYPE = "application/problem+json"
PAGE = "/v1/errors/"  # Of this door: what a code means.
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
NOT_THERE = frozenset(
    {
        ErrorCode.PAYMENT_UNKNOWN,
        ErrorCode.REVERSAL_UNKNOWN,
        ErrorCode.CAPTURE_UNKNOWN,
        ErrorCode.CASE_UNKNOWN,
    }
)
CONFLICTS = frozenset(
    {
        ErrorCode.PAYMENT_EXISTS,
        ErrorCode.PAYMENT_CAPTURED,
        ErrorCode.PAYMENT_CANCELED,
        ErrorCode.PAYMENT_ENDED,
        ErrorCode.CANCEL_IN_PROGRESS,
        ErrorCode.REFUNDABLE_CHANGED,
        ErrorCode.STATE_FORBIDS,
        ErrorCode.TOO_LATE,
        ErrorCode.QUARANTINED,
    }
)


class ProblemBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`code` is for programs and never changes; `detail` is for people, and may."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""
    field: str = ""  # Which one, where it is about one.
    request_id: str = ""
    receipt: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # Of a refusal that is remembered.


class Problem(ContraflowError):
    """Raised anywhere behind the door; it becomes the answer."""

    def __init__(
        self,
        status: int,
        code: ErrorCode | DoorCode,
        detail: str = "",
        *,
        field: str = "",
        headers: Mapping[str, str] = NO_HEADERS,
        receipt: bytes | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.status, self.code, self.detail, self.field = status, code, detail, field
        self.headers, self.receipt = headers, receipt

    def body(self, request_id: str) -> bytes:
        told = ProblemBody(
            type=f"{PAGE}{self.code}",
            title=title_of(self.code),
            status=self.status,
            code=self.code,
            detail=self.detail,
            field=self.field,
            request_id=request_id,
            receipt=msgspec.UNSET if self.receipt is None else msgspec.Raw(self.receipt),
        )
        return msgspec.json.encode(told)


def title_of(code: str) -> str:
    return code.replace("_", " ").capitalize()


def status_of(code: ErrorCode) -> int:
    """400 for the form, 404 and 409 for what is (not) there, 422 for what the rules forbid."""
    if code in {ErrorCode.FIELD_INVALID, ErrorCode.AMOUNT_INVALID}:
        return 400
    if code is ErrorCode.NONCE_REUSED:
        return 401
    if code in NOT_THERE:
        return 404
    return 409 if code in CONFLICTS else 422
