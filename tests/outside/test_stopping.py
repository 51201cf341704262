"""A signal is noticed and does nothing by itself; afterwards all is as before."""

from __future__ import annotations

import os
import signal

import pytest

from contraflow.outside.stopping import STOPPING, stop_signals


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_is_noticed(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in STOPPING]
    with stop_signals() as stop:
        assert not stop.is_told
        os.kill(os.getpid(), number)
        assert stop.is_told

    assert [signal.getsignal(each) for each in STOPPING] == before


def test_what_is_ignored_stays_so_but_for_the_interrupt_of_a_background_job() -> None:
    before = {each: signal.signal(each, signal.SIG_IGN) for each in STOPPING}
    try:
        with stop_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.is_told
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.is_told
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
