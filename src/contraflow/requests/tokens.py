"""The text of an API key: what it is for, 256 random bits, and a check of its spelling.

Only its SHA-256 is kept: with so many random bits nobody can guess what was hashed. The prefix is
for whoever looks for lost secrets in texts.
"""

from __future__ import annotations

import base64
import hashlib
import re

MODES = ("test", "live")
RANDOM_BYTES = 32
CHECK_BYTES = 5
HINT_CHARACTERS = 12
TOKEN = re.compile(r"cf_(test|live)_[a-z2-7]{60}")


def token_of(mode: str, chance: bytes) -> str:
    assert mode in MODES
    assert len(chance) == RANDOM_BYTES
    text = f"cf_{mode}_{_base32(chance)}"
    return text + _check_of(text)


def hash_of(token: str) -> bytes | None:
    """None if it is none of ours, or misspelt: then nobody needs to look for it."""
    if not TOKEN.fullmatch(token) or _check_of(token[:-8]) != token[-8:]:
        return None
    return hashlib.sha256(token.encode()).digest()


def hint_of(token: str) -> str:
    return token[:HINT_CHARACTERS]


def _check_of(text: str) -> str:
    return _base32(hashlib.sha256(text.encode()).digest()[:CHECK_BYTES])


def _base32(value: bytes) -> str:
    return base64.b32encode(value).decode().rstrip("=").lower()
