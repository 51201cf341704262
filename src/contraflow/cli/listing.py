"""The instructions of a tenant, a page at a time."""

from __future__ import annotations

from typing import Annotated

import typer

from contraflow.cli import paper
from contraflow.cli import parameters as p
from contraflow.cli.place import look, place_of
from contraflow.domain.instruction import Kind
from contraflow.domain.lifecycle import State
from contraflow.engine.views import instruction_view
from contraflow.requests import fields

OneState = Annotated[State | None, typer.Option(help="Only those in this state.")]
OneKind = Annotated[Kind | None, typer.Option(help="Only those of this kind.")]
OneChannel = Annotated[str, typer.Option(help="Only those of this channel.")]
After = Annotated[str, typer.Option(metavar="ID", help="Go on behind this one: `next` of a page.")]
Limit = Annotated[int, typer.Option(min=1, max=1_000, help="How many at most.")]


def list_instructions(
    *,
    state: OneState = None,
    kind: OneKind = None,
    channel: OneChannel = "",
    after: After = "",
    limit: Limit = 50,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """List instructions by id: payment commands, cancels and refunds."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    of_channel = fields.optional_name("channel", channel)
    behind = place.id("after", after) if after else ""
    found = look(
        place,
        lambda views: views.list_instructions(
            place.tenant,
            state=state or "",
            kind=kind or "",
            channel=of_channel,
            after=behind,
            count_max=limit + 1,
        ),
    )
    page = [instruction_view(instruction) for instruction in found[:limit]]
    following = page[-1].id if len(found) > limit else None
    if as_json:
        paper.print_json({"instructions": page, "next": following})
        return
    paper.print_instructions(page)
    if following:
        paper.print_line(f"there are more: --after {following}")
