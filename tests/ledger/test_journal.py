"""What does each event do to the books?"""

from collections import Counter
from collections.abc import Iterable

import pytest
from cases import KEY, NOW, PAYMENT_ID, instruction, payment
from hypothesis import given, settings
from hypothesis import strategies as st
from walks import BEGINNINGS, Move, Walk, begin, lives

from contraflow.domain.cases import CaseKind, open_case
from contraflow.domain.events import (
    CaseClosed,
    CaseOpened,
    Event,
    FactBooked,
    HoldSwitched,
    InstructionMoved,
    InstructionNoted,
    Note,
    PaymentMoved,
)
from contraflow.domain.facts import BookedFact, FactKind, FactState
from contraflow.domain.instruction import Kind
from contraflow.domain.lifecycle import PaymentStep, State, Step
from contraflow.domain.movement import TURNS
from contraflow.domain.policy import LateCapture
from contraflow.ledger.accounts import Account, account_name
from contraflow.ledger.journal import Entry, entries_for

MERCHANT, IN_FLIGHT = "shop/card/merchant.payable", "shop/card/refunds.in_flight"
CHANNEL, LOSS = "shop/card/channel.receivable", "shop/card/loss.over_reversal"
CASE = open_case(CaseKind.OVER_REVERSAL, object_id=PAYMENT_ID, cause="c", now=NOW)
REFUND = instruction(State.SENT)
FACT = BookedFact("f", FactKind.CHARGEBACK, PAYMENT_ID, 400, "CNY", FactState.OPENED, NOW)


def moved(step: Step, excess: int = 0, kind: Kind = Kind.REFUND) -> InstructionMoved:
    return InstructionMoved(step, instruction(State.SENT, kind), excess)


def entry(debit: str, credit: str, minor: int = 400) -> Entry:
    return Entry(debit, credit, minor, "CNY")


RESERVED, CONFIRMED = entry(MERCHANT, IN_FLIGHT), entry(IN_FLIGHT, CHANNEL)
RELEASED, BOUNCED = entry(IN_FLIGHT, MERCHANT), entry(CHANNEL, MERCHANT)
HAPPENED = entry(MERCHANT, CHANNEL)
MOVING = {
    Step.HOLD: RESERVED,
    Step.REQUEST: RESERVED,
    Step.SUCCEED: CONFIRMED,
    Step.RESOLVE_SUCCEEDED: CONFIRMED,
    Step.FAIL: RELEASED,
    Step.RESOLVE_FAILED: RELEASED,
    Step.REJECT: RELEASED,
    Step.EXPIRE: RELEASED,
    Step.WITHDRAW: RELEASED,
    Step.WITHDRAW_CONFIRMED: RELEASED,
    Step.BOUNCE: BOUNCED,
    Step.EFFECT: HAPPENED,
}
STILL = sorted(set(Step) - set(MOVING))


@pytest.mark.parametrize(("step", "expected"), MOVING.items())
def test_a_step_of_a_refund_that_moves_money_is_one_entry(step: Step, expected: Entry) -> None:
    assert entries_for(moved(step)) == (expected,)


@pytest.mark.parametrize("step", STILL)
def test_a_step_that_moves_no_money_is_no_entry(step: Step) -> None:
    assert entries_for(moved(step)) == ()


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.REFUND}))
@pytest.mark.parametrize("step", Step)
def test_a_close_a_void_and_a_payment_command_move_no_money_themselves(
    step: Step, kind: Kind
) -> None:
    assert entries_for(moved(step, kind=kind)) == ()


@pytest.mark.parametrize(
    ("step", "excess", "expected"),
    [
        (Step.EFFECT, 300, (HAPPENED, entry(LOSS, MERCHANT, 300))),
        (Step.FAIL, -300, (RELEASED, entry(MERCHANT, LOSS, 300))),
        (Step.BOUNCE, -400, (BOUNCED, entry(MERCHANT, LOSS, 400))),
    ],
)
def test_a_loss_is_entered_beside_what_caused_it_and_taken_back_likewise(
    step: Step, excess: int, expected: tuple[Entry, ...]
) -> None:
    assert entries_for(moved(step, excess)) == expected


@pytest.mark.parametrize(
    ("step", "minor", "excess", "expected"),
    [
        (PaymentStep.RECORD, 1_000, 0, (entry(CHANNEL, MERCHANT, 1_000),)),
        (PaymentStep.RECORD, 0, 0, ()),
        (PaymentStep.CAPTURE, 600, 0, (entry(CHANNEL, MERCHANT, 600),)),
        (
            PaymentStep.CAPTURE,
            600,
            -500,
            (entry(CHANNEL, MERCHANT, 600), entry(MERCHANT, LOSS, 500)),
        ),
        (PaymentStep.AUTHORIZE, 1_000, 0, ()),
        (PaymentStep.CANCEL, 1_000, 0, ()),
        (PaymentStep.START, 0, 0, ()),
        (PaymentStep.FAIL, 0, 0, ()),
        (PaymentStep.EXPIRE, 0, 0, ()),
    ],
)
def test_of_a_payment_only_captured_money_is_entered(
    step: PaymentStep, minor: int, excess: int, expected: tuple[Entry, ...]
) -> None:
    assert entries_for(PaymentMoved(step, payment(), minor, excess)) == expected


@pytest.mark.parametrize(
    ("taken", "excess", "expected"),
    [
        (400, 0, (HAPPENED,)),
        (400, 100, (HAPPENED, entry(LOSS, MERCHANT, 100))),
        (-400, 0, (BOUNCED,)),
        (-400, -100, (BOUNCED, entry(MERCHANT, LOSS, 100))),
        (0, 0, ()),
    ],
)
def test_a_fact_takes_money_or_brings_it_back(
    taken: int, excess: int, expected: tuple[Entry, ...]
) -> None:
    assert entries_for(FactBooked(FACT, payment(), taken, excess)) == expected


@pytest.mark.parametrize(
    "event",
    [
        *(InstructionNoted(note, REFUND) for note in Note),
        CaseOpened(CASE),
        CaseClosed(CASE, "seen"),
        HoldSwitched("all", True, KEY),  # noqa: FBT003 the field of an event
    ],
)
def test_what_is_only_noted_is_no_entry(event: Event) -> None:
    assert entries_for(event) == ()


@pytest.mark.parametrize(
    ("debit", "credit", "minor"),
    [(MERCHANT, MERCHANT, 1), (MERCHANT, LOSS, 0), (MERCHANT, LOSS, -1)],
)
def test_an_entry_that_moves_nothing_is_a_bug_of_ours(debit: str, credit: str, minor: int) -> None:
    with pytest.raises(AssertionError):
        Entry(debit, credit, minor, "CNY")


def test_every_tenant_and_channel_has_its_own_accounts() -> None:
    named = {
        account_name(account, tenant=tenant, channel=channel)
        for account in Account
        for tenant in ("shop", "stall")
        for channel in ("card", "rail")
    }

    assert len(named) == 16
    assert {MERCHANT, IN_FLIGHT, CHANNEL, LOSS} <= named


def test_every_turn_of_money_has_a_step_that_shows_it() -> None:
    assert {TURNS[step] for step in MOVING}.isdisjoint(TURNS[step] for step in STILL)


# Over whole lives.


def balances_of(entries: Iterable[Entry]) -> Counter[str]:
    """Debits less credits."""
    balances: Counter[str] = Counter()
    for one in entries:
        balances[one.debit] += one.minor
        balances[one.credit] -= one.minor
    return balances


def check_books(walk: Walk) -> None:
    transactions = [entries_for(event) for event in walk.events]
    balances = balances_of(entry for entries in transactions for entry in entries)
    one = walk.payment

    assert sum(balances.values()) == 0
    assert -balances[IN_FLIGHT] == one.reserved
    assert balances[LOSS] == one.excess
    assert balances[CHANNEL] == one.captured - one.refunded - one.charged_back
    assert -balances[MERCHANT] == one.captured - one.gone + one.excess == one.refundable
    assert set(balances) <= {MERCHANT, IN_FLIGHT, CHANNEL, LOSS}


@settings(max_examples=100, deadline=None)
@given(
    beginning=st.sampled_from(BEGINNINGS),
    moves=lives(),
    late_capture=st.sampled_from(list(LateCapture)),
)
def test_the_balances_are_the_amounts_of_the_payment_at_every_moment(
    beginning: str, moves: list[Move], late_capture: LateCapture
) -> None:
    walk = begin(beginning, late_capture)
    check_books(walk)
    for move in moves:
        walk.take(move)
        check_books(walk)
