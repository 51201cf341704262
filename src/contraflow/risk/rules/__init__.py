"""One risk rule per file.

This page is the contract. Each file beside it defines one `RULE`.
"""

from __future__ import annotations

from typing import Protocol

from contraflow.domain.commands import RequestRefund, RequestReversal
from contraflow.domain.snapshot import Snapshot


class Rule(Protocol):
    @property
    def name(self) -> str: ...

    def rejects(self, command: RequestRefund | RequestReversal, snapshot: Snapshot) -> bool: ...
