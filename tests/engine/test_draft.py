"""A batch as it is being decided: later commands see earlier ones, and only changes are written."""

from __future__ import annotations

import cases as a
from msgspec.structs import replace

from contraflow.domain.cases import CaseKind, open_case
from contraflow.domain.decision import Accepted
from contraflow.domain.lifecycle import State
from contraflow.engine.draft import Draft, adopt, commit_of, draft_of
from contraflow.store import Loaded

PAYMENT = a.payment(reserved=400)
REFUND = a.instruction(State.ACCEPTED)


def draft(*, holds: tuple[str, ...] = (), quarantined: tuple[str, ...] = ()) -> Draft:
    loaded = Loaded(
        now=a.NOW,
        payments={PAYMENT.payment_id: PAYMENT},
        instructions={REFUND.instruction_id: REFUND},
        numbers={},
        receipts={},
        facts={},
        cases={},
        holds=frozenset(holds),
        quarantined=frozenset(quarantined),
        lines={},
    )
    return draft_of(loaded, a.POLICY)


def test_what_did_not_change_is_not_written() -> None:
    """A decision may name what it looked at."""
    one = draft()
    adopt(one, Accepted(payment=PAYMENT, instructions=(REFUND,)))
    commit = commit_of(one, [])

    assert (commit.payments, commit.instructions, commit.records) == ([], [], [])


def test_what_changes_twice_is_written_once_as_it_is_last() -> None:
    one = draft()
    for lease in (7, 8):
        adopt(one, Accepted(instructions=(replace(REFUND, lease=lease),)))

    assert [each.lease for each in commit_of(one, []).instructions] == [8]
    assert one.snapshot.instructions[REFUND.instruction_id].lease == 8


def test_a_number_that_is_born_in_the_batch_is_known_in_it() -> None:
    one = draft()
    adopt(one, Accepted(instructions=(replace(REFUND, number="NEW", generation=1),)))

    assert one.snapshot.numbers["NEW"] == REFUND.instruction_id


def test_a_hold_and_a_quarantine_count_for_the_rest_of_the_batch() -> None:
    one = draft(holds=("all",), quarantined=("shop/pay_7",))
    case = open_case(CaseKind.QUARANTINED, object_id="shop/pay_9", cause="1", now=a.NOW)
    lifted = replace(
        open_case(CaseKind.QUARANTINED, object_id="shop/pay_7", cause="1", now=a.NOW),
        closed_at=a.NOW,
        closed_by="shop/k",
    )
    adopt(one, Accepted(hold=("channel:card", True), cases=(case, lifted)))
    adopt(one, Accepted(hold=("all", False)))

    assert set(one.snapshot.holds) == {"channel:card"}
    assert set(one.snapshot.quarantined) == {"shop/pay_9"}
    assert commit_of(one, []).holds == [("channel:card", True), ("all", False)]


def test_a_case_of_another_kind_sets_nothing_aside() -> None:
    one = draft()
    case = open_case(CaseKind.LATE_FACT, object_id="shop/pay_9", cause="1", now=a.NOW)
    adopt(one, Accepted(cases=(case,)))

    assert set(one.snapshot.quarantined) == set()
    assert commit_of(one, []).cases == [case]


def test_what_was_loaded_stays_as_it_was() -> None:
    one = draft()
    adopt(one, Accepted(payment=a.payment(), hold=("all", True)))

    assert one.loaded.payments == {PAYMENT.payment_id: PAYMENT}
    assert set(one.loaded.holds) == set()
