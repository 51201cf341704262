"""Take a file of refunds as it comes; it runs only once it has come whole."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from contraflow.domain.commands import Line, RequestRefund
from contraflow.domain.ids import POLICY_PREFIX, qualified
from contraflow.domain.instruction import Labels
from contraflow.domain.money import AmountInvalid, money_of
from contraflow.domain.refund_batch import BatchCaller, BatchLine, BatchState, RefundBatch
from contraflow.engine.limits import BATCH_LEASE_MS, CHUNK_LINES, FILE_LINES_MAX
from contraflow.engine.refund_batches import BatchRoom
from contraflow.requests.asked import fingerprinted
from contraflow.requests.refund_lines import BadLine, FileInvalid, Reader, RefundLine
from contraflow.wire import canonical


class Upload(Struct, frozen=True, kw_only=True):
    """`key` is the idempotency key, without its tenant."""

    tenant: str
    key: str
    is_csv: bool
    caller: BatchCaller


class StillComing(Exception):
    """Another request with this key is sending its file just now."""


class OtherFile(Exception):
    """Another file came with this key."""


class Received(Struct, frozen=True):
    batch: RefundBatch
    is_replayed: bool
    digests: dict[str, bytes]  # Of the file, by the names of RFC 9530.


def batch_id_for(tenant: str, key: str) -> str:
    digest = hashlib.sha256(f"contraflow/batch/v1/{tenant}/{key}".encode()).digest()
    return qualified(tenant, f"rb_{base64.b32encode(digest[:15]).decode().lower()}")


async def receive(room: BatchRoom, upload: Upload, chunks: AsyncIterator[bytes]) -> Received:
    """The file whole, and not started yet. Raises FileInvalid, StillComing or OtherFile."""
    batch_id = batch_id_for(upload.tenant, upload.key)
    now = await room.batches.now()
    draft = fresh_batch(batch_id, upload, now, room.fresh_name())
    if await room.batches.begin(draft, now):
        try:
            return await take(room, upload, draft, chunks)
        except BaseException as error:
            # The same key may be used again at once, with a file that is mended.
            failure = str(error) if isinstance(error, FileInvalid) else type(error).__name__
            await room.batches.give_up(draft, failure)
            raise
    digests = await digests_of(chunks)
    known = await room.batches.find(batch_id)
    assert known is not None, "it was in the way"
    if known.state is BatchState.RECEIVING:
        raise StillComing
    if known.sha256 != digests["sha-256"].hex() or known.format != draft.format:
        raise OtherFile
    return Received(known, is_replayed=True, digests=digests)


async def take(
    room: BatchRoom, upload: Upload, draft: RefundBatch, chunks: AsyncIterator[bytes]
) -> Received:
    reader, sha256, sha512 = Reader(upload.is_csv), hashlib.sha256(), hashlib.sha512()
    held: list[BatchLine] = []
    async for chunk in chunks:
        sha256.update(chunk)
        sha512.update(chunk)
        for line in reader.feed(chunk):
            await hold(room, draft, held, line_of(upload, draft, reader.number, line))
    for line in reader.finish():
        await hold(room, draft, held, line_of(upload, draft, reader.number, line))
    if held:
        await keep(room, draft, held)
    if not reader.number:
        raise FileInvalid("line 1: there is no line")
    digests = {"sha-256": sha256.digest(), "sha-512": sha512.digest()}
    whole = replace(draft, sha256=sha256.hexdigest(), lines=reader.number)
    return Received(whole, is_replayed=False, digests=digests)


async def start(room: BatchRoom, batch: RefundBatch) -> RefundBatch:
    """What was received runs from now on. Raises StillComing where somebody else took it over."""
    if not await room.batches.start(batch, batch.sha256, batch.lines):
        raise StillComing
    room.bell.ring()
    return replace(batch, state=BatchState.RUNNING)


async def hold(room: BatchRoom, draft: RefundBatch, held: list[BatchLine], line: BatchLine) -> None:
    if line.number > FILE_LINES_MAX:
        raise FileInvalid(f"line {line.number}: more than {FILE_LINES_MAX} lines")
    held.append(line)
    if len(held) == CHUNK_LINES:
        await keep(room, draft, held)
        held.clear()


async def keep(room: BatchRoom, draft: RefundBatch, held: list[BatchLine]) -> None:
    until = await room.batches.now() + BATCH_LEASE_MS
    await room.batches.keep(draft, held[0].number, msgspec.json.encode(held), until)


def line_of(
    upload: Upload, draft: RefundBatch, number: int, line: RefundLine | BadLine
) -> BatchLine:
    if isinstance(line, BadLine):
        return BatchLine(number, answer=line.answer)
    if line.key.startswith(POLICY_PREFIX):
        return BatchLine(number, answer=f"field_invalid: key: not {POLICY_PREFIX}...")
    try:
        amount = money_of(line.amount, line.currency)
    except AmountInvalid as error:
        return BatchLine(number, answer=f"{error.code}: {error}")
    caller = draft.caller
    labels = Labels(
        reason=line.reason,
        actor=line.operator,
        source="batch",
        api_key=caller.api_key,
        address=caller.address,
        device=caller.device,
        merchant=caller.merchant,
        customer=line.customer,
        payee=line.payee,
        merchant_reference=line.merchant_reference,
        metadata=line.metadata,
    )
    own_key = line.key or f"{draft.batch_id.partition('/')[2]}:{number}"
    command = RequestRefund(
        key=qualified(upload.tenant, own_key),
        fingerprint=b"",
        line=Line(draft.batch_id, number),
        labels=canonical.encode(labels).decode(),
        payment_id=qualified(upload.tenant, line.payment),
        amount=amount,
        capture_id=line.capture,
    )
    return BatchLine(number, fingerprinted("refund", command))


def fresh_batch(batch_id: str, upload: Upload, now: int, lease: str) -> RefundBatch:
    return RefundBatch(
        batch_id=batch_id,
        state=BatchState.RECEIVING,
        sha256="",
        format="csv" if upload.is_csv else "ndjson",
        lines=0,
        next_line=1,
        accepted=0,
        refused=0,
        caller=upload.caller,
        metadata={},
        failure="",
        created_at=now,
        finished_at=None,
        leased_until=now + BATCH_LEASE_MS,
        lease=lease,
    )


async def digests_of(chunks: AsyncIterator[bytes]) -> dict[str, bytes]:
    sha256, sha512 = hashlib.sha256(), hashlib.sha512()
    async for chunk in chunks:
        sha256.update(chunk)
        sha512.update(chunk)
    return {"sha-256": sha256.digest(), "sha-512": sha512.digest()}
