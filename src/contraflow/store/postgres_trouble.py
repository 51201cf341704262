"""What PostgreSQL and the way to it complain about, in our own words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from contraflow.errors import SchemaUnknown, StoreUnwritable, ValueRefused


class ConnectionLost(Exception):
    """The server, or the way to it, is gone. What was not committed is not there."""


class TryAgain(Exception):
    """Others were faster: load and decide again. Nothing was written."""

    times_max = 5  # Then something is wrong that waiting does not mend.


class Taken(TryAgain):
    """A row with this key was written since we looked; the next look finds it."""

    times_max = 50  # Each time one request of the batch at least has found its answer.


class TooSlow(TryAgain):
    """The server waited for us so long, its locks held, that it gave us up."""

    times_max = 2


class ClockJumped(TryAgain):
    """No attempt that had left before is dead as early as this clock says."""


# Class 08 and shutdowns; 25006: it is a standby by now; 57P05: the session was idle for too long.
GONE = ("08", "57P01", "57P02", "57P03", "57P05", "25006", "25P04")
TOO_SLOW = "25P03"
# Serialization, deadlock, a lock or a statement that took too long.
RACES = ("40001", "40P01", "55P03", "57014")
UNIQUE = "23505"
# Values that cannot be stored: class 22 and 23, and what is too large for an index or a row.
REFUSED = ("22", "23", "54000", "54001")
UNWRITABLE = ("53", "58", "57")  # Full, out of memory, too many connections, files that fail.
STRANGE = ("42P01", "3F000", "42703", "42883")  # No such table, schema, column or function.
NOT_ALLOWED = ("28", "42501")  # A wrong password; a login that is not a member of our roles.
WAY = (OSError, asyncio.TimeoutError, EOFError, asyncpg.InternalClientError)


@contextmanager
def in_our_words() -> Iterator[None]:
    """What is no business of the database passes as it is."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _said(error) from error
    except asyncpg.InterfaceError as error:
        raise ConnectionLost(f"{type(error).__name__}: {error}") from error
    except (OverflowError, UnicodeEncodeError) as error:
        raise ValueRefused(f"{type(error).__name__}: {error}") from error
    except WAY as error:
        raise ConnectionLost(f"{type(error).__name__}: {error}") from error


def _said(error: asyncpg.PostgresError) -> Exception:
    state = error.sqlstate or ""
    text = f"{state} {error}"
    if state.startswith(GONE):
        return ConnectionLost(text)
    if state == UNIQUE:
        return Taken(text)
    if state == TOO_SLOW:
        return TooSlow(text)
    if state.startswith(RACES):
        return TryAgain(text)
    if state.startswith(REFUSED):
        return ValueRefused(_without_row(state, error))
    if state.startswith(UNWRITABLE):
        return StoreUnwritable(text)
    if state in STRANGE:
        return SchemaUnknown(f"{text}; run contraflow migrate")
    if state.startswith(NOT_ALLOWED):
        return StoreUnwritable(f"{text}: the server does not let us in")
    if state == "3D000":
        return StoreUnwritable(text)
    return AssertionError(text)  # Our own statement is wrong, or a trigger refused it.


def _without_row(state: str, error: asyncpg.PostgresError) -> str:
    """Its detail quotes the whole row, which is not for whoever sent one value of it."""
    return f"{state} {error.message or ''}"
