"""Write the whole ledger to where others can check it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from contraflow.cli import parameters as p
from contraflow.cli.place import look, place_of
from contraflow.store import Contents

Row = Mapping[str, object]
ENTRY = ("object_id", "sequence", "debit", "credit", "minor", "currency")


def export(
    *,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Write the ledger of all tenants as of one moment: a line of JSON for each row, in order."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    contents = look(place, lambda views: views.contents())
    for table, rows in tables_of(contents):
        for row in rows:
            line = msgspec.json.encode({"table": table, **row})
            sys.stdout.write(line.decode() + "\n")


def tables_of(contents: Contents) -> Iterator[tuple[str, Iterable[Row]]]:
    yield "payments", by_id(contents.payments)
    yield "instructions", by_id(contents.instructions)
    yield "receipts", map(receipt_row, by_id(contents.receipts))
    yield "facts", by_id(contents.facts)
    yield "cases", by_id(contents.cases)
    yield "events", (event_row(*event) for event in contents.events)
    yield "entries", (dict(zip(ENTRY, entry, strict=True)) for entry in contents.entries)
    yield "balances", (balance_row(*each) for each in sorted(contents.balances.items()))


def by_id(values: Mapping[str, Struct]) -> Iterator[Row]:
    for _, value in sorted(values.items()):
        yield msgspec.structs.asdict(value)


def receipt_row(receipt: Row) -> Row:
    """What the client was told is JSON itself."""
    fingerprint, body = receipt["fingerprint"], receipt["body"]
    assert isinstance(fingerprint, bytes)
    assert isinstance(body, bytes)
    return {**receipt, "fingerprint": fingerprint.hex(), "body": msgspec.Raw(body)}


def event_row(position: int, object_id: str, sequence: int, body: bytes) -> Row:
    return {
        "position": position,
        "object_id": object_id,
        "sequence": sequence,
        "body": msgspec.Raw(body),
    }


def balance_row(name: tuple[str, str], balance: int) -> Row:
    account, currency = name
    return {"account": account, "currency": currency, "balance": balance}
