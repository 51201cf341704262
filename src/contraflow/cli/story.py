"""The story of an instruction or a payment, from its events: attempts, proofs, entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from contraflow.cli import paper
from contraflow.domain.ids import name_of
from contraflow.domain.lifecycle import Step
from contraflow.domain.outcome import NO_EVIDENCE
from contraflow.engine.papers import EventBody
from contraflow.engine.views import MoneyView, money_view, time_text
from contraflow.store import Record

MARKS = frozenset({Step.SEND, Step.RESEND, Step.REDIRECT})
DECODER = msgspec.json.Decoder(EventBody)


class AttemptView(Struct, frozen=True, kw_only=True):
    instruction: str
    attempt: int
    number: str
    marked_at: str
    leave_by: str


class ProofView(Struct, frozen=True, kw_only=True):
    """What the channel, or a person, said; and what it did here."""

    about: str
    at: str
    led_to: str
    proof: str
    code: str
    message: str
    status: int
    request_sha256: str
    reply_sha256: str


class EntryView(Struct, frozen=True, kw_only=True):
    about: str
    sequence: int
    debit: str
    credit: str
    amount: MoneyView


class EventView(Struct, frozen=True, kw_only=True):
    position: int
    at: str
    about: str
    sequence: int
    type: str
    step: str
    amount: MoneyView | None
    detail: str


class Story(Struct, frozen=True, kw_only=True):
    attempts: tuple[AttemptView, ...]
    proofs: tuple[ProofView, ...]
    entries: tuple[EntryView, ...]
    events: tuple[EventView, ...]


def story_of(events: Sequence[tuple[int, Record]]) -> Story:
    read = [(position, record, DECODER.decode(record.body)) for position, record in events]
    bodies = [body for _, _, body in read]
    return Story(
        attempts=tuple(_attempt(body) for body in bodies if body.step in MARKS),
        proofs=tuple(_proof(body) for body in bodies if body.evidence != NO_EVIDENCE),
        entries=tuple(
            EntryView(
                about=name_of(record.object_id),
                sequence=record.sequence,
                debit=entry.debit,
                credit=entry.credit,
                amount=money_view(entry.minor, entry.currency),
            )
            for _, record, _ in read
            for entry in record.entries
        ),
        events=tuple(_event(position, body) for position, _, body in read),
    )


def _attempt(body: EventBody) -> AttemptView:
    return AttemptView(
        instruction=name_of(body.id),
        attempt=body.attempt,
        number=body.number,
        marked_at=time_text(body.at),
        leave_by=time_text(body.leave_by),
    )


def _proof(body: EventBody) -> ProofView:
    evidence = body.evidence
    return ProofView(
        about=name_of(body.id),
        at=time_text(body.at),
        led_to=body.type,
        proof=evidence.proof,
        code=evidence.code,
        message=evidence.message,
        status=evidence.status,
        request_sha256=evidence.request_sha256,
        reply_sha256=evidence.reply_sha256,
    )


def _event(position: int, body: EventBody) -> EventView:
    has_amount = body.minor is not None and body.currency != ""
    return EventView(
        position=position,
        at=time_text(body.at),
        about=name_of(body.id),
        sequence=body.sequence,
        type=body.type,
        step=body.step,
        amount=money_view(body.minor or 0, body.currency) if has_amount else None,
        detail=body.detail or body.failure,
    )


def print_story(story: Story) -> None:
    _print(
        "attempts", ("instruction", "attempt", "number", "marked_at", "leave_by"), story.attempts
    )
    heads = ("at", "about", "led_to", "proof", "code", "message", "status", "reply_sha256")
    _print("proofs", heads, story.proofs)
    _print("entries", ("about", "sequence", "debit", "credit", "amount"), story.entries)
    heads = ("position", "at", "about", "sequence", "type", "step", "amount", "detail")
    _print("events", heads, story.events)


def _print(title: str, heads: tuple[str, ...], rows: Iterable[Struct]) -> None:
    """A column is the field of the same name; a hash is cut to what an eye can compare."""
    cells = [
        [str(getattr(r, h))[:12] if h.endswith("sha256") else getattr(r, h) for h in heads]
        for r in rows
    ]
    paper.print_table(title, [head.replace("_", " ") for head in heads], cells)
