"""A file of commands in shares that have nothing to do with each other: no payment, and no key."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from msgspec import Struct

from contraflow.simulation.replay_rows import Row


class Share(Struct, frozen=True):
    number: int  # From 0.
    count: int


WHOLE = Share(0, 1)


def rows_of(rows: Sequence[Row], share: Share) -> list[Row]:
    if share == WHOLE:
        return list(rows)
    groups = groups_by_name(rows)
    return [row for row in rows if place_of(groups[f"key {row.key}"], share.count) == share.number]


def place_of(group: str, count: int) -> int:
    return zlib.crc32(group.encode()) % count


def groups_by_name(rows: Sequence[Row]) -> dict[str, str]:
    """For each key and payment the name of its group; a row joins those of all its names."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents.setdefault(name, name) != name:
            parents[name] = name = parents[parents[name]]
        return name

    for row in rows:
        target = f"key {row.target}" if row.kind == "withdraw" else f"payment {row.target}"
        parents[root(target)] = root(f"key {row.key}")
    return {name: root(name) for name in list(parents)}
