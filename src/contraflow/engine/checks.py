"""The numbered invariants for the rows that a batch touches; at rest see engine/audit.py.

They are computed apart from the code that they check, and every one that fails is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from contraflow.domain.commands import Command, Fenced
from contraflow.domain.decision import Accepted, Told
from contraflow.domain.instruction import Instruction, Kind
from contraflow.domain.lifecycle import FINAL
from contraflow.errors import InvariantBroken
from contraflow.ledger.accounts import Account
from contraflow.store import Commit, Loaded

IN_FLIGHT = f"/{Account.IN_FLIGHT}"


def check_commit(loaded: Loaded, commands: Sequence[Command], commit: Commit) -> None:
    """What one batch may do: each change of what is reserved is a refund's, and in the books."""
    check_reservations(loaded, commit)
    check_admission(loaded, commit)
    check_fences(loaded, commands, commit)
    check_sequences(loaded, commit)
    check_answers(commands, commit)


def check_reservations(loaded: Loaded, commit: Commit) -> None:
    """I13 by difference, for each payment and in the books."""
    moved: Counter[str] = Counter()
    for after in commit.instructions:
        if after.kind is Kind.REFUND:
            before = loaded.instructions.get(after.instruction_id)
            moved[after.payment_id] += reserved_by(after) - reserved_by(before)
    total = 0
    for payment in commit.payments:
        known = loaded.payments.get(payment.payment_id)
        change = payment.reserved - (known.reserved if known else 0)
        if moved.pop(payment.payment_id, 0) != change:
            raise InvariantBroken("I13", f"reserved moved by {change}: {payment}")
        total += change
    if any(moved.values()):
        raise InvariantBroken("I13", f"no payment moved with its refunds: {moved}")
    booked = booked_in_flight(commit)
    if booked != total:
        raise InvariantBroken("I13", f"reserved moved by {total}, the books by {booked}")


def booked_in_flight(commit: Commit) -> int:
    booked = 0
    for record in commit.records:
        for entry in record.entries:
            if entry.credit.endswith(IN_FLIGHT):
                booked += entry.minor
            elif entry.debit.endswith(IN_FLIGHT):
                booked -= entry.minor
    return booked


def reserved_by(instruction: Instruction | None) -> int:
    if instruction is None or instruction.state in FINAL:
        return 0
    return instruction.minor


def check_admission(loaded: Loaded, commit: Commit) -> None:
    """I1: a request never reserves what is not there; only facts raise the excess."""
    for payment in commit.payments:
        known = loaded.payments.get(payment.payment_id)
        if known is None or payment.excess <= known.excess:
            continue
        by_facts = payment.charged_back + payment.refunded > known.charged_back + known.refunded
        if payment.reserved > known.reserved or not by_facts:
            raise InvariantBroken("I1", f"a request was admitted beyond capture: {payment}")


def check_fences(loaded: Loaded, commands: Sequence[Command], commit: Commit) -> None:
    """I23: a write with a stale lease changes nothing."""
    taken: set[str] = set()
    for command, answer in zip(commands, commit.answers, strict=True):
        if not isinstance(command, Fenced) or not isinstance(answer, Accepted):
            continue
        name = command.fence.instruction_id
        known = loaded.instructions.get(name)
        if name in taken or known is None or known.fence != command.fence:
            raise InvariantBroken("I23", f"a stale command was accepted: {command}")
        taken.add(name)


def check_sequences(loaded: Loaded, commit: Commit) -> None:
    """I29: every step of an instruction or a payment made its event, with the next number."""
    made: Counter[str] = Counter(record.object_id for record in commit.records)
    for after in commit.instructions:
        known = loaded.instructions.get(after.instruction_id)
        steps = after.sequence - (known.sequence if known else 0)
        if made[after.instruction_id] != steps:
            found = made[after.instruction_id]
            raise InvariantBroken("I29", f"{steps} steps, {found} events: {after}")
        if known is not None and known.state is not after.state and steps == 0:
            raise InvariantBroken("I29", f"it moved without an event: {after}")
    for payment in commit.payments:
        before = loaded.payments.get(payment.payment_id)
        steps = payment.sequence - (before.sequence if before else 0)
        if made[payment.payment_id] != steps:
            raise InvariantBroken("I29", f"{steps} steps, {made[payment.payment_id]} events")


def check_answers(commands: Sequence[Command], commit: Commit) -> None:
    """I17: nobody is told a receipt that is not kept under its own key."""
    for command, answer in zip(commands, commit.answers, strict=True):
        if isinstance(answer, Told) and answer.receipt.key != getattr(command, "key", ""):
            raise InvariantBroken("I17", f"{command} was told {answer.receipt}")
