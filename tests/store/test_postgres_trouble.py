"""Whatever PostgreSQL complains about has one word of ours."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from contraflow.errors import SchemaUnknown, StoreUnwritable, ValueRefused
from contraflow.store.postgres_trouble import (
    ConnectionLost,
    Taken,
    TooSlow,
    TryAgain,
    in_our_words,
)

OURS: list[tuple[str, type[Exception]]] = [
    ("08006", ConnectionLost),  # The connection failed.
    ("57P01", ConnectionLost),  # Shut down by its operator.
    ("57P02", ConnectionLost),  # Shut down by a crash.
    ("57P03", ConnectionLost),  # It is only starting.
    ("57P05", ConnectionLost),  # The session was idle for too long.
    ("25006", ConnectionLost),  # Read only: a standby by now.
    ("25P04", ConnectionLost),  # The transaction took too long.
    ("23505", Taken),
    ("25P03", TooSlow),  # Idle in a transaction for too long.
    ("40001", TryAgain),  # Not serializable.
    ("40P01", TryAgain),  # A deadlock.
    ("55P03", TryAgain),  # A lock that was not to be had.
    ("57014", TryAgain),  # A statement that took too long.
    ("22021", ValueRefused),  # A character that cannot be.
    ("22003", ValueRefused),  # A number out of range.
    ("23514", ValueRefused),  # A CHECK.
    ("54000", ValueRefused),  # Too large for an index.
    ("54001", ValueRefused),  # Too deep.
    ("53100", StoreUnwritable),  # The disk is full.
    ("53200", StoreUnwritable),  # Out of memory.
    ("53300", StoreUnwritable),  # Too many connections.
    ("58030", StoreUnwritable),  # A file that cannot be read.
    ("57P04", StoreUnwritable),  # The database was dropped.
    ("28P01", StoreUnwritable),  # A wrong password.
    ("42501", StoreUnwritable),  # Not allowed.
    ("3D000", StoreUnwritable),  # No such database.
    ("42P01", SchemaUnknown),  # No such table.
    ("3F000", SchemaUnknown),  # No such schema.
    ("42703", SchemaUnknown),  # No such column.
    ("42883", SchemaUnknown),  # No such function.
    ("42601", AssertionError),  # Our own statement is wrong.
    ("P0001", AssertionError),  # A trigger refused it.
    ("XX000", AssertionError),
]


def said_by_server(state: str, **fields: str) -> asyncpg.PostgresError:
    """As asyncpg makes it of what the server sends."""
    sent = {"S": "ERROR", "C": state, "M": "the message"} | fields
    error: asyncpg.PostgresError = asyncpg.PostgresError.new(sent)
    return error


def in_ours(error: BaseException) -> BaseException:
    with pytest.raises(BaseException) as caught, in_our_words():  # noqa: PT011 any is looked at
        raise error
    return caught.value


@pytest.mark.parametrize(("state", "ours"), OURS)
def test_what_the_server_says_becomes_a_word_of_ours(state: str, ours: type[Exception]) -> None:
    error = said_by_server(state)
    said = in_ours(error)

    assert type(said) is ours
    assert said.__cause__ is error
    assert f"{state} the message" in str(said)


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (ConnectionRefusedError("nobody listens"), ConnectionLost),
        (OSError("the road is gone"), ConnectionLost),
        (TimeoutError("no answer"), ConnectionLost),
        (asyncio.IncompleteReadError(b"", 5), ConnectionLost),
        (asyncpg.InterfaceError("connection is closed"), ConnectionLost),
        (asyncpg.InternalClientError("unexpected"), ConnectionLost),
        (OverflowError("value out of int64 range"), ValueRefused),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), ValueRefused),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_what_our_side_of_the_wire_says_becomes_one_too(
    error: Exception, ours: type[Exception]
) -> None:
    said = in_ours(error)

    assert type(said) is ours
    assert said.__cause__ is error
    assert str(said) == f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("ours"), AssertionError("ours"), TryAgain("ours"), asyncio.CancelledError()],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_business_of_the_database_passes_as_it_is(error: BaseException) -> None:
    assert in_ours(error) is error


def test_nothing_happens_where_nothing_is_wrong() -> None:
    with in_our_words():
        done = "done"

    assert done == "done"


def test_a_value_that_is_refused_is_told_without_its_row() -> None:
    """The detail quotes all columns, and whoever asked has sent only one of them."""
    said = in_ours(said_by_server("23514", D="Failing row contains (secret, 5)."))

    assert str(said) == "23514 the message"


def test_who_finds_no_table_is_told_what_to_do() -> None:
    assert "run contraflow migrate" in str(in_ours(said_by_server("42P01")))


@pytest.mark.parametrize("kind", [Taken, TooSlow])
def test_whoever_was_too_late_may_try_again(kind: type[Exception]) -> None:
    assert issubclass(kind, TryAgain)
