"""Which rows a batch of commands reaches for, and what its follow-ups may reach for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from msgspec import Struct

from contraflow.domain import commands as c
from contraflow.domain.cases import CaseKind
from contraflow.domain.commands import Command, Line
from contraflow.domain.facts import FactKind, fact_id_for, notice_id_for
from contraflow.domain.ids import name_of, policy_key, tenant_of
from contraflow.domain.instruction import Instruction, Kind
from contraflow.domain.lifecycle import UNPAID
from contraflow.domain.observation import (
    Answered,
    Captured,
    ChargedBack,
    Fact,
    RefundedElsewhere,
)
from contraflow.domain.payment import Payment

FENCED = (c.MarkSent, c.ClaimInquiry, c.RecordOutcome, c.FireTimer)
OF_INSTRUCTION = (c.WithdrawReversal, c.ReleaseHold, c.RejectHold)
MAY_CANCEL = (c.RequestCancel, c.RequestReversal, c.ExpirePayment)
OF_PAYMENT = (
    *MAY_CANCEL,
    c.RequestRefund,
    c.RecordPayment,
    c.CreatePayment,
    c.RecordCapture,
    c.RequestCapture,
)
TELLING = (c.RecordFact, c.RetryParked)
ALONE = (c.ResolveCase, c.SwitchHold, c.Quarantine)
KEYED = tuple(kind for kind in get_args(c.ClientCommand) if issubclass(kind, c.Keyed))
assert set(get_args(Command)) == {*FENCED, *OF_INSTRUCTION, *OF_PAYMENT, *TELLING, *ALONE}

PAYMENT_COMMANDS = frozenset({Kind.PAY, Kind.CAPTURE})
ByKind = Mapping[type[Any], Sequence[Any]]


class Reach(Struct, frozen=True):
    """What the commands name themselves; without duplicates where it matters."""

    instruction_ids: list[str]
    payment_ids: list[str]
    numbers: list[str]  # That channels speak of.
    may_cancel: list[str]  # Payments whose own command may have to be withdrawn.
    capturing: list[str]  # Payments whose cancels may have come too late.
    keys: list[str]
    fact_ids: list[str]
    case_ids: list[str]
    lines: list[Line]
    nonces: list[str]


def reach_of(commands: Sequence[Command]) -> Reach:
    by_kind: defaultdict[type[Any], list[Any]] = defaultdict(list)
    for command in commands:
        by_kind[type(command)].append(command)
    told = _facts_in(by_kind)
    captured = [fact.payment_id for fact in told if isinstance(fact, Captured)]
    captured += [command.payment_id for command in by_kind.get(c.RecordCapture, ())]
    fact_ids = _fact_ids(by_kind, told)
    named = [command.payment_id for kind in OF_PAYMENT for command in by_kind.get(kind, ())]
    told_of = [fact.payment_id for fact in told if not isinstance(fact, Answered)]
    return Reach(
        instruction_ids=_instruction_ids(by_kind),
        payment_ids=named + told_of,
        numbers=[fact.number for fact in told if isinstance(fact, Answered)],
        may_cancel=[command.payment_id for kind in MAY_CANCEL for command in by_kind.get(kind, ())],
        capturing=captured,
        keys=_keys(by_kind, fact_ids),
        fact_ids=fact_ids,
        case_ids=_case_ids(by_kind),
        lines=_lines(by_kind),
        nonces=_nonces(by_kind),
    )


def unsent_ids(reach: Reach, payments: Mapping[str, Payment]) -> list[str]:
    """The payment commands that a cancel takes back, if the channel never had them.

    A payment is `pending` from its first mark; its command may be waiting again after NOT_SENT.
    """
    unpaid = (payments.get(payment_id) for payment_id in reach.may_cancel)
    return [
        f"{tenant_of(payment.payment_id)}/{payment.pay_number}"
        for payment in unpaid
        if payment is not None and payment.state in UNPAID and payment.pay_number
    ]


def paying(instructions: Iterable[Instruction]) -> list[str]:
    """Payments whose money may be taken by the outcome of one of these."""
    return [i.payment_id for i in instructions if i.kind in PAYMENT_COMMANDS]


def fall_through_keys(instructions: Iterable[Instruction]) -> list[str]:
    """Keys of the refunds that may follow, by our policy, a cancel that came too late."""
    return [
        policy_key(instruction.payment_id, instruction.instruction_id)
        for instruction in instructions
        if instruction.is_fallback
    ]


def _instruction_ids(by_kind: ByKind) -> list[str]:
    ids = [command.fence.instruction_id for kind in FENCED for command in by_kind.get(kind, ())]
    ids += [command.instruction_id for kind in OF_INSTRUCTION for command in by_kind.get(kind, ())]
    ids += [command.object_id for command in by_kind.get(c.ResolveCase, ())]
    return ids


def _facts_in(by_kind: ByKind) -> list[Fact]:
    return [command.observation.fact for kind in TELLING for command in by_kind.get(kind, ())]


def _fact_ids(by_kind: ByKind, told: Sequence[Fact]) -> list[str]:
    ids = [
        fact_id_for(command.payment_id, FactKind.CAPTURE, command.capture_id)
        for command in by_kind.get(c.RequestRefund, ())
        if command.capture_id
    ]
    ids += [
        fact_id_for(command.payment_id, FactKind.CAPTURE, name_of(command.key))
        for command in by_kind.get(c.RecordCapture, ())
    ]
    ids += [_notice_id(command) for kind in TELLING for command in by_kind.get(kind, ())]
    for fact in told:
        match fact:
            case Captured():
                ids.append(fact_id_for(fact.payment_id, FactKind.CAPTURE, fact.capture_id))
            case ChargedBack():
                ids.append(fact_id_for(fact.payment_id, FactKind.CHARGEBACK, fact.case_id))
            case RefundedElsewhere():
                kind = FactKind.REFUND_ELSEWHERE
                ids.append(fact_id_for(fact.payment_id, kind, fact.refund_id))
            case _:
                pass
    return ids


def _notice_id(command: c.RecordFact | c.RetryParked) -> str:
    return notice_id_for(channel=command.channel, event_id=command.observation.event_id)


def _keys(by_kind: ByKind, fact_ids: Sequence[str]) -> list[str]:
    """Of the commands, and of what our own policy may ask for because of them."""
    keys = [command.key for kind in KEYED for command in by_kind.get(kind, ())]
    expiring = [command.payment_id for command in by_kind.get(c.ExpirePayment, ())]
    keys += [policy_key(payment_id, f"expiry/{payment_id}") for payment_id in expiring]
    if any(kind in by_kind for kind in (*TELLING, c.RecordCapture)):
        keys += [policy_key(fact_id, fact_id) for fact_id in fact_ids]
    return keys


def _case_ids(by_kind: ByKind) -> list[str]:
    """Of those to be resolved, and of parked facts, whose case ends with them."""
    ids = [command.object_id for command in by_kind.get(c.ResolveCase, ())]
    for command in by_kind.get(c.RetryParked, ()):
        fact = command.observation.fact
        object_id = fact.number if isinstance(fact, Answered) else fact.payment_id
        ids.append(f"{object_id}/{CaseKind.PARKED_FACT}/{_notice_id(command)}")
    return ids


def _lines(by_kind: ByKind) -> list[Line]:
    return [
        command.line
        for kind in KEYED
        for command in by_kind.get(kind, ())
        if command.line is not None
    ]


def _nonces(by_kind: ByKind) -> list[str]:
    return [
        command.nonce.nonce_id
        for kind in KEYED
        for command in by_kind.get(kind, ())
        if command.nonce is not None
    ]
