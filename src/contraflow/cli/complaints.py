"""What went wrong, as a code, a sentence and an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import typer

from contraflow import errors
from contraflow.cli import paper
from contraflow.cli.exits import Exit
from contraflow.domain.money import AmountInvalid
from contraflow.errors import ErrorCode
from contraflow.requests.fields import FieldInvalid

KNOWN: Mapping[type[Exception], tuple[Exit, str]] = {
    FieldInvalid: (Exit.BAD_INPUT, ErrorCode.FIELD_INVALID),
    AmountInvalid: (Exit.BAD_INPUT, ErrorCode.AMOUNT_INVALID),
    errors.SettingInvalid: (Exit.BAD_INPUT, "setting_invalid"),
    errors.PluginInvalid: (Exit.BAD_INPUT, "plugin_invalid"),
    errors.DatabaseInUse: (Exit.DATABASE, "database_in_use"),
    errors.StoreUnwritable: (Exit.DATABASE, "store_unwritable"),
    errors.SettingUnsafe: (Exit.DATABASE, "setting_unsafe"),
    errors.SchemaUnknown: (Exit.DATABASE, "schema_unknown"),
    errors.LibraryTooOld: (Exit.DATABASE, "library_too_old"),
    errors.Superseded: (Exit.DATABASE, "superseded"),
    errors.Overloaded: (Exit.DATABASE, "overloaded"),
}


def complain_of(error: Exception, *, as_json: bool) -> NoReturn:
    """Only of what is in KNOWN."""
    code, word = KNOWN[type(error)]
    if isinstance(error, AmountInvalid):
        word = error.code
    complain(code, word, str(error), as_json=as_json)


def complain(code: Exit, word: str, detail: str, *, as_json: bool) -> NoReturn:
    """To a program where it reads, to a person beside the output."""
    if as_json:
        paper.print_json({"error": {"code": word, "detail": detail}})
    else:
        typer.echo(f"{word}: {detail}" if detail else word, err=True)
    raise typer.Exit(code)
