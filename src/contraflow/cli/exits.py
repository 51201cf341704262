"""With what a command ends; docs/reference/exit-codes.md says it at more length."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    DONE = 0
    NOT_YET = 1
    BAD_INPUT = 2
    REFUSED = 3
    DATABASE = 4
    FAILED = 5
    OUR_FAULT = 70


MEANINGS = {
    Exit.DONE: "done, or accepted",
    Exit.NOT_YET: "doctor has findings, or it is still open after --wait",
    Exit.BAD_INPUT: "bad input; nothing was changed",
    Exit.REFUSED: "the rules refuse it; the code is printed",
    Exit.DATABASE: "the database is in use, missing or unwritable",
    Exit.FAILED: "the instruction failed, or was taken back",
    Exit.OUR_FAULT: "an error of contraflow itself",
}
EPILOG = "Exit codes: " + "; ".join(f"{code.value} {says}" for code, says in MEANINGS.items()) + "."
