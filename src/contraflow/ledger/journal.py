"""What each event does to the books."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from contraflow.domain.events import (
    CaseClosed,
    CaseOpened,
    Event,
    FactBooked,
    HoldSwitched,
    InstructionMoved,
    InstructionNoted,
    PaymentMoved,
)
from contraflow.domain.ids import tenant_of
from contraflow.domain.instruction import Kind
from contraflow.domain.lifecycle import PaymentStep
from contraflow.domain.movement import TURNS, Turn
from contraflow.domain.payment import Payment
from contraflow.ledger.accounts import Account, account_name

Sides = tuple[Account, Account]  # Debit, credit.

REFUND_SIDES: Mapping[Turn, Sides] = MappingProxyType(
    {
        Turn.RESERVES: (Account.MERCHANT, Account.IN_FLIGHT),
        Turn.CONFIRMS: (Account.IN_FLIGHT, Account.CHANNEL),
        Turn.RELEASES: (Account.IN_FLIGHT, Account.MERCHANT),
        Turn.BOUNCES: (Account.CHANNEL, Account.MERCHANT),
        Turn.HAPPENS: (Account.MERCHANT, Account.CHANNEL),
    }
)
CAPTURED: Sides = (Account.CHANNEL, Account.MERCHANT)
TAKEN: Sides = (Account.MERCHANT, Account.CHANNEL)
LOST: Sides = (Account.LOSS, Account.MERCHANT)


class Entry(Struct, frozen=True, gc=False):
    """One movement: the same money is debited here and credited there."""

    debit: str
    credit: str
    minor: int
    currency: str

    def __post_init__(self) -> None:
        assert self.minor > 0
        assert self.debit != self.credit


def entries_for(event: Event) -> tuple[Entry, ...]:
    """All entries of the event, which are one transaction of the ledger; often none."""
    match event:
        case InstructionMoved():
            instruction = event.instruction
            if instruction.kind is not Kind.REFUND:
                return ()
            sides = REFUND_SIDES.get(TURNS[event.step])
            if sides is None:
                return ()
            books = Books(
                tenant_of(instruction.payment_id), instruction.channel, instruction.currency
            )
            return books.enter(sides, instruction.minor, event.excess)
        case PaymentMoved():
            minor = event.minor if _is_capture(event) else 0
            return books_of(event.payment).enter(CAPTURED, minor, event.excess)
        case FactBooked():
            return books_of(event.payment).enter(TAKEN, event.taken, event.excess)
        case InstructionNoted() | CaseOpened() | CaseClosed() | HoldSwitched():
            return ()


class Books(Struct, frozen=True, gc=False):
    """The accounts of one tenant at one channel in one currency."""

    tenant: str
    channel: str
    currency: str

    def enter(self, sides: Sides, minor: int, excess: int) -> tuple[Entry, ...]:
        """A negative amount is entered the other way round; what was lost beside it."""
        if excess:
            return (*self._one(sides, minor), *self._one(LOST, excess))
        return self._one(sides, minor)

    def _one(self, sides: Sides, minor: int) -> tuple[Entry, ...]:
        if minor == 0:
            return ()
        debit, credit = sides if minor > 0 else sides[::-1]
        return (
            Entry(
                account_name(debit, tenant=self.tenant, channel=self.channel),
                account_name(credit, tenant=self.tenant, channel=self.channel),
                abs(minor),
                self.currency,
            ),
        )


def books_of(payment: Payment) -> Books:
    return Books(tenant_of(payment.payment_id), payment.channel, payment.currency)


def _is_capture(event: PaymentMoved) -> bool:
    """A recorded payment that was captured elsewhere counts too."""
    return event.step in {PaymentStep.CAPTURE, PaymentStep.RECORD}
