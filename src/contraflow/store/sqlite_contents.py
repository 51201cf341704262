"""A whole small database as values, as of one moment, also while another connection writes."""

from __future__ import annotations

from typing import Any

import apsw

from contraflow.domain.decision import Receipt
from contraflow.store import Contents
from contraflow.store import sqlite_statements as sql
from contraflow.store.rows import cases_of, facts_of, instructions_of, payments_of


def contents_of(connection: apsw.Connection) -> Contents:
    def rows(statement: str) -> list[Any]:
        return connection.execute(statement).fetchall()

    with connection:
        [[now]] = rows(sql.NOW)
        contents = Contents(
            now=now,
            payments=payments_of(rows(sql.ALL_PAYMENTS)),
            instructions=instructions_of(rows(sql.ALL_INSTRUCTIONS)),
            receipts={row[0]: Receipt(*row) for row in rows(sql.ALL_RECEIPTS)},
            facts=facts_of(rows(sql.ALL_FACTS)),
            cases=cases_of(rows(sql.ALL_CASES)),
            events=rows(sql.ALL_EVENTS),
            entries=rows(sql.ALL_ENTRIES),
            balances={(row[0], row[1]): row[2] for row in rows(sql.ALL_BALANCES)},
        )
    return contents  # noqa: RET504 by its type the connection may swallow an error
