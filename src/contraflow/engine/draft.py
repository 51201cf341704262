"""A batch as it is being decided: what was loaded, and what each decision makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from contraflow.domain.cases import Case, CaseKind, Parked
from contraflow.domain.commands import Line, Nonce
from contraflow.domain.decision import Accepted, Answer, Receipt
from contraflow.domain.events import Event
from contraflow.domain.facts import BookedFact
from contraflow.domain.ids import qualified, tenant_of
from contraflow.domain.instruction import Instruction, Labels
from contraflow.domain.payment import Payment
from contraflow.domain.policy import Policy
from contraflow.domain.snapshot import Snapshot
from contraflow.engine.papers import record_of
from contraflow.store import Commit, Loaded

LABELS = msgspec.json.Decoder(Labels)
MARK = '"merchant_reference"'  # Most have none.


@dataclass(slots=True)
class Draft:
    """Only `plan` holds one, for the time of one batch. Each command must see those before it."""

    loaded: Loaded
    snapshot: Snapshot
    payments: dict[str, Payment]
    instructions: dict[str, Instruction]
    numbers: dict[str, str]
    receipts: dict[str, Receipt]
    facts: dict[str, BookedFact]
    cases: dict[str, Case]
    holds: set[str]
    quarantined: set[str]
    unserved: frozenset[str]  # Payments whose channel the settings do not name.
    changed_payments: dict[str, Payment] = field(default_factory=dict)
    changed_instructions: dict[str, Instruction] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    new_receipts: list[Receipt] = field(default_factory=list)
    new_facts: dict[str, BookedFact] = field(default_factory=dict)
    new_cases: dict[str, Case] = field(default_factory=dict)
    parked: list[Parked] = field(default_factory=list)
    switched: list[tuple[str, bool]] = field(default_factory=list)
    lines: dict[Line, str] = field(default_factory=dict)
    nonces: dict[str, bytes] = field(default_factory=dict)
    new_nonces: list[Nonce] = field(default_factory=list)


def draft_of(loaded: Loaded, policy: Policy) -> Draft:
    payments, instructions = dict(loaded.payments), dict(loaded.instructions)
    numbers, facts, cases = dict(loaded.numbers), dict(loaded.facts), dict(loaded.cases)
    holds, quarantined = set(loaded.holds), set(loaded.quarantined)
    snapshot = Snapshot(
        now=loaded.now,
        policy=policy,
        payments=payments,
        instructions=instructions,
        numbers=numbers,
        facts=facts,
        cases=cases,
        holds=holds,
        quarantined=quarantined,
    )
    return Draft(
        loaded=loaded,
        snapshot=snapshot,
        payments=payments,
        instructions=instructions,
        numbers=numbers,
        receipts=dict(loaded.receipts),
        facts=facts,
        cases=cases,
        holds=holds,
        quarantined=quarantined,
        nonces=dict(loaded.nonces),
        unserved=frozenset(i for i, p in payments.items() if p.channel not in policy.terms),
    )


def adopt(draft: Draft, accepted: Accepted) -> None:
    """What a decision changes, so that the next command sees it."""
    payment = accepted.payment
    if payment is not None:
        draft.payments[payment.payment_id] = payment
        draft.changed_payments[payment.payment_id] = payment
    for instruction in accepted.instructions:
        draft.instructions[instruction.instruction_id] = instruction
        draft.changed_instructions[instruction.instruction_id] = instruction
        draft.numbers[instruction.number] = instruction.instruction_id
    draft.events.extend(accepted.events)
    for fact in accepted.facts:
        draft.facts[fact.fact_id] = draft.new_facts[fact.fact_id] = fact
    for case in accepted.cases:
        draft.cases[case.case_id] = draft.new_cases[case.case_id] = case
        if case.kind is CaseKind.QUARANTINED:
            change = draft.quarantined.add if case.closed_at is None else draft.quarantined.discard
            change(case.object_id)
    if accepted.parked is not None:
        draft.parked.append(accepted.parked)
    if accepted.hold is not None:
        scope, is_on = accepted.hold
        (draft.holds.add if is_on else draft.holds.discard)(scope)
        draft.switched.append(accepted.hold)


def commit_of(draft: Draft, answers: Sequence[Answer]) -> Commit:
    loaded, now = draft.loaded, draft.loaded.now
    payments = draft.changed_payments.items()
    instructions = draft.changed_instructions.items()
    return Commit(
        payments=[p for i, p in payments if p is not loaded.payments.get(i)],
        instructions=[r for i, r in instructions if r is not loaded.instructions.get(i)],
        receipts=draft.new_receipts,
        records=[record_of(event, now) for event in draft.events],
        facts=list(draft.new_facts.values()),
        cases=list(draft.new_cases.values()),
        parked=draft.parked,
        holds=draft.switched,
        lines=list(draft.lines.items()),
        answers=answers,
        nonces=draft.new_nonces,
        references=_references(draft),
    )


def _references(draft: Draft) -> list[tuple[str, str]]:
    """What the merchant calls the objects that are born in this batch."""
    loaded = draft.loaded
    born: list[tuple[str, str]] = [
        *((i, p.labels) for i, p in draft.changed_payments.items() if i not in loaded.payments),
        *(
            (i, each.labels)
            for i, each in draft.changed_instructions.items()
            if i not in loaded.instructions
        ),
    ]
    named = [(i, LABELS.decode(labels).merchant_reference) for i, labels in born if MARK in labels]
    return [(qualified(tenant_of(i), name), i) for i, name in named if name]
