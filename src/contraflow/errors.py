"""Every error code and exception of contraflow, in one place.

Three kinds of trouble, three tools:

* the rules say no      -> a `Refused` value carrying an `ErrorCode` (see domain/decision.py);
* the world misbehaves  -> an `OperationalError` (retry, inquire or wait);
* our code is wrong     -> an assertion; the process stops.
"""

from __future__ import annotations

import enum


class ErrorCode(enum.StrEnum):
    """Why a command was refused. Declared in order of precedence; never renamed or reused."""

    FIELD_INVALID = "field_invalid"
    """A field has no acceptable value; the detail names it. Nothing is remembered."""

    AMOUNT_INVALID = "amount_invalid"
    """The amount is not a whole number of minor units from 1 to 10^15. Nothing is remembered."""

    NONCE_REUSED = "nonce_reused"
    """The nonce of the signature was used before for another request. Nothing is remembered."""

    KEY_REUSED = "key_reused"
    """The idempotency key was used before with a different request."""

    QUARANTINED = "quarantined"
    """The object failed our own checks twice and waits for an operator; others go on."""

    PAYMENT_EXISTS = "payment_exists"
    """A payment with this id has been recorded under another key."""

    PAYMENT_UNKNOWN = "payment_unknown"
    """No payment with this id has been recorded."""

    REVERSAL_UNKNOWN = "reversal_unknown"
    """No instruction with this id has been recorded."""

    CAPTURE_UNKNOWN = "capture_unknown"
    """The payment has no capture with this id."""

    CASE_UNKNOWN = "case_unknown"
    """No open operator's case has this id."""

    PAYMENT_CAPTURED = "payment_captured"
    """The money was taken already; refund it instead of cancelling the payment."""

    PAYMENT_CANCELED = "payment_canceled"
    """The payment was closed or voided already."""

    PAYMENT_ENDED = "payment_ended"
    """The payment failed or expired; there is nothing to cancel or to capture."""

    CANCEL_IN_PROGRESS = "cancel_in_progress"
    """An earlier cancel of this payment is on its way; follow that one."""

    PAYMENT_NOT_AUTHORIZED = "payment_not_authorized"
    """Nothing is authorised, so nothing can be captured."""

    PAYMENT_NOT_CAPTURED = "payment_not_captured"
    """Nothing was captured; cancel the payment instead of refunding it."""

    NOTHING_TO_REVERSE = "nothing_to_reverse"
    """Everything was given back, or is on its way back."""

    CURRENCY_DIFFERS = "currency_differs"
    """The amount and the payment are in different currencies."""

    REFUNDABLE_CHANGED = "refundable_amount_changed"
    """The caller believed another amount to be refundable; the detail says how much is."""

    AMOUNT_EXCEEDS_CAPTURABLE = "amount_exceeds_capturable"
    """More was asked for than is authorised and free."""

    AMOUNT_EXCEEDS_REFUNDABLE = "amount_exceeds_refundable"
    """More was asked for than is still refundable; the detail says how much is."""

    REFUNDS_EXHAUSTED = "refunds_exhausted"
    """The channel allows no further refund of this payment."""

    CANCEL_WINDOW_OVER = "cancel_window_over"
    """The channel no longer cancels this payment; refund it once it is captured."""

    REFUND_WINDOW_OVER = "refund_window_over"
    """The channel no longer refunds this payment."""

    CHANNEL_UNABLE = "channel_unable"
    """The channel has no such action."""

    RISK_REJECTED = "risk_rejected"
    """A risk rule refused the request; the detail names it."""

    STATE_FORBIDS = "state_forbids"
    """The object is in a state that does not allow this step."""

    TOO_LATE = "too_late"
    """The undo window is over and the channel has acted; ask for the opposite instead."""

    EVIDENCE_MISSING = "evidence_missing"
    """A person's decision about money needs evidence in words."""

    LEASE_STALE = "lease_stale"
    """Somebody else has worked on the object since; nothing was changed."""

    VALUE_REFUSED = "value_refused"
    """The database cannot store a value of this request; the requests beside it went on."""


class DoorCode(enum.StrEnum):
    """Why the HTTP door answered without asking the rules."""

    BODY_INVALID = "body_invalid"
    """The body is no JSON of the expected form: RFC 8259 in UTF-8, every name once."""

    PARAMETER_INVALID = "parameter_invalid"
    """A parameter of the query or the path has no acceptable value, or is not known."""

    HEADER_INVALID = "header_invalid"
    """A header has no acceptable value; the detail names it."""

    KEY_MISSING = "idempotency_key_missing"
    """A request that changes something needs an Idempotency-Key of 1 to 128 characters."""

    KEY_IN_USE = "idempotency_key_in_use"
    """A request with this key is being decided just now; ask again with the same key."""

    CURSOR_INVALID = "cursor_invalid"
    """The cursor is not one of ours, or belongs to other filters."""

    UNAUTHENTICATED = "unauthenticated"
    """No valid API key came with the request."""

    SIGNATURE_INVALID = "signature_invalid"
    """The key demands a signature (RFC 9421), and there is no valid one."""

    FORBIDDEN = "forbidden"
    """The key is valid, but not for this: its scopes or its networks do not allow it."""

    NOT_FOUND = "not_found"
    """There is nothing at this address for this key."""

    METHOD_NOT_ALLOWED = "method_not_allowed"
    """The address exists, the method does not; Allow lists those that do."""

    TIMED_OUT = "request_timed_out"
    """The body came too slowly."""

    BODY_TOO_LARGE = "body_too_large"
    """The body is larger than the limit of this address."""

    MEDIA_TYPE_UNSUPPORTED = "media_type_unsupported"
    """The Content-Type is not the one that this address takes."""

    MISDIRECTED = "misdirected"
    """The Host is another one than this door's."""

    RATE_LIMITED = "rate_limited"
    """Too many requests; Retry-After says when to come again."""

    OVERLOADED = "overloaded"
    """Too many requests wait; come again with the same key."""

    STORE_UNWRITABLE = "store_unwritable"
    """The database cannot be reached or written; come again with the same key."""

    INTERNAL = "internal"
    """Our own fault, which is in the log under the request's id; ask again with the same key."""

    STATE_UNREADABLE = "state_unreadable"
    """It was decided before and is kept, and its state cannot be read; ask again with its key."""

    ENDING = "ending"
    """The process is ending; another one, or the next, takes the same request."""


class ContraflowError(Exception):
    """Something outside the rules went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class OperationalError(ContraflowError):
    """The world misbehaved; the same call may succeed later."""


class Overloaded(OperationalError):
    """Too many requests are waiting; nothing was stored, so the same key may be sent again."""


class StoreUnwritable(OperationalError):
    """The database cannot be written (disk full or failing); what was acknowledged is safe."""


class DatabaseInUse(OperationalError):
    """Another process works on this database file (database_in_use)."""


class NotSent(OperationalError):
    """No byte left this machine, so the channel certainly did not act."""


class ChannelUnreachable(NotSent):
    """The channel could not be reached before the first byte."""


class LeaveByMissed(NotSent):
    """The first byte would have left after the time the attempt was marked with."""


class ReplyLost(OperationalError):
    """The channel may have acted: ask it, never send again blindly."""


class SinkUnwritable(OperationalError):
    """A sink cannot take an event now; it keeps its place and is told again."""


class BatchRefused(ContraflowError):
    """The database does not take this batch as a whole; nothing of it was written."""


class ValueRefused(BatchRefused):
    """The database refuses a value of this batch; nothing of the batch was written."""


class Superseded(ContraflowError):
    """A later incarnation of the engine owns this database; this one may change nothing."""


class SchemaUnknown(ContraflowError):
    """The tables are missing or of another contraflow: run `contraflow migrate`, or upgrade."""


class LibraryTooOld(ContraflowError):
    """SQLite before 3.51.3 can corrupt a database in WAL mode; install a newer apsw."""


class SettingUnsafe(ContraflowError):
    """The database server is set so that it may forget what it has acknowledged."""


class SignatureInvalid(ContraflowError):
    """A message was not signed by whom it claims."""


class PluginInvalid(ContraflowError):
    """A plug-in file does not satisfy its contract."""


class SettingInvalid(ContraflowError):
    """A setting has no acceptable value; the message names it."""


class EgressDenied(ContraflowError):
    """A URL leads where no webhook may go; nothing was connected."""


class PeerSilent(OperationalError):
    """The receiver of a webhook did not answer in time, or not in HTTP; it may have read it."""


class InvariantBroken(AssertionError):
    """A numbered invariant does not hold: our code is wrong, and the process stops."""

    def __init__(self, invariant: str, detail: object) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant
