# ruff: noqa: S608 the statements are made of our own words.
"""Files of refunds, in both databases."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import astuple

from contraflow.domain.commands import Nonce
from contraflow.domain.refund_batch import RefundBatch
from contraflow.store import FAR, Place
from contraflow.store.shelf import Row, Shelf

FIELDS = ", ".join(RefundBatch.__struct_fields__)
IN_JSON = ("caller", "metadata")

ONE = f"SELECT {FIELDS} FROM refund_batch WHERE batch_id = $1"
LIST = f"""
SELECT {FIELDS} FROM refund_batch
WHERE batch_id > $1 AND batch_id < $2 AND (created_at, batch_id) < ($3, $4)
ORDER BY created_at DESC, batch_id DESC LIMIT $5
"""
BEGIN = f"""
INSERT INTO refund_batch VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (batch_id) DO UPDATE
SET format = excluded.format, caller = excluded.caller, metadata = excluded.metadata,
    failure = '', leased_until = excluded.leased_until, lease = excluded.lease
WHERE refund_batch.state = 'receiving'
    AND (refund_batch.leased_until <= $16 OR refund_batch.lease = excluded.lease)
RETURNING {FIELDS}
"""
KEEP_LINES = """
INSERT INTO refund_batch_lines VALUES ($1, $2, $3)
ON CONFLICT (batch_id, first_line) DO UPDATE SET body = excluded.body
"""
PROLONG = "UPDATE refund_batch SET leased_until = $3 WHERE batch_id = $1 AND lease = $2"
START = """
UPDATE refund_batch SET state = 'running', sha256 = $3, lines = $4, leased_until = 0
WHERE batch_id = $1 AND lease = $2 AND state = 'receiving' RETURNING batch_id
"""
GIVE_UP = """
UPDATE refund_batch SET failure = $3, leased_until = 0
WHERE batch_id = $1 AND lease = $2 AND state = 'receiving'
"""
CLAIM = f"""
UPDATE refund_batch SET leased_until = $2, lease = $3
WHERE state = 'running' AND leased_until <= $1 AND batch_id IN (
    SELECT batch_id FROM refund_batch WHERE state = 'running' AND leased_until <= $1
    ORDER BY created_at LIMIT 1)
RETURNING {FIELDS}
"""
LINES = "SELECT body FROM refund_batch_lines WHERE batch_id = $1 AND first_line = $2"
ANSWER = "INSERT INTO line VALUES ($1, $2, $3) ON CONFLICT (source, number) DO NOTHING"
COUNT = """
SELECT count(*), coalesce(sum(CASE WHEN answer = 'ok' OR answer = 'replayed' THEN 1 ELSE 0 END), 0)
FROM line WHERE source = $1 AND number >= $2 AND number < $3
"""
ADVANCE = f"""
UPDATE refund_batch SET next_line = $4, accepted = accepted + $5, refused = refused + $6,
    leased_until = $7,
    state = CASE WHEN $4 > lines AND state = 'running' THEN 'finished' ELSE state END,
    finished_at = CASE WHEN $4 > lines AND state = 'running' THEN $8 ELSE finished_at END
WHERE batch_id = $1 AND lease = $2 AND next_line = $3
RETURNING {FIELDS}
"""
SWITCH = f"""
UPDATE refund_batch SET state = $3, finished_at = $4
WHERE batch_id = $1 AND (state = $2 OR state = $5) RETURNING {FIELDS}
"""
RELEASE = "UPDATE refund_batch SET leased_until = 0 WHERE batch_id = $1 AND lease = $2"
ANSWERS = """
SELECT number, answer FROM line WHERE source = $1 AND number > $2 ORDER BY number LIMIT $3
"""
USE_NONCE = "INSERT INTO nonce VALUES ($1, $2, $3) ON CONFLICT (nonce_id) DO NOTHING"
NONCE = "SELECT digest FROM nonce WHERE nonce_id = $1"


@dataclass(frozen=True, slots=True)
class StoredBatches:
    shelf: Shelf

    async def now(self) -> int:
        return await self.shelf.now()

    async def find(self, batch_id: str) -> RefundBatch | None:
        rows = await self.shelf.rows(ONE, batch_id)
        return _batch_of(rows[0]) if rows else None

    async def list_batches(
        self, tenant: str, before: Place | None, count_max: int
    ) -> list[RefundBatch]:
        """The newest first."""
        values = (f"{tenant}/", f"{tenant}0", *(before or FAR), count_max)
        return [_batch_of(row) for row in await self.shelf.rows(LIST, *values)]

    async def begin(self, batch: RefundBatch, now: int) -> bool:
        """Whether it is ours to receive: it is new, or an earlier try has ended in the middle."""
        return bool(await self.shelf.rows(BEGIN, *_row_of(batch), now))

    async def keep(self, batch: RefundBatch, first_line: int, body: bytes, until: int) -> None:
        packed = zlib.compress(body, 1)
        await self.shelf.write(
            (KEEP_LINES, [(batch.batch_id, first_line, packed)]),
            (PROLONG, [(batch.batch_id, batch.lease, until)]),
        )

    async def start(self, batch: RefundBatch, sha256: str, lines: int) -> bool:
        """Whether it was still ours."""
        return bool(await self.shelf.rows(START, batch.batch_id, batch.lease, sha256, lines))

    async def give_up(self, batch: RefundBatch, failure: str) -> None:
        await self.shelf.write((GIVE_UP, [(batch.batch_id, batch.lease, failure)]))

    async def claim(self, now: int, until: int, lease: str) -> RefundBatch | None:
        rows = await self.shelf.rows(CLAIM, now, until, lease)
        return _batch_of(rows[0]) if rows else None

    async def lines(self, batch_id: str, first_line: int) -> bytes:
        [[packed]] = await self.shelf.rows(LINES, batch_id, first_line)
        return zlib.decompress(packed)

    async def answer(self, batch_id: str, answers: Sequence[tuple[int, str]]) -> None:
        """Of lines that have none yet."""
        rows = [(batch_id, number, answer) for number, answer in answers]
        await self.shelf.write((ANSWER, rows))

    async def count(self, batch_id: str, first: int, end: int) -> tuple[int, int]:
        """How many lines from `first` to before `end` were answered, and how many accepted."""
        [[answered, accepted]] = await self.shelf.rows(COUNT, batch_id, first, end)
        return answered, int(accepted)

    async def advance(
        self, batch: RefundBatch, next_line: int, accepted: int, until: int, now: int
    ) -> RefundBatch | None:
        """As it is now; None if it is not ours any more."""
        refused = next_line - batch.next_line - accepted
        rows = await self.shelf.rows(
            ADVANCE,
            *(batch.batch_id, batch.lease, batch.next_line, next_line, accepted, refused),
            *(until, now),
        )
        return _batch_of(rows[0]) if rows else None

    async def switch(
        self, batch_id: str, states: tuple[str, str], to: str, finished_at: int | None
    ) -> RefundBatch | None:
        """None if it was in neither state."""
        rows = await self.shelf.rows(SWITCH, batch_id, states[0], to, finished_at, states[1])
        return _batch_of(rows[0]) if rows else None

    async def release(self, batch: RefundBatch) -> None:
        await self.shelf.write((RELEASE, [(batch.batch_id, batch.lease)]))

    async def answers(self, batch_id: str, after: int, count_max: int) -> list[tuple[int, str]]:
        rows = await self.shelf.rows(ANSWERS, batch_id, after, count_max)
        return [(number, answer) for number, answer in rows]

    async def use_nonce(self, nonce: Nonce, now: int) -> bool:
        """Whether it is new, or comes with all that it came with the first time."""
        await self.shelf.write((USE_NONCE, [(nonce.nonce_id, nonce.digest, now)]))
        [[digest]] = await self.shelf.rows(NONCE, nonce.nonce_id)
        return bool(digest == nonce.digest)


def _batch_of(row: Row) -> RefundBatch:
    told: dict[str, Any] = dict(zip(RefundBatch.__struct_fields__, row, strict=True))
    told |= {name: msgspec.json.decode(told[name]) for name in IN_JSON}
    return msgspec.convert(told, RefundBatch)


def _row_of(batch: RefundBatch) -> Row:
    told: dict[str, Any] = dict(zip(RefundBatch.__struct_fields__, astuple(batch), strict=True))
    told |= {name: msgspec.json.encode(told[name]).decode() for name in IN_JSON}
    return tuple(told.values())
