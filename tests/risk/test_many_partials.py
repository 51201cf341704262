"""Do many refunds of one payment stop the next one?"""

import pytest
from cases import KEY, PAYMENT_ID, payment, snapshot, yuan

from contraflow.domain.commands import (
    Command,
    RequestCancel,
    RequestRefund,
    RequestReversal,
    WithdrawReversal,
)
from contraflow.domain.decision import NO_OBJECTION, Verdict
from contraflow.domain.snapshot import Snapshot
from contraflow.risk.assess import assess
from contraflow.risk.rules.many_partials import RULE, ManyPartials

REFUND = RequestRefund(key=KEY, fingerprint=bytes(32), payment_id=PAYMENT_ID, amount=yuan(1))
REVERSAL = RequestReversal(key=KEY, fingerprint=bytes(32), payment_id=PAYMENT_ID)
CANCEL = RequestCancel(key=KEY, fingerprint=bytes(32), payment_id=PAYMENT_ID)
WITHDRAW = WithdrawReversal(key=KEY, fingerprint=bytes(32), instruction_id="shop/N")
STRICT = ManyPartials(name="strict", refunds_max=1)


def having(refunds: int) -> Snapshot:
    return snapshot(payment(refunds=refunds))


@pytest.mark.parametrize("command", [REFUND, REVERSAL])
@pytest.mark.parametrize(("refunds", "expected"), [(0, False), (9, False), (10, True), (11, True)])
def test_ten_refunds_are_enough(
    command: RequestRefund | RequestReversal, refunds: int, *, expected: bool
) -> None:
    assert RULE.rejects(command, having(refunds)) is expected


def test_an_unknown_payment_is_left_for_the_rules_to_refuse() -> None:
    assert RULE.rejects(REFUND, snapshot()) is False


def test_the_objection_is_told_by_its_name() -> None:
    assert assess([RULE], REFUND, having(10)) == Verdict(rejected_by="many_partials")


def test_the_first_objection_counts() -> None:
    assert assess([RULE, STRICT], REFUND, having(10)) == Verdict(rejected_by="many_partials")
    assert assess([STRICT, RULE], REFUND, having(10)) == Verdict(rejected_by="strict")
    assert assess([RULE, STRICT], REFUND, having(5)) == Verdict(rejected_by="strict")


@pytest.mark.parametrize("command", [CANCEL, WITHDRAW])
def test_only_what_sends_money_back_is_assessed(command: Command) -> None:
    assert assess([RULE], command, having(99)) is NO_OBJECTION


def test_without_rules_nobody_objects() -> None:
    assert assess([], REFUND, having(99)) is NO_OBJECTION
