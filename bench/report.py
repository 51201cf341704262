"""Figures: one JSON object a line on stdout and in a folder of results; words on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

RESULTS = Path(__file__).with_name("results")


class Figure(Struct, frozen=True, omit_defaults=True):
    name: str
    value: float
    unit: str
    min: float | None = None  # Over the rounds, where `value` is their median.
    max: float | None = None


def publish(figures: Sequence[Figure], kind: str) -> None:
    lines = [msgspec.json.encode(figure).decode() for figure in figures]
    print("\n".join(lines), flush=True)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / time.strftime(f"%Y%m%dT%H%M%SZ{kind}.jsonl", time.gmtime())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    say(f"kept in {path}")


def missed(
    figures: Sequence[Figure], at_most: Mapping[str, float], at_least: Mapping[str, float]
) -> list[str]:
    """The names of those that miss a bound; every verdict is said."""
    values = {figure.name: figure.value for figure in figures}
    names = []
    for word, bounds, sign in (("at most", at_most, 1), ("at least", at_least, -1)):
        for name, bound in bounds.items():
            is_met = sign * values[name] <= sign * bound
            say(f"{name} {values[name]}, {word} {bound}: {'met' if is_met else 'MISSED'}")
            names += [] if is_met else [name]
    return names


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
