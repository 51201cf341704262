"""What the doors may see: read only, in the reader's role, while others write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
from msgspec.structs import astuple

from contraflow.domain.cases import Case
from contraflow.domain.decision import Receipt
from contraflow.domain.instruction import Instruction
from contraflow.domain.payment import Payment
from contraflow.errors import StoreUnwritable
from contraflow.store import FAR, Contents, Finished, Place, Record, Sent, Window
from contraflow.store import postgres_questions as ask
from contraflow.store.postgres import records_of
from contraflow.store.postgres_contents import contents_of
from contraflow.store.postgres_link import Link
from contraflow.store.postgres_trouble import ConnectionLost, TryAgain
from contraflow.store.rows import cases_of, instructions_of, payments_of

T = TypeVar("T")
LOOKS_MAX = 3  # A connection may have died since it was used last.


@dataclass(frozen=True, slots=True)
class PostgresViews:
    link: Link

    async def close(self) -> None:
        await self.link.close()

    async def payment(self, payment_id: str) -> Payment | None:
        return payments_of(await self._rows(ask.PAYMENT, payment_id)).get(payment_id)

    async def instruction(self, instruction_id: str) -> Instruction | None:
        rows = await self._rows(ask.INSTRUCTION, instruction_id)
        return instructions_of(rows).get(instruction_id)

    async def payments(self, payment_ids: Collection[str]) -> Mapping[str, Payment]:
        return payments_of(await self._rows(ask.PAYMENTS, list(payment_ids)))

    async def instructions(self, instruction_ids: Collection[str]) -> Mapping[str, Instruction]:
        return instructions_of(await self._rows(ask.INSTRUCTIONS, list(instruction_ids)))

    async def at_rest(self, instruction_ids: Sequence[str]) -> list[str]:
        return [row[0] for row in await self._rows(ask.AT_REST, list(instruction_ids))]

    async def instructions_of(self, payment_id: str) -> list[Instruction]:
        return list(instructions_of(await self._rows(ask.INSTRUCTIONS_OF, payment_id)).values())

    async def list_instructions(
        self,
        tenant: str,
        *,
        state: str = "",
        kind: str = "",
        channel: str = "",
        after: str = "",
        count_max: int = 100,
    ) -> list[Instruction]:
        start = max(after, f"{tenant}/")
        bindings = (start, f"{tenant}0", state, kind, channel, count_max)
        return list(instructions_of(await self._rows(ask.LIST_INSTRUCTIONS, *bindings)).values())

    async def payments_before(
        self, tenant: str, before: Place | None, since: int, count_max: int
    ) -> list[Payment]:
        bindings = (tenant, *(before or FAR), since, count_max)
        return list(payments_of(await self._rows(ask.PAYMENTS_BEFORE, *bindings)).values())

    async def instructions_before(
        self, tenant: str, before: Place | None, since: int, count_max: int
    ) -> list[Instruction]:
        bindings = (tenant, *(before or FAR), since, count_max)
        return list(instructions_of(await self._rows(ask.INSTRUCTIONS_BEFORE, *bindings)).values())

    async def named(self, reference: str, count_max: int) -> list[str]:
        return [row[0] for row in await self._rows(ask.NAMED, reference, count_max)]

    async def events_after(self, position: int, count_max: int) -> list[tuple[int, Record]]:
        rows = await self._rows(ask.EVENTS_AFTER, position, count_max)
        return [(p, Record(i, n, body)) for p, i, n, body in rows]

    async def last_position(self) -> int:
        return int((await self._rows(ask.LAST_POSITION))[0][0])

    async def in_attention(self, tenant: str = "") -> list[Instruction]:
        return list(instructions_of(await self._rows(ask.IN_ATTENTION, tenant)).values())

    async def in_review(self, tenant: str = "") -> list[Instruction]:
        return list(instructions_of(await self._rows(ask.IN_REVIEW, tenant)).values())

    async def open_cases(self, tenant: str = "") -> list[Case]:
        return list(cases_of(await self._rows(ask.OPEN_CASES, tenant)).values())

    async def events_of(self, object_ids: Sequence[str]) -> list[tuple[int, Record]]:
        async def look(connection: asyncpg.Connection) -> list[tuple[int, Record]]:
            rows = await connection.fetch(ask.EVENTS_OF, list(dict.fromkeys(object_ids)))
            return await records_of(connection, rows)

        return await self._look(look)

    async def receipt(self, key: str) -> Receipt | None:
        for row in await self._rows(ask.RECEIPT, key):
            return Receipt(*row)
        return None

    async def holds(self) -> list[str]:
        return [row[0] for row in await self._rows(ask.HOLDS)]

    async def lines(self, source: str) -> Mapping[int, str]:
        return dict(await self._rows(ask.LINES_OF, source))

    async def finished(self, window: Window) -> list[Finished]:
        return [Finished(*row) for row in await self._rows(ask.FINISHED, *astuple(window))]

    async def sent(self, window: Window) -> list[Sent]:
        return [Sent(*row) for row in await self._rows(ask.SENT, *astuple(window))]

    async def damage(self) -> list[str]:
        """Checksums are the server's business: it refuses to read a page that is damaged."""
        return []

    async def contents(self) -> Contents:
        return await self._look(contents_of)

    async def _rows(self, statement: str, *bindings: object) -> list[Any]:
        async def look(connection: asyncpg.Connection) -> list[Any]:
            rows: list[Any] = await connection.fetch(statement, *bindings)
            return rows

        return await self._look(look)

    async def _look(self, look: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        trouble: Exception | None = None
        for _ in range(LOOKS_MAX):
            try:
                async with self.link.connection() as connection:
                    return await look(connection)
            except (ConnectionLost, TryAgain) as error:
                trouble = error
        raise StoreUnwritable(str(trouble)) from trouble
