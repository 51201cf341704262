"""Every file in sinks/ keeps the promises of sinks/__init__.py."""

import pkgutil

import pytest

from contraflow import catalog, sinks
from contraflow.sinks import Sink

NAMES = [module.name for module in pkgutil.iter_modules(sinks.__path__)]


@pytest.fixture(params=NAMES)
def sink(request: pytest.FixtureRequest) -> Sink:
    opened: Sink = catalog.load("contraflow.sinks", request.param, "open_sink")()
    assert opened.name == request.param
    return opened


def test_it_takes_events_in_their_order(sink: Sink) -> None:
    for position in (1, 2, 5):
        sink.deliver(position, b"{}")

    with pytest.raises(AssertionError):
        sink.deliver(5, b"{}")


def test_each_is_opened_anew(sink: Sink) -> None:
    again: Sink = catalog.load("contraflow.sinks", sink.name, "open_sink")()
    sink.deliver(7, b"{}")
    again.deliver(1, b"{}")

    assert again is not sink
