"""Work files of refunds off, beside everything else.

Every line is one command with a key and a line of its own,
so whatever dies in the middle, the next process goes on and each line has at most one effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from msgspec.structs import replace

from contraflow.domain.commands import Nonce, RequestRefund
from contraflow.domain.decision import Refused
from contraflow.domain.ids import instruction_id_for, name_of, tenant_of
from contraflow.domain.owner import Owner
from contraflow.domain.refund_batch import BatchLine, BatchState, RefundBatch
from contraflow.engine.bell import Bell
from contraflow.engine.intake import submit_all
from contraflow.engine.limits import (
    BATCH_LEASE_MS,
    BATCH_POLL_MS,
    BREATH_MS,
    CHUNK_LINES,
    WINDOW_LINES,
)
from contraflow.engine.parts import Parts
from contraflow.errors import OperationalError, Overloaded, StoreUnwritable
from contraflow.store import Place

LINES = msgspec.json.Decoder(list[BatchLine])


class Batches(Protocol):
    """Where they are kept; see store/refund_batches.py."""

    async def now(self) -> int: ...
    async def find(self, batch_id: str) -> RefundBatch | None: ...
    async def list_batches(
        self, tenant: str, before: Place | None, count_max: int
    ) -> list[RefundBatch]: ...
    async def begin(self, batch: RefundBatch, now: int) -> bool: ...
    async def keep(self, batch: RefundBatch, first_line: int, body: bytes, until: int) -> None: ...
    async def start(self, batch: RefundBatch, sha256: str, lines: int) -> bool: ...
    async def give_up(self, batch: RefundBatch, failure: str) -> None: ...
    async def claim(self, now: int, until: int, lease: str) -> RefundBatch | None: ...
    async def lines(self, batch_id: str, first_line: int) -> bytes: ...
    async def answer(self, batch_id: str, answers: Sequence[tuple[int, str]]) -> None: ...
    async def count(self, batch_id: str, first: int, end: int) -> tuple[int, int]: ...
    async def advance(
        self, batch: RefundBatch, next_line: int, accepted: int, until: int, now: int
    ) -> RefundBatch | None: ...
    async def switch(
        self, batch_id: str, states: tuple[str, str], to: str, finished_at: int | None
    ) -> RefundBatch | None: ...
    async def release(self, batch: RefundBatch) -> None: ...
    async def answers(self, batch_id: str, after: int, count_max: int) -> list[tuple[int, str]]: ...
    async def use_nonce(self, nonce: Nonce, now: int) -> bool: ...


@dataclass(slots=True, kw_only=True)
class BatchRoom:
    """Of one process; any number of them may share a database."""

    batches: Batches
    modes: Mapping[str, str]  # `test` or `live`, by channel.
    fresh_name: Callable[[], str]  # For a lease.
    bell: Bell


async def batch_loop(parts: Parts, room: BatchRoom) -> None:
    while True:
        try:
            now = await room.batches.now()
            batch = await room.batches.claim(now, now + BATCH_LEASE_MS, room.fresh_name())
            if batch is not None:
                await run(parts, room, batch)
                continue
        except StoreUnwritable:
            parts.counts["store_unwritable"] += 1
            await parts.runtime.sleep(BREATH_MS)
        await room.bell.wait(BATCH_POLL_MS)


async def run(parts: Parts, room: BatchRoom, batch: RefundBatch) -> None:
    """Window by window, until it is finished, or stopped, or somebody else's."""
    lines: list[BatchLine] = []
    current: RefundBatch | None = batch
    while current is not None and current.state is BatchState.RUNNING:
        if current.next_line > current.lines:
            break
        batch = current
        offset = (batch.next_line - 1) % CHUNK_LINES
        if not lines or offset == 0:
            first = batch.next_line - offset
            lines = LINES.decode(await room.batches.lines(batch.batch_id, first))
        window = lines[offset : offset + WINDOW_LINES - offset % WINDOW_LINES]
        await decide(parts, room, batch, window)
        end = window[-1].number + 1
        answered, accepted = await room.batches.count(batch.batch_id, batch.next_line, end)
        assert answered == len(window), "every line has its answer"
        now = await room.batches.now()
        current = await room.batches.advance(batch, end, accepted, now + BATCH_LEASE_MS, now)
    if current is not None:
        await room.batches.release(current)


async def decide(
    parts: Parts, room: BatchRoom, batch: RefundBatch, window: Sequence[BatchLine]
) -> None:
    """Each line has its answer afterwards; one that had one already keeps it."""
    owner = owner_of(room, batch)
    bad = [(line.number, line.answer) for line in window if line.command is None]
    if bad:
        await room.batches.answer(batch.batch_id, bad)
    left = [
        (line.number, replace(line.command, owner=owner))
        for line in window
        if line.command is not None
    ]
    while left:
        left = await decide_some(parts, room, batch, left)
        if left:
            await parts.runtime.sleep(BREATH_MS)


async def decide_some(
    parts: Parts,
    room: BatchRoom,
    batch: RefundBatch,
    asked: Sequence[tuple[int, RequestRefund]],
) -> list[tuple[int, RequestRefund]]:
    """Those of which nothing was stored, so that they are to be asked again."""
    try:
        answers = await submit_all(parts.intake, [command for _, command in asked])
    except Overloaded:
        return list(asked)
    # What the rules did not decide has no line yet.
    refused = [
        (number, str(answer.code))
        for (number, _), answer in zip(asked, answers, strict=True)
        if isinstance(answer, Refused)
    ]
    if refused:
        await room.batches.answer(batch.batch_id, refused)
    return [
        each
        for each, answer in zip(asked, answers, strict=True)
        if isinstance(answer, OperationalError)
    ]


def owner_of(room: BatchRoom, batch: RefundBatch) -> Owner:
    caller = batch.caller
    channels = frozenset(name for name, mode in room.modes.items() if mode == caller.mode)
    return Owner(tenant=tenant_of(batch.batch_id), merchant=caller.merchant, channels=channels)


async def pause(room: BatchRoom, batch: RefundBatch) -> RefundBatch | None:
    """Within a window; None where it is at its end."""
    states = (BatchState.RUNNING, BatchState.PAUSED)
    return await room.batches.switch(batch.batch_id, states, BatchState.PAUSED, None)


async def resume(room: BatchRoom, batch: RefundBatch) -> RefundBatch | None:
    states = (BatchState.PAUSED, BatchState.RUNNING)
    resumed = await room.batches.switch(batch.batch_id, states, BatchState.RUNNING, None)
    room.bell.ring()
    return resumed


async def cancel(room: BatchRoom, batch: RefundBatch) -> RefundBatch | None:
    """No further line is asked for; what was decided stays as it is."""
    states = (BatchState.RUNNING, BatchState.PAUSED)
    now = await room.batches.now()
    return await room.batches.switch(batch.batch_id, states, BatchState.CANCELED, now)


async def results(
    room: BatchRoom, batch: RefundBatch, after: int, count_max: int
) -> list[tuple[int, str, str]]:
    """Number, answer, and the refund that it became, or nothing."""
    found = await room.batches.answers(batch.batch_id, after, count_max)
    chunks: dict[int, list[BatchLine]] = {}
    told: list[tuple[int, str, str]] = []
    for number, answer in found:
        first = number - (number - 1) % CHUNK_LINES
        if first not in chunks:
            chunks[first] = LINES.decode(await room.batches.lines(batch.batch_id, first))
        command = chunks[first][number - first].command
        name = ""
        if command is not None and answer in ("ok", "replayed"):
            name = name_of(instruction_id_for(payment_id=command.payment_id, key=command.key))
        told.append((number, answer, name))
    return told
