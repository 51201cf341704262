"""The options that commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AS_JSON = "contraflow.as_json"  # In the context, so that a complaint can be JSON, too.


def _remember(context: typer.Context, is_json: bool) -> bool:  # noqa: FBT001 typer calls it so
    context.meta[AS_JSON] = is_json
    return is_json


Database = Annotated[
    str | None,
    typer.Option("--db", metavar="FILE", help="The database; else that of the settings."),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", metavar="FILE", envvar="CONTRAFLOW_SETTINGS", help="A TOML file."),
]
Tenant = Annotated[str | None, typer.Option(help="Whose payments; else that of the settings.")]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="One JSON object.", is_eager=True, callback=_remember),
]
Key = Annotated[
    str | None,
    typer.Option(help="The idempotency key: with the same one it happens once. Else one is made."),
]
Wait = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=86_400,
        metavar="N",
        help="Run the engine here until it is at rest, for N seconds at most.",
    ),
]
Minor = Annotated[str, typer.Option(metavar="N", help="The amount in minor units: 1050.")]
Currency = Annotated[str, typer.Option(metavar="CODE", help="ISO 4217: GBP.")]
SomeMinor = Annotated[
    str | None, typer.Option("--minor", metavar="N", help="In minor units; else all that is left.")
]
SomeCurrency = Annotated[
    str | None, typer.Option("--currency", metavar="CODE", help="ISO 4217: GBP.")
]
PaymentName = Annotated[str, typer.Argument(metavar="PAYMENT", help="Your id of the payment.")]
InstructionName = Annotated[
    str, typer.Argument(metavar="ID", help="Of the instruction, as the request printed it.")
]
Reason = Annotated[str, typer.Option(help="Why, for people.")]
Actor = Annotated[str, typer.Option(help="Who asks for it.")]
Payee = Annotated[str, typer.Option(help="Whom the money goes to, for people.")]
Customer = Annotated[str, typer.Option(help="Who pays.")]
Reference = Annotated[str, typer.Option(help="Your own reference.")]
Metadata = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="More of your own; may be repeated.")
]
