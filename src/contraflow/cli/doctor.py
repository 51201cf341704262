"""Look for what is wrong with a database: its file, its books, and against the bank's own book."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import typer
from msgspec import Struct

from contraflow import wiring
from contraflow.cli import paper
from contraflow.cli import parameters as p
from contraflow.cli.exits import Exit
from contraflow.cli.place import Place, look, place_of
from contraflow.domain.instruction import Instruction, numbers_of
from contraflow.domain.lifecycle import FINAL, State
from contraflow.engine.audit import Finding, audit
from contraflow.engine.waiting import AT_REST
from contraflow.store import Contents, Views
from contraflow.wiring import Effect

Effects = Mapping[str, Effect]
HAPPENED = frozenset({State.SUCCEEDED, State.BOUNCED})


class Examination(Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]
    unresolved: int  # Instructions that are neither final nor with an operator.
    attention: int  # Instructions that wait for an operator's decision.
    cases: int  # Open ones of every other kind.
    holds: tuple[str, ...]  # Scopes in which nothing is sent.
    payments: int
    instructions: int
    events: int
    is_compared: bool  # With a bank's own book.


def doctor(
    *,
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """Check the whole database, of all tenants. Exit code 1 if anything is wrong."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    examined = examine(place)
    if as_json:
        paper.print_json({"ok": not examined.findings, **_fields(examined)})
    else:
        print_examination(examined)
    raise typer.Exit(Exit.NOT_YET if examined.findings else Exit.DONE)


def examine(place: Place) -> Examination:
    """Also beside a running engine: the bank is read before and after our own book is."""
    with paper.progress("reading", total=4, is_quiet=place.as_json) as bar:
        before = effects_of(place)
        damage = look(place, lambda views: views.damage())
        if damage:
            return damaged(damage)
        bar.update(advance=1)
        contents, holds = look(place, all_in)
        bar.update(advance=1, description="checking")
        findings = audit(contents)
        bar.update(advance=1, description="comparing")
        after = effects_of(place)
        if before is not None and after is not None:
            findings += compare(contents, before, after)
    open_ones = [i for i in contents.instructions.values() if i.state not in AT_REST]
    return Examination(
        findings=tuple(findings),
        unresolved=len(open_ones),
        attention=sum(i.state is State.ATTENTION for i in contents.instructions.values()),
        cases=sum(case.closed_at is None for case in contents.cases.values()),
        holds=tuple(holds),
        payments=len(contents.payments),
        instructions=len(contents.instructions),
        events=len(contents.events),
        is_compared=after is not None,
    )


async def all_in(views: Views) -> tuple[Contents, list[str]]:
    return await views.contents(), await views.holds()


def damaged(damage: Iterable[str]) -> Examination:
    """Of a file that is broken nothing else can be said."""
    return Examination(
        findings=tuple(("file", detail) for detail in damage),
        unresolved=0,
        attention=0,
        cases=0,
        holds=(),
        payments=0,
        instructions=0,
        events=0,
        is_compared=False,
    )


def effects_of(place: Place) -> Effects | None:
    if place.settings.bank:
        return None  # A process of its own, which alone opens its book.
    effects = wiring.effects_at_bank(place.settings.database)
    return None if effects is None else {effect.number: effect for effect in effects}


def compare(contents: Contents, before: Effects, after: Effects) -> Iterator[Finding]:
    """I2 and I4: each effect was asked for, and succeeded is what the bank did, once, as asked.

    What happened `before` must be known to our book; what our book knows has happened `after`.
    """
    known: set[str] = set()
    for instruction in contents.instructions.values():
        numbers = numbers_of(instruction)
        known.update(numbers)
        yield from compare_one(instruction, numbers, before, after)
    for number, effect in before.items():
        if number not in known:
            yield "I2", f"the bank did what nobody asked for: {effect}"


def compare_one(
    instruction: Instruction, numbers: Iterable[str], before: Effects, after: Effects
) -> Iterator[Finding]:
    own = [after[number] for number in numbers if number in after]
    times = sum(effect.times for effect in own)
    name = f"{instruction.kind} {instruction.instruction_id}"
    if times > 1:
        yield "I2", f"{name} has {times} effects"
    if instruction.state in HAPPENED and times == 0:
        yield "I4", f"{name} is {instruction.state}, and the bank did nothing"
    is_undone = instruction.state in FINAL - HAPPENED
    if is_undone and any(effect.number in before for effect in own):
        yield "I4", f"{name} is {instruction.state}, and the bank did it"
    asked = (instruction.payment_id, instruction.minor, instruction.currency)
    for effect in own:
        done = (effect.payment_id, effect.minor, effect.currency)
        if done != asked:
            yield "I4", f"{name} asked for {asked}, and the bank did {done}"


def _fields(examined: Examination) -> dict[str, object]:
    found: dict[str, object] = {
        name: getattr(examined, name) for name in examined.__struct_fields__
    }
    found["findings"] = [
        {"invariant": invariant, "detail": detail} for invariant, detail in examined.findings
    ]
    return found


def print_examination(examined: Examination) -> None:
    counted: defaultdict[str, int] = defaultdict(int)
    for invariant, detail in examined.findings:
        counted[invariant] += 1
        paper.print_line(f"{invariant}: {detail}")
    told = f"{examined.payments} payments, {examined.instructions} instructions"
    bank = "compared with the bank's book" if examined.is_compared else "there is no bank beside it"
    paper.print_line(f"{told}, {examined.events} events; {bank}")
    for scope in examined.holds:
        paper.print_line(f"on hold: {scope}")
    if examined.attention or examined.cases:
        waiting = f"{examined.attention} in attention, {examined.cases} other cases open"
        paper.print_line(f"for an operator: {waiting} (contraflow attention list)")
    paper.print_line(f"unresolved: {examined.unresolved}")
    verdict = ", ".join(f"{count} of {name}" for name, count in counted.items())
    paper.print_line(f"doctor: {verdict or 'ok'}")
