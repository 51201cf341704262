"""One batch, one transaction, one answer for each command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from house import (
    SIGNED,
    House,
    accepted,
    created,
    keyed,
    receipt_of,
    recorded,
    refund_of,
    refused,
)
from msgspec.structs import replace

from contraflow.domain import commands as c
from contraflow.domain import outcome as said
from contraflow.domain.commands import Command, Line
from contraflow.domain.decision import Answer, Refused, Told
from contraflow.domain.ids import POLICY_PREFIX, instruction_id_for
from contraflow.domain.lifecycle import State
from contraflow.domain.money import Money
from contraflow.domain.observation import Captured, Observation
from contraflow.domain.policy import LateCapture
from contraflow.engine.commit import commit_batch
from contraflow.engine.limits import BATCH_COMMANDS_MAX
from contraflow.errors import ErrorCode
from contraflow.outside.virtual_time import result_of

Build = Callable[..., House]

REFUND = refund_of("main/pay_1", 600, key="one")
AGAIN = refund_of("main/pay_1", 600, key="one")
OTHER = refund_of("main/pay_1", 601, key="one")
NO_SUCH = refund_of("main/pay_9", 600, key="one")


@pytest.fixture
def still(build: Build) -> House:
    """A captured payment of 1,000; nothing runs, so only what is committed here happens."""
    house = build()
    commit(house, recorded())
    return house


def commit(house: House, *commands: Command) -> list[Answer]:
    answers: list[Answer] = result_of(commit_batch(house.store, house.parts.policy, (), commands))
    return answers


def body_of(answer: Answer) -> Any:
    return msgspec.json.decode(receipt_of(answer).body)


def refunds_in(house: House) -> list[str]:
    return list(house.contents().instructions)


# Answers and receipts


def test_the_answers_are_in_the_order_of_the_commands(still: House) -> None:
    commands = [refund_of(minor=minor) for minor in (2_000, 100, 2_001, 200)]
    answers = commit(still, *commands)

    assert [receipt_of(answer).key for answer in answers] == [command.key for command in commands]
    assert [body_of(answer)["decision"] for answer in answers] == [
        *("refused", "accepted", "refused", "accepted"),
    ]


def test_a_full_batch_is_one_transaction(still: House) -> None:
    commands = [refund_of(minor=1) for _ in range(BATCH_COMMANDS_MAX)]
    before = still.store.connection.execute("SELECT version FROM payment").fetchall()
    answers = commit(still, *commands)
    [[version]] = still.store.connection.execute("SELECT version FROM payment").fetchall()

    assert len(answers) == BATCH_COMMANDS_MAX
    assert version == before[0][0] + 1
    assert still.payment().reserved == BATCH_COMMANDS_MAX


def test_a_key_that_comes_again_gets_its_receipt_byte_for_byte(still: House) -> None:
    [first] = commit(still, REFUND)
    still.runtime.time += 9_000
    [second] = commit(still, AGAIN)

    assert receipt_of(first) == receipt_of(second)
    assert isinstance(second, Told)
    assert second.is_replayed
    assert second.decision is None
    assert len(refunds_in(still)) == 1


def test_a_key_twice_in_one_batch_is_one_refund(still: House) -> None:
    first, second = commit(still, REFUND, AGAIN)

    assert receipt_of(first) == receipt_of(second)
    assert len(refunds_in(still)) == 1
    assert still.payment().reserved == 600


def test_a_key_is_remembered_over_a_restart(still: House) -> None:
    [first] = commit(still, REFUND)
    still.restart()

    assert receipt_of(still.ask(AGAIN)) == receipt_of(first)
    assert len(refunds_in(still)) == 1


def test_a_refusal_is_a_receipt_too(still: House) -> None:
    """Also after its reason is gone: what a client was told stays so."""
    [first] = commit(still, NO_SUCH)
    commit(still, recorded("main/pay_9"))
    [second] = commit(still, NO_SUCH)

    assert refused(first).code is ErrorCode.PAYMENT_UNKNOWN
    assert receipt_of(first) == receipt_of(second)
    assert refunds_in(still) == []


@pytest.mark.parametrize(
    "batches", [[[REFUND], [OTHER]], [[REFUND, OTHER]]], ids=["two batches", "one batch"]
)
def test_a_key_with_another_body_is_refused_without_effect(
    still: House, batches: list[list[Command]]
) -> None:
    answers = [answer for batch in batches for answer in commit(still, *batch)]

    assert answers[1] == Refused(ErrorCode.KEY_REUSED, "main/one")
    assert still.payment().reserved == 600
    assert receipt_of(commit(still, AGAIN)[0]) == receipt_of(answers[0])


def test_the_cap_is_read_inside_the_batch(still: House) -> None:
    """Each would fit alone."""
    first, second = commit(still, refund_of(minor=600), refund_of(minor=500))

    accepted(first)
    assert refused(second) == Refused(ErrorCode.AMOUNT_EXCEEDS_REFUNDABLE, "400")
    assert still.payment().reserved == 600


def test_what_a_batch_frees_can_be_asked_for_in_it(still: House) -> None:
    [first] = commit(still, refund_of(minor=1_000))
    [one] = accepted(first).instructions
    back = keyed(c.WithdrawReversal, instruction_id=one.instruction_id)
    _, second = commit(still, back, refund_of(minor=1_000))

    accepted(second)
    assert still.payment().reserved == 1_000


# Fences


def test_of_two_workers_on_one_job_the_second_changes_nothing(still: House) -> None:
    [one] = accepted(commit(still, REFUND)[0]).instructions
    mark = c.MarkSent(fence=one.fence, leave_by=9_000_000, lease_until=9_000_000)
    first, second = commit(still, mark, mark)
    before = still.contents()
    [third] = commit(still, mark)
    [fourth] = commit(still, c.ClaimInquiry(fence=one.fence, lease_until=9_000_000))

    assert accepted(first).instructions[0].state is State.SENT
    assert {refused(each).code for each in (second, third, fourth)} == {ErrorCode.LEASE_STALE}
    assert still.contents() == before


def test_an_outcome_of_a_worker_that_slept_changes_nothing(still: House) -> None:
    [one] = accepted(commit(still, REFUND)[0]).instructions
    mark = c.MarkSent(fence=one.fence, leave_by=1_000_000, lease_until=1_060_000)
    [sent] = accepted(commit(still, mark)[0]).instructions
    commit(still, c.ClaimInquiry(fence=sent.fence, lease_until=1_060_000))
    before = still.contents()
    refusal = said.Declined(said.Retry.NEVER, evidence=SIGNED)
    late = c.RecordOutcome(fence=sent.fence, outcome=refusal, asked_at=0, again_at=0)
    [answer] = commit(still, late)

    assert refused(answer).code is ErrorCode.LEASE_STALE
    assert still.contents() == before


# What follows, in the same commit


def test_a_reverse_that_comes_too_late_goes_on_as_a_refund_in_the_same_commit(
    still: House,
) -> None:
    commit(still, recorded("main/pay_2", is_captured=False))
    [asked] = commit(still, keyed(c.RequestReversal, payment_id="main/pay_2"))
    [void] = accepted(asked).instructions
    mark = c.MarkSent(fence=void.fence, leave_by=1_000_000, lease_until=1_060_000)
    [sent] = accepted(commit(still, mark)[0]).instructions
    captured = Observation("e1", Captured("main/pay_2", "cap_1", Money(1_000, "GBP")), SIGNED)
    commit(still, c.RecordFact(channel="sandbox", observation=captured))
    too_late = said.Declined(said.Retry.NEVER, is_captured=True, evidence=SIGNED)
    commit(still, c.RecordOutcome(fence=sent.fence, outcome=too_late, asked_at=0, again_at=0))

    key = f"main/{POLICY_PREFIX}{void.instruction_id}"
    refund = still.instruction(instruction_id_for(payment_id="main/pay_2", key=key))
    assert still.instruction(void.instruction_id).state is State.FAILED
    assert (refund.kind, refund.minor, refund.key) == ("refund", 1_000, key)
    assert refund.requested_at == still.instruction(void.instruction_id).final_at
    assert key in still.contents().receipts


def test_a_late_capture_is_refunded_by_policy_in_the_same_commit_and_once(build: Build) -> None:
    house = build(late_capture=LateCapture.REFUND)
    commit(house, created(is_manual=True))
    commit(house, keyed(c.RequestCancel, payment_id="main/pay_1"))
    fact = Captured("main/pay_1", "cap_1", Money(700, "GBP"))
    tellings = [
        c.RecordFact(channel="sandbox", observation=Observation(event, fact, SIGNED))
        for event in ("e1", "e2")
    ]
    commit(house, tellings[0], tellings[1])
    commit(house, *tellings)

    contents = house.contents()
    [refund] = [each for each in contents.instructions.values() if each.kind == "refund"]
    assert refund.key == f"main/{POLICY_PREFIX}main/pay_1/capture/cap_1"
    assert (refund.minor, house.payment().reserved) == (700, 700)
    assert refund.key in contents.receipts


# Lines of a file


def test_a_line_is_answered_in_the_same_commit_and_once(still: House) -> None:
    one = replace(REFUND, line=Line("file", 1))
    lines = [
        one,
        replace(AGAIN, line=Line("file", 2)),
        replace(OTHER, line=Line("file", 3)),
        replace(refund_of(minor=401), line=Line("file", 4)),
    ]
    commit(still, *lines)
    commit(still, *lines)

    assert result_of(still.views.lines("file")) == {
        1: "ok",
        2: "replayed",
        3: "key_reused",
        4: "amount_exceeds_refundable",
    }


def test_a_line_twice_in_one_batch_is_answered_once(still: House) -> None:
    one = replace(REFUND, line=Line("file", 1))
    first, second = commit(still, one, one)

    assert receipt_of(first) == receipt_of(second)
    assert result_of(still.views.lines("file")) == {1: "ok"}


# Quarantine


def test_what_is_quarantined_is_refused_and_others_go_on(still: House) -> None:
    commit(still, recorded("main/pay_2"))
    [one] = accepted(commit(still, refund_of(key="early"))[0]).instructions
    commit(still, c.Quarantine(object_id="main/pay_1", detail="it fails"))
    aside = refund_of("main/pay_1", 1)
    mark = c.MarkSent(fence=one.fence, leave_by=1_000_000, lease_until=1_060_000)
    answers = commit(still, aside, mark, refund_of("main/pay_2", 1))

    assert answers[:2] == [Refused(ErrorCode.QUARANTINED, "main/pay_1")] * 2
    accepted(answers[2])
    assert aside.key not in still.contents().receipts
    assert still.instruction(one.instruction_id).state is State.ACCEPTED


def test_what_is_set_aside_in_a_batch_is_refused_later_in_it(still: House) -> None:
    _, answer = commit(
        still, c.Quarantine(object_id="main/pay_1", detail="it fails"), refund_of(minor=1)
    )

    assert answer == Refused(ErrorCode.QUARANTINED, "main/pay_1")


def test_an_operator_may_lift_a_quarantine_and_then_it_goes_on(still: House) -> None:
    [aside] = commit(still, c.Quarantine(object_id="main/pay_1", detail="it fails"))
    [case] = accepted(aside).cases
    closing = keyed(
        c.ResolveCase,
        object_id=case.case_id,
        resolution=c.Resolution.CLOSED,
        evidence="the row was repaired",
    )
    closed, refund = commit(still, closing, refund_of(minor=1))

    accepted(closed)
    accepted(refund)
    assert result_of(still.views.open_cases()) == []
