"""A file of refunds, kept line by line and worked off in the background."""

from __future__ import annotations

from msgspec import Struct

from contraflow.domain.commands import RequestRefund
from contraflow.domain.word import Word


class BatchState(Word):
    RECEIVING = "receiving"  # Its file has not come whole; nothing of it runs.
    RUNNING = "running"
    PAUSED = "paused"
    CANCELED = "canceled"  # What was decided before stays as it is.
    FINISHED = "finished"  # Every line is decided.


class BatchCaller(Struct, frozen=True, kw_only=True):
    """Who asked for it; every line is asked for in this name."""

    api_key: str
    merchant: str
    mode: str
    address: str
    device: str


class RefundBatch(Struct, frozen=True, kw_only=True):
    """The fields are the columns of its row. Lines count from 1; times are milliseconds UTC."""

    batch_id: str  # With its tenant; it follows from the idempotency key.
    state: BatchState
    sha256: str  # Of the file; empty while it comes.
    format: str  # `csv` or `ndjson`.
    lines: int
    next_line: int  # All before it are decided.
    accepted: int
    refused: int
    caller: BatchCaller
    metadata: dict[str, str]
    failure: str  # Why the file was not taken.
    created_at: int
    finished_at: int | None
    leased_until: int
    lease: str


class BatchLine(Struct, frozen=True, omit_defaults=True):
    """As it was read: the command that it became, or why it became none."""

    number: int
    command: RequestRefund | None = None
    answer: str = ""
