"""What the doors may see: read only, on a connection of its own, while the engine writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import msgspec

from contraflow.domain.cases import Case
from contraflow.domain.decision import Receipt
from contraflow.domain.instruction import Instruction
from contraflow.domain.payment import Payment
from contraflow.ledger.journal import Entry
from contraflow.store import FAR, Contents, Finished, Place, Record, Sent, Window
from contraflow.store import sqlite_questions as ask
from contraflow.store.rows import cases_of, instructions_of, payments_of
from contraflow.store.schema import assert_current
from contraflow.store.sqlite import OPEN, refuse_old_library
from contraflow.store.sqlite_contents import contents_of
from contraflow.store.sqlite_load import as_json
from contraflow.store.sqlite_trouble import in_our_words


def open_views(place: str | Path) -> SqliteViews:
    """Beside whoever works on the database. Raises StoreUnwritable if there is none."""
    refuse_old_library(apsw.sqlite_lib_version())
    with in_our_words():
        # Not SQLITE_OPEN_READONLY, which cannot make the index of a log that nobody has open.
        connection = apsw.Connection(str(place), flags=OPEN)
        connection.execute(ask.ONLY_READ).fetchall()
        assert_current(connection)
    return SqliteViews(connection)


@dataclass(frozen=True, slots=True)
class SqliteViews:
    connection: apsw.Connection

    async def close(self) -> None:
        self.connection.close()

    async def payment(self, payment_id: str) -> Payment | None:
        return payments_of(self._rows(ask.PAYMENT, payment_id)).get(payment_id)

    async def instruction(self, instruction_id: str) -> Instruction | None:
        return instructions_of(self._rows(ask.INSTRUCTION, instruction_id)).get(instruction_id)

    async def payments(self, payment_ids: Collection[str]) -> Mapping[str, Payment]:
        return payments_of(self._rows(ask.PAYMENTS, as_json(payment_ids)))

    async def instructions(self, instruction_ids: Collection[str]) -> Mapping[str, Instruction]:
        return instructions_of(self._rows(ask.INSTRUCTIONS, as_json(instruction_ids)))

    async def at_rest(self, instruction_ids: Sequence[str]) -> list[str]:
        wanted = msgspec.json.encode(list(instruction_ids)).decode()
        return [row[0] for row in self._rows(ask.AT_REST, wanted)]

    async def instructions_of(self, payment_id: str) -> list[Instruction]:
        """In the order in which they were asked for."""
        return list(instructions_of(self._rows(ask.INSTRUCTIONS_OF, payment_id)).values())

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
        """By id, from behind `after`; an empty word stands for all."""
        start = max(after, f"{tenant}/")
        bindings = (start, f"{tenant}0", state, kind, channel, count_max)
        return list(instructions_of(self._rows(ask.LIST_INSTRUCTIONS, *bindings)).values())

    async def payments_before(
        self, tenant: str, before: Place | None, since: int, count_max: int
    ) -> list[Payment]:
        bindings = (f"{tenant}/", *(before or FAR), since, count_max)
        return list(payments_of(self._rows(ask.PAYMENTS_BEFORE, *bindings)).values())

    async def instructions_before(
        self, tenant: str, before: Place | None, since: int, count_max: int
    ) -> list[Instruction]:
        bindings = (f"{tenant}/", *(before or FAR), since, count_max)
        return list(instructions_of(self._rows(ask.INSTRUCTIONS_BEFORE, *bindings)).values())

    async def named(self, reference: str, count_max: int) -> list[str]:
        return [row[0] for row in self._rows(ask.NAMED, reference, count_max)]

    async def events_after(self, position: int, count_max: int) -> list[tuple[int, Record]]:
        rows = self._rows(ask.EVENTS_AFTER, position, count_max)
        return [(p, Record(i, n, body)) for p, i, n, body in rows]

    async def last_position(self) -> int:
        return int(self._rows(ask.LAST_POSITION)[0][0])

    async def in_attention(self, tenant: str = "") -> list[Instruction]:
        """What waits for a person's decision, the nearest deadline first; of all without a name."""
        return list(instructions_of(self._rows(ask.IN_ATTENTION, tenant)).values())

    async def in_review(self, tenant: str = "") -> list[Instruction]:
        """Held for a person, the nearest deadline first."""
        return list(instructions_of(self._rows(ask.IN_REVIEW, tenant)).values())

    async def open_cases(self, tenant: str = "") -> list[Case]:
        """The nearest deadline first. Facts that name no payment are in nobody's list but all's."""
        return list(cases_of(self._rows(ask.OPEN_CASES, tenant)).values())

    async def events_of(self, object_ids: Sequence[str]) -> list[tuple[int, Record]]:
        """In order, each with its position and its entries."""
        wanted = msgspec.json.encode(list(dict.fromkeys(object_ids))).decode()
        rows = self._rows(ask.EVENTS_OF, wanted)
        # After the events, so that none is without its entries if one is written in between.
        entries: defaultdict[int, list[Entry]] = defaultdict(list)
        for position, *entry in self._rows(ask.ENTRIES_OF, wanted):
            entries[position].append(Entry(*entry))
        return [(p, Record(i, n, body, tuple(entries.get(p, ())))) for p, i, n, body in rows]

    async def entries_of(self, object_id: str) -> list[Entry]:
        return [
            entry for _, record in await self.events_of([object_id]) for entry in record.entries
        ]

    async def receipt(self, key: str) -> Receipt | None:
        for row in self._rows(ask.RECEIPT, key):
            return Receipt(*row)
        return None

    async def holds(self) -> list[str]:
        return [row[0] for row in self._rows(ask.HOLDS)]

    async def lines(self, source: str) -> Mapping[int, str]:
        """What was answered to the lines of a file, by their number."""
        return dict(self._rows(ask.LINES_OF, source))

    async def balances(self) -> Mapping[tuple[str, str], int]:
        """By account and currency: debits less credits."""
        return {(row[0], row[1]): row[2] for row in self._rows(ask.BALANCES)}

    async def finished(self, window: Window) -> list[Finished]:
        """Everything that came to its end in the window. Reads the whole table: not for a loop."""
        rows = self._rows(ask.FINISHED, *msgspec.structs.astuple(window))
        return [Finished(*row) for row in rows]

    async def sent(self, window: Window) -> list[Sent]:
        """Everything that was first sent, or recorded as made elsewhere, in the window."""
        return [Sent(*row) for row in self._rows(ask.SENT, *msgspec.structs.astuple(window))]

    async def damage(self) -> list[str]:
        """What the database itself finds wrong with its file; empty where all is well."""
        try:
            return [row[0] for row in self._rows(ask.QUICK_CHECK) if row[0] != "ok"]
        except apsw.CorruptError as error:
            return [str(error)]

    async def contents(self) -> Contents:
        return contents_of(self.connection)

    def _rows(self, statement: str, *bindings: str | int) -> list[Any]:
        return self.connection.execute(statement, bindings).fetchall()
