"""The numbered invariants over a whole database: of the simulation at rest, and of `doctor`.

Everything is computed again from the parts: from the instructions, from the lines of the books,
from the events one after another. Each check returns what is wrong, in words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from contraflow.domain.facts import FactKind, FactState
from contraflow.domain.ids import number_for, tenant_of
from contraflow.domain.instruction import Instruction, Kind
from contraflow.domain.lifecycle import (
    BIRTHS,
    FINAL,
    PAYMENT_BIRTHS,
    PAYMENT_TRANSITIONS,
    TRANSITIONS,
    PaymentState,
    PaymentStep,
    State,
    Step,
)
from contraflow.domain.movement import TURNS
from contraflow.engine.papers import EventBody
from contraflow.errors import InvariantBroken
from contraflow.ledger.accounts import Account, account_name
from contraflow.ledger.journal import REFUND_SIDES
from contraflow.store import Contents

Finding = tuple[str, str]  # The invariant, and what breaks it.
STEPS = {step.value: step for step in Step}
STATES = {state.value: state for state in State}
DECODER = msgspec.json.Decoder(EventBody)


def audit(contents: Contents) -> list[Finding]:
    """Everything that is wrong; empty where all is well."""
    try:
        bodies = [DECODER.decode(body) for _, _, _, body in contents.events]
    except msgspec.DecodeError as error:
        return [("I15", f"an event cannot be read: {error}")]
    return [
        *check_payments(contents),
        *check_numbers(contents),
        *check_books(contents),
        *check_events(contents, bodies),
        *check_lives(contents, bodies),
    ]


def check_contents(contents: Contents) -> None:
    """Raises InvariantBroken with the first finding."""
    for invariant, detail in audit(contents):
        raise InvariantBroken(invariant, detail)


def check_payments(contents: Contents) -> Iterator[Finding]:
    """I1 and I9: every amount of a payment is the sum of its parts."""
    own: defaultdict[str, list[Instruction]] = defaultdict(list)
    for instruction in contents.instructions.values():
        own[instruction.payment_id].append(instruction)
    facts: Counter[tuple[str, FactKind]] = Counter()
    for fact in contents.facts.values():
        if fact.state is not FactState.WON:
            facts[fact.payment_id, fact.kind] += fact.minor
    for payment_id, payment in contents.payments.items():
        refunds = [i for i in own[payment_id] if i.kind is Kind.REFUND]
        if any(i.currency != payment.currency for i in own[payment_id]):
            yield "I9", f"{payment_id} has instructions in another currency"
        expected = {
            "reserved": minor_of(i for i in refunds if i.state not in FINAL),
            "refunded": minor_of(i for i in refunds if i.state is State.SUCCEEDED)
            + facts[payment_id, FactKind.REFUND_ELSEWHERE],
            "charged_back": facts[payment_id, FactKind.CHARGEBACK],
            "captured": facts[payment_id, FactKind.CAPTURE],
            "unknown": sum(i.state is State.UNKNOWN for i in own[payment_id]),
        }
        for name, minor in expected.items():
            if getattr(payment, name) != minor:
                yield "I9", f"{name} should be {minor}: {payment}"
        if payment.excess != max(payment.gone - payment.captured, 0):
            yield "I1", f"{payment.gone} have left: {payment}"


def check_numbers(contents: Contents) -> Iterator[Finding]:
    """I3: a number follows from the request and its generation."""
    for instruction in contents.instructions.values():
        number = number_for(
            payment_id=instruction.payment_id,
            key=instruction.key,
            leg=instruction.leg,
            generation=instruction.generation,
        )
        if instruction.number != number:
            yield "I3", f"its number should be {number}: {instruction}"


def check_books(contents: Contents) -> Iterator[Finding]:
    """I11 is by construction (an entry debits what it credits); I12, I13 and the loss account."""
    sums: Counter[tuple[str, str]] = Counter()
    for _, _, debit, credit, minor, currency in contents.entries:
        sums[debit, currency] += minor
        sums[credit, currency] -= minor
    for account in sorted(set(sums) | set(contents.balances)):
        if sums[account] != contents.balances.get(account, 0):
            balance = contents.balances.get(account)
            yield "I12", f"{account} says {balance}, its lines {sums[account]}"
    owed: Counter[tuple[str, str]] = Counter()
    for payment in contents.payments.values():
        tenant, channel = tenant_of(payment.payment_id), payment.channel
        flight = account_name(Account.IN_FLIGHT, tenant=tenant, channel=channel)
        loss = account_name(Account.LOSS, tenant=tenant, channel=channel)
        receivable = account_name(Account.CHANNEL, tenant=tenant, channel=channel)
        owed[flight, payment.currency] -= payment.reserved
        owed[loss, payment.currency] += payment.excess
        left = payment.refunded + payment.charged_back
        owed[receivable, payment.currency] += payment.captured - left
    for account in sorted(owed):
        if owed[account] != sums[account]:
            yield "I13", f"{account} should be {owed[account]}, the books say {sums[account]}"


def check_events(contents: Contents, bodies: list[EventBody]) -> Iterator[Finding]:
    """I29: each transition makes one event, dense for its object."""
    latest: Counter[str] = Counter()
    for _, object_id, sequence, _ in contents.events:
        if sequence != latest[object_id] + 1:
            yield "I29", f"{object_id} jumps to event {sequence}"
        latest[object_id] = sequence
    for instruction in contents.instructions.values():
        if latest[instruction.instruction_id] != instruction.sequence:
            yield "I29", f"{latest[instruction.instruction_id]} events of {instruction}"
    for payment in contents.payments.values():
        if latest[payment.payment_id] != payment.sequence:
            yield "I29", f"{latest[payment.payment_id]} events of {payment}"
    yield from check_entries(contents, bodies)


def check_entries(contents: Contents, bodies: list[EventBody]) -> Iterator[Finding]:
    """I14: every event that moves money has exactly its entries, and no other has any."""
    booked: Counter[tuple[str, int]] = Counter()
    for object_id, sequence, *_ in contents.entries:
        booked[object_id, sequence] += 1
    for body in bodies:
        expected = lines_of(body)
        found = booked.pop((body.id, body.sequence), 0)
        if found != expected:
            yield "I14", f"{found} entries instead of {expected} of {body}"
    for object_id, sequence in booked:
        yield "I14", f"entries of {object_id}/{sequence} without their event"


def lines_of(body: EventBody) -> int:
    """How many entries the event has, from what it says of itself."""
    if body.kind:
        is_move = body.kind == Kind.REFUND and TURNS[STEPS[body.step]] in REFUND_SIDES
        return int(is_move) + (body.excess != 0)
    is_taken = body.step in {PaymentStep.CAPTURE, PaymentStep.RECORD} or (
        body.step == "" and body.payment != "" and body.state == ""
    )
    return int(is_taken and bool(body.minor)) + (body.excess != 0)


def check_lives(contents: Contents, bodies: list[EventBody]) -> Iterator[Finding]:
    """I22: every life follows its table from the first event to the row as it is now."""
    states: dict[str, str] = {}
    for body in bodies:
        if not body.step:
            continue
        before = states.get(body.id)
        if body.kind:
            after = _step_of_instruction(before, body.step)
        else:
            after = _step_of_payment(before, body)
        if after is None or after != body.state:
            yield "I22", f"from {before} by {body.step} to {body.state}: {body.id}"
        states[body.id] = body.state
    rows: Mapping[str, str] = {
        **{i.instruction_id: i.state for i in contents.instructions.values()},
        **{p.payment_id: p.state for p in contents.payments.values()},
    }
    for name, state in rows.items():
        if states.get(name) != state:
            yield "I22", f"{name} is {state}, its events say {states.get(name)}"


def _step_of_instruction(before: str | None, step: str) -> str | None:
    if before is None:
        return BIRTHS.get(STEPS[step])
    return TRANSITIONS.get((STATES[before], STEPS[step]))


def _step_of_payment(before: str | None, body: EventBody) -> str | None:
    if before is None:
        is_birth = body.state in set(PAYMENT_BIRTHS.values())
        return body.state if body.step == PaymentStep.RECORD and is_birth else None
    return PAYMENT_TRANSITIONS.get((PaymentState(before), PaymentStep(body.step)))


def minor_of(instructions: Iterable[Instruction]) -> int:
    return sum(i.minor for i in instructions)
