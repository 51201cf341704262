"""What does the switch of the hold mode change?"""

import pytest
from cases import KEY, accepted, instruction, snapshot

from contraflow.domain.commands import SwitchHold
from contraflow.domain.decide.switch import decide_switch, is_on_hold
from contraflow.domain.decision import Accepted
from contraflow.domain.events import HoldSwitched
from contraflow.domain.lifecycle import State


def switch(scope: str = "all", *, is_on: bool) -> SwitchHold:
    return SwitchHold(key=KEY, fingerprint=bytes(32), scope=scope, is_on=is_on)


@pytest.mark.parametrize(("holds", "is_on"), [((), True), (("all",), False)])
def test_a_switch_is_an_event(holds: tuple[str, ...], *, is_on: bool) -> None:
    decision = decide_switch(snapshot(holds=holds), switch(is_on=is_on))

    assert decision == Accepted(hold=("all", is_on), events=(HoldSwitched("all", is_on, KEY),))


@pytest.mark.parametrize(("holds", "is_on"), [((), False), (("all",), True)])
def test_what_is_so_already_stays_so_without_an_event(
    holds: tuple[str, ...], *, is_on: bool
) -> None:
    assert decide_switch(snapshot(holds=holds), switch(is_on=is_on)) == Accepted()


def test_scopes_are_switched_one_by_one() -> None:
    decision = decide_switch(snapshot(holds=["all"]), switch("channel:card", is_on=True))

    assert accepted(decision).hold == ("channel:card", True)


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        ([], False),
        (["all"], True),
        (["channel:card"], True),
        (["merchant:shop"], True),
        (["channel:rail", "merchant:card", "channel:shop", "shop", "card"], False),
        (["merchant:stall", "channel:card"], True),
    ],
)
def test_a_scope_holds_what_is_in_it_and_nothing_else(holds: list[str], *, expected: bool) -> None:
    assert is_on_hold(snapshot(holds=holds), instruction(State.ACCEPTED)) is expected
