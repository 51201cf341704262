"""The command line as a whole: which commands there are, and where what went wrong ends."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from contraflow.cli.attention import attention
from contraflow.cli.bank import bank
from contraflow.cli.cancel import cancel
from contraflow.cli.capture import capture
from contraflow.cli.complaints import KNOWN, complain, complain_of
from contraflow.cli.demo import demo
from contraflow.cli.doctor import doctor
from contraflow.cli.exits import EPILOG, Exit
from contraflow.cli.export import export
from contraflow.cli.figures import metrics
from contraflow.cli.hold import hold
from contraflow.cli.keys import keys
from contraflow.cli.listing import list_instructions
from contraflow.cli.migrate import migrate
from contraflow.cli.options import options
from contraflow.cli.parameters import AS_JSON
from contraflow.cli.pay import pay
from contraflow.cli.refund import refund
from contraflow.cli.replay import replay
from contraflow.cli.reverse import reverse
from contraflow.cli.serve import serve
from contraflow.cli.show import show
from contraflow.cli.simulate import simulate
from contraflow.cli.up import up
from contraflow.cli.withdraw import reject, release, withdraw
from contraflow.cli.work import work
from contraflow.errors import ErrorCode

COMMANDS: Mapping[str, Callable[..., None]] = {
    "pay": pay,
    "capture": capture,
    "cancel": cancel,
    "refund": refund,
    "reverse": reverse,
    "withdraw": withdraw,
    "options": options,
    "show": show,
    "list": list_instructions,
    "release": release,
    "reject": reject,
    "up": up,
    "serve": serve,
    "work": work,
    "bank": bank,
    "metrics": metrics,
    "migrate": migrate,
    "doctor": doctor,
    "export": export,
    "demo": demo,
    "replay": replay,
    "simulate": simulate,
}
GROUPS = {"attention": attention, "hold": hold, "keys": keys}
LOG = logging.getLogger("contraflow")


class Door(TyperGroup):
    """The one place where a complaint becomes words and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except tuple(KNOWN) as error:
            complain_of(error, as_json=bool(ctx.meta.get(AS_JSON)))
        except typer.BadParameter as error:
            if not ctx.meta.get(AS_JSON):
                raise
            detail = error.format_message()
            complain(Exit.BAD_INPUT, ErrorCode.FIELD_INVALID, detail, as_json=True)


app = typer.Typer(
    cls=Door,
    help="Cancel, void, close and refund payments exactly once, with books that balance.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for name, group in GROUPS.items():
    app.add_typer(group, name=name, no_args_is_help=True)
for name, command in COMMANDS.items():
    app.command(name)(command)


def main() -> None:
    """Of our own faults an assertion ends the process as it is; any other is logged."""
    try:
        app()
    except AssertionError:
        raise
    except Exception:
        LOG.exception("contraflow has failed")
        sys.exit(Exit.OUR_FAULT)


if __name__ == "__main__":
    main()
