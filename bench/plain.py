"""The way it is usually written: an ORM session and a commit for each step, on the same schema.

It leaves the same rows as the engine: receipt, instruction, events, entries and balances. It
checks what such code checks, reads what it needs and knows nothing of batches.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from payments import copy_of
from same_rows import assert_same_rows
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.declarative import DeferredReflection
from sqlalchemy.orm import DeclarativeBase, Session
from stopwatch import Took, timed
from workload import (
    AGAIN_MS,
    LEAVE_WITHIN_MS,
    REFUND,
    frozen_clock,
    is_repeated,
    is_repeated_later,
    live,
    mark,
    neighbourly,
    outcome,
    policy,
    request,
)

from contraflow.domain.commands import RequestRefund
from contraflow.domain.ids import number_for, tenant_of
from contraflow.engine.limits import LEASE_MS
from contraflow.store import sqlite_statements as sql
