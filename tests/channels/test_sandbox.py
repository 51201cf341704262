"""The sandbox's two lines, and what an operator may change about their abilities."""

from __future__ import annotations

import pytest

from contraflow.channels.sandbox import CARD_ABILITIES, RAIL_ABILITIES, open_channel
from contraflow.errors import SettingInvalid

KEY = "5a" * 32


def test_without_a_word_they_are_those_of_the_line() -> None:
    card, rail = open_channel("a", {"key": KEY}), open_channel("b", {"key": KEY, "line": "rail"})

    assert card.abilities == CARD_ABILITIES
    assert rail.abilities == RAIL_ABILITIES


def test_times_and_slots_may_be_others() -> None:
    channel = open_channel(
        "a",
        {
            "key": KEY,
            "line": "rail",
            "dead_after_ms": "700",
            "leave_within_ms": "250",
            "inquire_after_ms": "100, 300,900",
            "slots": "1024",
        },
    )
    abilities = channel.abilities

    assert (abilities.dead_after_ms, abilities.leave_within_ms) == (700, 250)
    assert abilities.inquire_after_ms == (100, 300, 900)
    assert abilities.slots == 1_024
    assert abilities.windows is RAIL_ABILITIES.windows


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("slots", "0"),
        ("slots", "1025"),
        ("slots", "many"),
        ("slots", "1,2"),
        ("dead_after_ms", ""),
        ("dead_after_ms", "-1"),
        ("leave_within_ms", "1.5"),
        ("leave_within_ms", "9999999999"),
        ("inquire_after_ms", "100,,300"),
        ("inquire_after_ms", "300,100"),
        ("inquire_after_ms", "300,300"),
    ],
)
def test_what_is_no_ability_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(SettingInvalid, match=name):
        open_channel("a", {"key": KEY, name: text})
