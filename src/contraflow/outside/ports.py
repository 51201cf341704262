"""Places to listen at, `HOST:PORT`, and whether they are free."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from contraflow.errors import SettingInvalid

PORT_MAX = 65_535
TRIED_MAX = 100


def places_from(first: str, count: int) -> list[str]:
    """So many on following ports. Raises SettingInvalid where there are none."""
    host, _, port = first.rpartition(":")
    if not 0 < int(port) <= PORT_MAX + 1 - count:
        raise SettingInvalid(f"{first}: a port from 1 to {PORT_MAX + 1 - count} is needed")
    return [f"{host}:{int(port) + step}" for step in range(count)]


def next_free(place: str, count: int) -> str:
    """This one, or the nearest above it, that has so many free ones in a row."""
    host, _, port = place.rpartition(":")
    candidates = [f"{host}:{each}" for each in range(int(port), int(port) + TRIED_MAX)]
    for candidate in candidates:
        if all(obstacle_at(each) is None for each in places_from(candidate, count)):
            return candidate
    return place  # Whoever tries to listen there is told why it cannot.


def obstacle_at(place: str) -> str | None:
    """Why nobody can listen there now."""
    host, _, port = place.rpartition(":")
    with socket.socket() as place_taker:
        place_taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # As who comes later.
        try:
            place_taker.bind((host, int(port)))
            place_taker.listen()
        except OSError as error:
            return error.strerror or str(error)
    return None


def refuse_taken(setting: str, places: Sequence[str]) -> None:
    for place in places:
        if (obstacle := obstacle_at(place)) is not None:
            raise SettingInvalid(f"{setting}: {place}: {obstacle}")
