"""What SQLite complains about, in our own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from contraflow.errors import SchemaUnknown, StoreUnwritable, ValueRefused

UNWRITABLE = (
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.BusyError,
    apsw.LockedError,
)
REFUSED = (
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.TooBigError,
    OverflowError,
    UnicodeEncodeError,
)
# A trigger or a key that was written twice: no client can cause that, so our own code is wrong.
OURS = {
    apsw.SQLITE_CONSTRAINT_TRIGGER,
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY,
    apsw.SQLITE_CONSTRAINT_UNIQUE,
}


@contextmanager
def in_our_words() -> Iterator[None]:
    """What is no business of the store passes as it is."""
    try:
        yield
    except UNWRITABLE as error:
        raise StoreUnwritable(f"{type(error).__name__}: {error}") from error
    except apsw.NotADBError as error:
        raise SchemaUnknown("the file is no database") from error
    except REFUSED as error:
        if getattr(error, "extendedresult", None) in OURS:
            raise AssertionError(str(error)) from error
        raise ValueRefused(f"{type(error).__name__}: {error}") from error
