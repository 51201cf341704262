"""Each invariant of a batch is computed apart from the rules, and a commit that breaks it stops."""

from __future__ import annotations

from typing import Any

import cases as a
import pytest
from msgspec.structs import replace

from contraflow.domain import commands as c
from contraflow.domain.decision import Accepted, Receipt, Told
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import State
from contraflow.domain.payment import Payment
from contraflow.engine.checks import check_answers, check_commit
from contraflow.errors import InvariantBroken
from contraflow.ledger.accounts import Account, account_name
from contraflow.ledger.journal import Entry
from contraflow.store import Commit, Loaded, Record

BEFORE = a.payment(sequence=5)
REFUND = a.instruction(State.ACCEPTED, sequence=1)
AFTER = replace(BEFORE, reserved=400, refunds=1)
FLIGHT = account_name(Account.IN_FLIGHT, tenant="shop", channel="card")
PAYABLE = account_name(Account.MERCHANT, tenant="shop", channel="card")
BOOKED = (Entry(PAYABLE, FLIGHT, 400, "CNY"),)
BIRTH = Record(REFUND.instruction_id, 1, b"{}", BOOKED)
MARK = c.MarkSent(fence=REFUND.fence, leave_by=a.NOW, lease_until=a.NOW)


def loaded(*things: Payment | Instruction) -> Loaded:
    empty: dict[str, Any] = {name: {} for name in Loaded.__struct_fields__}
    return Loaded(
        **empty
        | {
            "now": a.NOW,
            "payments": {each.payment_id: each for each in things if isinstance(each, Payment)},
            "instructions": {
                each.instruction_id: each for each in things if isinstance(each, Instruction)
            },
        }
    )


def commit(**parts: Any) -> Commit:
    empty: dict[str, Any] = {name: [] for name in Commit.__struct_fields__}
    return Commit(**empty | parts)


GOOD: dict[str, Any] = {"payments": [AFTER], "instructions": [REFUND], "records": [BIRTH]}


def test_a_refund_that_reserves_and_is_booked_passes() -> None:
    check_commit(loaded(BEFORE), [], commit(**GOOD))


@pytest.mark.parametrize(
    ("invariant", "changes"),
    [
        pytest.param("I13", {"payments": []}, id="the payment did not move with its refund"),
        pytest.param(
            "I13",
            {"payments": [], "records": [replace(BIRTH, entries=())]},
            id="neither the payment nor the books moved with it",
        ),
        pytest.param(
            "I13",
            {"payments": [replace(AFTER, reserved=399)]},
            id="another amount was reserved",
        ),
        pytest.param(
            "I13",
            {"records": [replace(BIRTH, entries=())]},
            id="nothing was booked",
        ),
        pytest.param(
            "I13",
            {"records": [replace(BIRTH, entries=(*BOOKED, *BOOKED))]},
            id="it was booked twice",
        ),
        pytest.param(
            "I13",
            {"records": [replace(BIRTH, entries=(Entry(FLIGHT, PAYABLE, 400, "CNY"),))]},
            id="it was booked the other way round",
        ),
        pytest.param(
            "I13",
            {"instructions": [], "records": [replace(BIRTH, object_id="shop/x")]},
            id="it was reserved without a refund",
        ),
        pytest.param("I29", {"records": [BIRTH, replace(BIRTH, entries=())]}, id="too many events"),
        pytest.param(
            "I29",
            {"instructions": [replace(REFUND, sequence=2)]},
            id="a step without an event",
        ),
        pytest.param(
            "I29",
            {"payments": [replace(AFTER, sequence=6)]},
            id="the payment took a step without an event",
        ),
    ],
)
def test_a_new_refund_that_is_not_as_it_must_be_stops(
    invariant: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvariantBroken) as raised:
        check_commit(loaded(BEFORE), [], commit(**GOOD | changes))

    assert raised.value.invariant == invariant


def test_what_is_reserved_is_given_back_only_at_an_end() -> None:
    """The row of a refund that is in doubt, and a payment that has its money back."""
    unknown = a.instruction(State.UNKNOWN, sequence=3)
    freed = Record(unknown.instruction_id, 4, b"{}", (Entry(FLIGHT, PAYABLE, 400, "CNY"),))
    parts = {"instructions": [replace(unknown, sequence=4)], "records": [freed]}
    with pytest.raises(InvariantBroken, match="I13"):
        check_commit(loaded(AFTER, unknown), [], commit(**parts, payments=[BEFORE]))


def test_a_void_reserves_nothing() -> None:
    void = a.instruction(State.ACCEPTED, a.Kind.VOID, sequence=1)
    paid = a.payment(a.PaymentState.AUTHORIZED, void_in_flight=400)
    birth = Record(void.instruction_id, 1, b"{}")
    check_commit(
        loaded(a.payment(a.PaymentState.AUTHORIZED)),
        [],
        commit(payments=[paid], instructions=[void], records=[birth]),
    )


# I1


def over(payment: Payment, **changes: Any) -> Payment:
    """As it would be if the value itself had let it pass."""
    changed = replace(payment, **{**changes, "excess": 0, "captured": 10_000, "authorized": 10_000})
    return replace(changed, excess=changes["excess"], captured=changed.gone - changes["excess"])


@pytest.mark.parametrize(
    ("after", "is_broken"),
    [
        pytest.param(over(BEFORE, reserved=1_100, excess=100), True, id="a request"),
        pytest.param(over(BEFORE, charged_back=1_100, excess=100), False, id="a chargeback"),
        pytest.param(over(BEFORE, refunded=1_100, excess=100), False, id="a refund elsewhere"),
        pytest.param(
            over(BEFORE, reserved=600, refunded=600, excess=200),
            True,
            id="a request hidden behind a fact",
        ),
    ],
)
def test_only_facts_raise_the_excess(after: Payment, *, is_broken: bool) -> None:
    born = a.instruction(State.ACCEPTED, sequence=1, minor=after.reserved or 1)
    parts: dict[str, Any] = {"payments": [after]}
    if after.reserved:
        booked = (Entry(PAYABLE, FLIGHT, after.reserved, "CNY"),)
        parts |= {
            "instructions": [born],
            "records": [Record(born.instruction_id, 1, b"{}", booked)],
        }
    if not is_broken:
        check_commit(loaded(BEFORE), [], commit(**parts))
        return
    with pytest.raises(InvariantBroken, match="I1:"):
        check_commit(loaded(BEFORE), [], commit(**parts))


# I23


def broken_by_accepting(known: Instruction | None, *commands: c.Command) -> str:
    """The invariant, if any."""
    answers = [Accepted() for _ in commands]
    things = () if known is None else (known,)
    try:
        check_commit(loaded(*things), commands, commit(answers=answers))
    except InvariantBroken as broken:
        return broken.invariant
    return ""


def test_the_holder_of_the_lease_may_write() -> None:
    assert broken_by_accepting(REFUND, MARK) == ""


@pytest.mark.parametrize(
    ("known", "commands"),
    [
        pytest.param(replace(REFUND, lease=9), [MARK], id="somebody has touched it since"),
        pytest.param(
            a.instruction(State.SENT, sequence=1, attempt=2), [MARK], id="it was sent again since"
        ),
        pytest.param(None, [MARK], id="it does not exist"),
        pytest.param(REFUND, [MARK, MARK], id="twice in one batch"),
    ],
)
def test_a_stale_command_must_not_have_been_accepted(
    known: Instruction | None, commands: list[c.Command]
) -> None:
    assert broken_by_accepting(known, *commands) == "I23"


# I29


def test_a_state_that_changes_without_an_event_stops() -> None:
    sent = a.instruction(State.SENT, sequence=4)
    unknown = a.instruction(State.UNKNOWN, sequence=4)
    with pytest.raises(InvariantBroken, match="moved without an event"):
        check_commit(loaded(sent), [], commit(instructions=[unknown]))


def test_a_claim_changes_no_state_and_makes_no_event() -> None:
    unknown = a.instruction(State.UNKNOWN)
    check_commit(loaded(unknown), [], commit(instructions=[replace(unknown, lease=9)]))


# I17


def test_nobody_is_told_the_receipt_of_another() -> None:
    asked = c.RequestCancel(key="shop/k1", fingerprint=bytes(32), payment_id="shop/pay_1")
    own = Told(Receipt("shop/k1", bytes(32), b"{}"), is_replayed=False)
    other = Told(Receipt("shop/k2", bytes(32), b"{}"), is_replayed=False)

    check_answers([asked], commit(answers=[own]))
    with pytest.raises(InvariantBroken, match="I17"):
        check_answers([asked], commit(answers=[other]))


def test_a_batch_is_checked_for_it() -> None:
    asked = c.RequestCancel(key="shop/k1", fingerprint=bytes(32), payment_id="shop/pay_1")
    other = Told(Receipt("shop/k2", bytes(32), b"{}"), is_replayed=False)
    with pytest.raises(InvariantBroken, match="I17"):
        check_commit(loaded(), [asked], commit(answers=[other]))
