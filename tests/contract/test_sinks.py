"""Every file in sinks/ keeps the promises of sinks/__init__.py."""

from __future__ import annotations

import json
import pkgutil
from pathlib import Path
from typing import Any

import pytest

from contraflow import catalog, sinks
from contraflow.errors import SettingInvalid
from contraflow.sinks import Sink

NAMES = [module.name for module in pkgutil.iter_modules(sinks.__path__)]


def options_of(plugin: str, folder: Path) -> dict[str, str]:
    """What the sink cannot do without."""
    return {"path": str(folder / "events.ndjson")} if plugin == "file" else {}


def opened(plugin: str, folder: Path) -> Sink:
    sink: Sink = catalog.load("contraflow.sinks", plugin, "open_sink")(
        f"my_{plugin}", options_of(plugin, folder)
    )
    return sink


def taken(sink: Any, folder: Path) -> list[int]:
    """What stands in it, in its order; an event may stand there twice."""
    if sink.name == "my_file":
        bodies = [
            json.loads(line)["event"]
            for line in (folder / "events.ndjson").read_bytes().splitlines()
        ]
    else:
        bodies = [json.loads(body) for body in sink.bodies]
    return [body["at"] for body in bodies]


@pytest.fixture(params=NAMES)
def plugin(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_it_is_called_what_the_operator_calls_it(plugin: str, tmp_path: Path) -> None:
    assert opened(plugin, tmp_path).name == f"my_{plugin}"


def test_it_takes_events_in_their_order_and_again(plugin: str, tmp_path: Path) -> None:
    sink = opened(plugin, tmp_path)
    for position in (1, 2, 5, 2, 5, 6):
        sink.deliver(position, b'{"at":%d}' % position)
        sink.flush()

    assert dict.fromkeys(taken(sink, tmp_path)) == dict.fromkeys([1, 2, 5, 6])


def test_each_is_opened_anew(plugin: str, tmp_path: Path) -> None:
    sink, again = opened(plugin, tmp_path), opened(plugin, tmp_path)
    sink.deliver(7, b"{}")
    again.deliver(1, b"{}")

    assert again is not sink


def test_an_option_that_it_does_not_know_is_refused_by_name(plugin: str, tmp_path: Path) -> None:
    options = options_of(plugin, tmp_path) | {"colour": "red"}
    with pytest.raises(SettingInvalid, match=r"sinks\.out\.options"):
        catalog.load("contraflow.sinks", plugin, "open_sink")("out", options)
