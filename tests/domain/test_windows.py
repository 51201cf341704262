"""Is a window still open?"""

import pytest
from cases import DAY_MS, NOW, TIGHT, policy

from contraflow.domain.windows import Window, deadline, is_over


@pytest.mark.parametrize(
    ("since", "within_ms", "over"),
    [
        (NOW - 999, 1_000, False),
        (NOW - 1_000, 1_000, False),
        (NOW - 1_001, 1_000, True),
        (None, 1_000, False),
        (0, None, False),
    ],
)
def test_at_the_very_deadline_it_is_still_open(
    since: int | None, within_ms: int | None, *, over: bool
) -> None:
    assert is_over(since, within_ms, NOW) is over


@pytest.mark.parametrize(
    ("since", "within_ms", "until"),
    [(NOW, DAY_MS, NOW + DAY_MS), (0, DAY_MS, DAY_MS), (None, DAY_MS, None), (NOW, None, None)],
)
def test_the_deadline_is_the_last_moment_it_is_open(
    since: int | None, within_ms: int | None, until: int | None
) -> None:
    assert deadline(since, within_ms) == until


@pytest.mark.parametrize(
    ("windows", "method", "window"),
    [
        ({"": Window(), "tight": TIGHT}, "tight", TIGHT),
        ({"": TIGHT}, "unheard_of", TIGHT),
        ({"": TIGHT, "wide": Window()}, "wide", Window()),
        ({}, "tight", Window()),
    ],
)
def test_a_method_without_a_window_has_the_one_for_every_other(
    windows: dict[str, Window], method: str, window: Window
) -> None:
    assert policy(windows=windows).terms["card"].window(method) == window
