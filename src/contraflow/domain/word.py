"""A closed set of words; each is a text, and hashes as fast as one."""

from __future__ import annotations

import enum


class Word(enum.StrEnum):
    """The library's enums hash in Python; tables of states are looked up at every step."""

    __hash__ = str.__hash__
