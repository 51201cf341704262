"""One payment or instruction as it is now, or its whole story."""

from __future__ import annotations

from typing import Annotated

import typer

from contraflow.cli import paper
from contraflow.cli import parameters as p
from contraflow.cli.complaints import complain
from contraflow.cli.exits import Exit
from contraflow.cli.place import look, place_of
from contraflow.cli.story import print_story, story_of
from contraflow.domain.instruction import Instruction
from contraflow.domain.payment import Payment
from contraflow.engine.views import instruction_view, payment_view
from contraflow.errors import ErrorCode
from contraflow.store import Views

AnyName = Annotated[str, typer.Argument(metavar="ID", help="Of a payment or an instruction.")]
IsStory = Annotated[
    bool, typer.Option("--story", help="Attempts, proofs, entries and events on one page.")
]


def show(
    *,
    name: AnyName,
    story: IsStory = False,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Show a payment with its instructions, or an instruction with its payment."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    object_id = place.id("id", name)
    payment, instructions, is_one = look(place, lambda views: found_in(views, object_id))
    if payment is None:
        complain(Exit.REFUSED, ErrorCode.REVERSAL_UNKNOWN, name, as_json=as_json)
    ids = [instruction.instruction_id for instruction in instructions]
    if not is_one:
        ids.insert(0, payment.payment_id)
    told = story_of(look(place, lambda views: views.events_of(ids))) if story else None
    own = payment_view(payment)
    shown = [instruction_view(instruction) for instruction in instructions]
    if as_json:
        paper.print_json({"payment": own, "instructions": shown, "story": told})
        return
    paper.print_payment(own)
    paper.print_instructions(shown)
    if told is not None:
        print_story(told)


async def found_in(views: Views, object_id: str) -> tuple[Payment | None, list[Instruction], bool]:
    """A payment and all its instructions, or one instruction and its payment."""
    payment = await views.payment(object_id)
    if payment is not None:
        return payment, await views.instructions_of(object_id), False
    instruction = await views.instruction(object_id)
    if instruction is None:
        return None, [], True
    return await views.payment(instruction.payment_id), [instruction], True
