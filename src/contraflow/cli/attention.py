"""The operator's queue: what waits for a person, and what a person decides."""

from __future__ import annotations

from typing import Annotated

import typer

from contraflow.cli import paper
from contraflow.cli import parameters as p
from contraflow.cli.asking import ask, key_of
from contraflow.cli.place import look, place_of
from contraflow.domain.commands import Resolution, ResolveCase
from contraflow.engine.views import CaseView, case_views
from contraflow.requests import fields
from contraflow.requests.asked import fingerprinted
from contraflow.store import Views

attention = typer.Typer(help="What waits for a person's decision.")
CaseName = Annotated[str, typer.Argument(metavar="ID", help="As listed.")]
Decided = Annotated[
    Resolution, typer.Argument(help="`closed` is for cases that are no instruction.")
]
InWords = Annotated[str, typer.Option(help="How you know; kept for ever.")]


@attention.command("list")
def list_cases(
    *,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """List what waits for a person, the nearest deadline first."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    cases, holds = look(place, lambda views: waiting_in(views, place.tenant))
    if as_json:
        paper.print_json({"cases": cases, "holds": holds})
        return
    paper.print_cases(cases)
    for scope in holds:
        paper.print_line(f"on hold: {scope}")
    if not cases:
        paper.print_line("nothing waits for a person")


async def waiting_in(views: Views, tenant: str) -> tuple[list[CaseView], list[str]]:
    return await case_views(views, tenant), await views.holds()


@attention.command("resolve")
def resolve(
    *,
    case: CaseName,
    resolution: Decided,
    evidence: InWords,
    key: p.Key = None,
    wait: p.Wait = None,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Decide what the engine cannot: it succeeded, it failed, send it again, or close the case."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    if not evidence.strip():
        raise fields.FieldInvalid("evidence", "empty")
    command = ResolveCase(
        key=key_of(place, key),
        fingerprint=b"",
        object_id=fields.case_id(place.tenant, case),
        resolution=resolution,
        evidence=fields.words("evidence", evidence),
    )
    ask(place, fingerprinted("attention/resolve", command), wait)
