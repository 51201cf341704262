"""The campaign of five channels: what its bank does to one of them, and how paces are compared."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from crucible.book import Book
from crucible.channels import (
    FINE,
    HANGS_UP,
    NAMES,
    NEVER,
    SICK,
    SILENT,
    SLOW,
    WELL,
    MoodyCounter,
    Phase,
    figures_of_paces,
    paces_of,
)
from crucible.counter import Reply
from crucible.evidence import Export
from crucible.letters import CARD, Ask, canonical, sign

KEY = bytes.fromhex("00112233445566778899aabbccddeeff")
ASK = Ask("A" * 26, f"main/{SICK}-1", "refund", 100, "EUR", "tok", "")


@pytest.fixture
def counter(tmp_path: Path) -> MoodyCounter:
    made = MoodyCounter(Book(tmp_path / "book"), key=KEY, seed=1)
    made.is_honest = True
    return made


def submit(counter: MoodyCounter, ask: Ask = ASK) -> Reply:
    body = canonical(asdict(ask))
    return counter.receive(CARD, ask.action, body, sign(KEY, body, scheme=CARD, sort="request"), 0)


@pytest.mark.parametrize("mood", [SILENT, HANGS_UP])
def test_a_dead_bank_does_nothing_and_says_nothing(counter: MoodyCounter, mood: str) -> None:
    counter.mood = mood
    reply = submit(counter)

    assert reply.status is None
    assert counter.book.state.orders == {}


def test_a_slow_bank_acts_at_once_and_answers_late(counter: MoodyCounter) -> None:
    counter.mood = SLOW
    reply = submit(counter)

    assert (reply.status, reply.wait_ms) == (200, 30_000)
    assert counter.book.state.orders[ASK.number].times == 1


@pytest.mark.parametrize("name", WELL)
@pytest.mark.parametrize("mood", [SILENT, HANGS_UP, SLOW])
def test_the_other_four_are_served_as_ever(counter: MoodyCounter, mood: str, name: str) -> None:
    counter.mood = mood
    ask = replace(ASK, payment=f"main/{name}-1")
    reply = submit(counter, ask)

    assert (reply.status, reply.wait_ms) == (200, 50)
    assert counter.book.state.orders[ask.number].times == 1


# Paces

# 100 ms without a fault, and 100 ms with one.
PHASES = [Phase(FINE, 1_000, 1_100, 0.05), Phase(SILENT, 1_100, 1_200, 0.06)]


def figures_with(delays_ms: dict[tuple[str, int], int]) -> dict[str, float]:
    """Of a stream in which every channel is asked each 10 ms, and answers in 5, except these."""
    asked = {f"{name}-{at}-0": at for at in range(1_000, 1_200, 10) for name in NAMES}
    export = Export()
    for key, at in asked.items():
        name = key.partition("-")[0]
        final_at = at + delays_ms.get((name, at // 100), 5)
        row = {"key": f"main/{key}", "state": "succeeded", "final_at": final_at}
        export.instructions[key] = row if final_at < NEVER else {**row, "state": "failed"}
    well, sick = (paces_of(names, PHASES, asked, export) for names in (WELL, [SICK]))
    return figures_of_paces(well, sick)


def test_whoever_notices_nothing_keeps_all_of_its_pace() -> None:
    figures = figures_with({(SICK, 11): NEVER})

    assert figures["ratio_silent"] == 1.0
    assert figures["sick_share_silent"] == 0.0
    assert figures["done_per_s_fine"] == figures["done_per_s_silent"] == 400.0
    assert figures["p99_ms_silent"] == 5
    assert figures["cpu_share_silent"] == 0.6


def test_what_comes_too_late_is_missing_from_the_pace() -> None:
    figures = figures_with({(WELL[0], 11): 60, (WELL[1], 11): NEVER})

    assert figures["ratio_silent"] == round((40 - 6 - 10) / 40, 3)
    assert figures["p99_ms_silent"] > 1_000_000


def test_what_was_left_over_from_before_makes_up_for_nothing() -> None:
    figures = figures_with({(WELL[0], 10): 60})

    assert figures["done_per_s_silent"] == 460.0
    assert figures["ratio_silent"] == round(1 / (34 / 40), 3)
