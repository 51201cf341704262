"""The rules of proof: what does a channel's word prove, and what does it leave in doubt?"""

from typing import Any

import pytest
from cases import (
    ALIVE,
    DAY_MS,
    DEAD,
    KEY,
    NOW,
    NUMBER,
    PAYMENT_ID,
    RAIL,
    REVERSAL_ID,
    SENT_AT,
    SIGNED,
    accepted,
    in_state,
    instruction,
    only,
    paid,
    payment_of,
    policy,
    snapshot,
    steps_of,
    yuan,
)

from contraflow.domain import outcome as said
from contraflow.domain.cases import CaseKind
from contraflow.domain.decision import Accepted
from contraflow.domain.events import CaseOpened, InstructionNoted, Note
from contraflow.domain.hearing import hear, is_dead
from contraflow.domain.ids import number_for
from contraflow.domain.instruction import Kind, Withdrawal
from contraflow.domain.lifecycle import State, Step
from contraflow.domain.money import Money
from contraflow.domain.outcome import Evidence, Outcome, Proof, Retry
from contraflow.domain.policy import Policy
from contraflow.domain.snapshot import Snapshot

AGAIN = NOW + 10_000
OPEN = [State.SENT, State.PENDING, State.UNKNOWN, State.ATTENTION]
SUCCEEDED = said.Succeeded(yuan(400), PAYMENT_ID, "ref", SIGNED)
BOUNCED = said.Bounced(yuan(400), PAYMENT_ID, "ref", SIGNED)
UNPROVEN = said.Succeeded(yuan(400), PAYMENT_ID, "ref")
ABSENT = said.NotFound(SIGNED)
NEVER = said.Declined(Retry.NEVER, evidence=SIGNED)
LATER = said.Declined(Retry.SAME_NUMBER_LATER, evidence=SIGNED)
RENUMBER = said.Declined(Retry.NEW_NUMBER, evidence=SIGNED)
UNTRUSTED = policy(not_found_is_proof=False)
ONCE_MORE = {"attempt": 2}  # An attempt before this one is dead.
IN_DOUBT = {"attempt": 2, "in_doubt": True}  # One before it may still be travelling.


def told(
    state: State, outcome: Outcome, asked_at: int | None = ALIVE, **changes: Any
) -> tuple[Snapshot, Accepted]:
    before = in_state(state, rules=changes.pop("rules", policy()), **changes)
    return before, heard(before, outcome, asked_at)


def heard(before: Snapshot, outcome: Outcome, asked_at: int | None = ALIVE) -> Accepted:
    again_at = None if asked_at is None else AGAIN
    one, of = before.instructions[REVERSAL_ID], before.payments[PAYMENT_ID]
    return accepted(hear(before, of, one, outcome, asked_at=asked_at, again_at=again_at))


def after(state: State, outcome: Outcome, asked_at: int | None = ALIVE, **changes: Any) -> State:
    return only(told(state, outcome, asked_at, **changes)[1]).state


# When an attempt is dead.


@pytest.mark.parametrize(
    ("asked_at", "expected"),
    [(None, False), (0, False), (ALIVE, False), (DEAD, True), (DEAD + 1, True)],
)
def test_an_attempt_is_dead_from_the_very_moment_it_can_no_longer_land(
    asked_at: int | None, *, expected: bool
) -> None:
    assert is_dead(instruction(State.UNKNOWN), RAIL, asked_at) is expected


def test_the_last_time_to_leave_counts_for_every_attempt() -> None:
    later = instruction(State.UNKNOWN, attempt=2, leave_by=DEAD)

    assert not is_dead(later, RAIL, DEAD)


# In doubt, and never failed.


@pytest.mark.parametrize("state", [State.SENT, State.PENDING, State.UNKNOWN])
@pytest.mark.parametrize(
    ("outcome", "asked_at", "changes"),
    [
        (said.Unknown(), ALIVE, {}),
        (said.Unknown(SIGNED), DEAD, {}),
        (UNPROVEN, ALIVE, {}),
        (said.Bounced(yuan(400), PAYMENT_ID), ALIVE, {}),
        (ABSENT, ALIVE, {}),
        (ABSENT, None, {}),
        (ABSENT, DEAD, {"rules": UNTRUSTED}),
        (NEVER, ALIVE, IN_DOUBT),
        (NEVER, None, IN_DOUBT),
        (NEVER, None, ONCE_MORE),
        (LATER, ALIVE, IN_DOUBT),
        (RENUMBER, ALIVE, IN_DOUBT),
        (RENUMBER, None, IN_DOUBT),
        (said.NotSent(), ALIVE, IN_DOUBT),
        (said.Withdrawn(SIGNED), ALIVE, IN_DOUBT | {"channel": "rail"}),
    ],
)
def test_what_proves_nothing_is_a_doubt_and_gives_nothing_back(
    state: State, outcome: Outcome, asked_at: int | None, changes: dict[str, Any]
) -> None:
    _, decision = told(state, outcome, asked_at, **changes)
    one = only(decision)

    assert one.state is State.UNKNOWN
    assert one.in_doubt or state is State.UNKNOWN
    assert (one.number, one.generation) == (NUMBER, 0)
    assert paid(decision).reserved == 400
    assert paid(decision).unknown == 1


@pytest.mark.parametrize("outcome", [said.Unknown(), UNPROVEN, ABSENT, said.NotSent(), LATER])
def test_what_a_person_looks_at_stays_there_until_there_is_proof(outcome: Outcome) -> None:
    _, decision = told(State.ATTENTION, outcome)
    one = only(decision)

    assert one.state is State.ATTENTION
    assert decision.events == (InstructionNoted(Note.ANSWERED, one, outcome.evidence),)
    assert paid(decision).reserved == 400


# Success.


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("asked_at", [ALIVE, None])
def test_a_proven_success_ends_every_open_state(state: State, asked_at: int | None) -> None:
    _, decision = told(state, SUCCEEDED, asked_at, in_doubt=True, attempt=3)
    one = only(decision)

    assert one.state is State.SUCCEEDED
    assert (one.reference, one.final_at, one.due_at) == ("ref", NOW, None)
    assert (paid(decision).reserved, paid(decision).refunded) == (0, 400)


@pytest.mark.parametrize("proof", [Proof.SIGNATURE, Proof.QUERY, Proof.PERSON])
def test_every_kind_of_proof_will_do(proof: Proof) -> None:
    outcome = said.Succeeded(yuan(400), PAYMENT_ID, evidence=Evidence(proof))

    assert after(State.SENT, outcome) is State.SUCCEEDED


@pytest.mark.parametrize("state", [State.SENT, State.PENDING, State.UNKNOWN])
@pytest.mark.parametrize("word", [said.Succeeded, said.Bounced])
@pytest.mark.parametrize(
    ("amount", "payment_id"),
    [
        (yuan(399), PAYMENT_ID),
        (yuan(401), PAYMENT_ID),
        (Money(400, "USD"), PAYMENT_ID),
        (yuan(400), "shop/pay_2"),
        (yuan(400), "stall/pay_1"),
    ],
)
def test_another_amount_currency_or_payment_is_for_a_person_and_never_booked(
    state: State, word: type[said.Succeeded], amount: Money, payment_id: str
) -> None:
    _, decision = told(state, word(amount, payment_id, "ref", SIGNED))
    one = only(decision)

    assert steps_of(decision) == [Step.CONTRADICT]
    assert one.state is State.ATTENTION
    assert one.deadline_at == NOW + 3 * DAY_MS
    assert (paid(decision).reserved, paid(decision).refunded) == (400, 0)


@pytest.mark.parametrize("state", OPEN)
def test_a_bounce_proves_the_success_before_it(state: State) -> None:
    _, decision = told(state, BOUNCED)
    after_both = paid(decision)

    assert steps_of(decision) == [Step.SUCCEED, Step.BOUNCE]
    assert only(decision).state is State.BOUNCED
    assert (after_both.reserved, after_both.refunded, after_both.refundable) == (0, 0, 1_000)


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.REFUND}))
def test_nothing_but_a_refund_comes_back(kind: Kind) -> None:
    one = instruction(State.SENT, kind, instruction_id=REVERSAL_ID)
    bounced = said.Bounced(one.amount, PAYMENT_ID, "ref", SIGNED)
    before = snapshot(payment_of(one), one)

    assert only(heard(before, bounced)).state is State.ATTENTION


# Refusals.


@pytest.mark.parametrize(
    ("state", "outcome", "asked_at", "changes", "expected"),
    [
        # The only attempt.
        (State.SENT, NEVER, ALIVE, {}, State.FAILED),
        (State.SENT, NEVER, None, {}, State.FAILED),
        (State.PENDING, NEVER, None, {}, State.FAILED),
        (State.UNKNOWN, NEVER, ALIVE, {}, State.FAILED),
        # The second, the first being dead.
        (State.SENT, NEVER, ALIVE, ONCE_MORE, State.FAILED),
        # The second, the first travelling still: until it is dead.
        (State.SENT, NEVER, ALIVE, IN_DOUBT, State.UNKNOWN),
        (State.UNKNOWN, NEVER, ALIVE, IN_DOUBT, State.UNKNOWN),
        (State.UNKNOWN, NEVER, None, IN_DOUBT, State.UNKNOWN),
        (State.UNKNOWN, NEVER, DEAD, IN_DOUBT, State.FAILED),
        (State.PENDING, NEVER, DEAD, IN_DOUBT, State.FAILED),
        (State.ATTENTION, NEVER, ALIVE, IN_DOUBT, State.ATTENTION),
        (State.ATTENTION, NEVER, DEAD, IN_DOUBT, State.FAILED),
    ],
)
def test_no_refusal_is_final_until_every_other_attempt_is_dead(
    state: State, outcome: Outcome, asked_at: int | None, changes: dict[str, Any], expected: State
) -> None:
    _, decision = told(state, outcome, asked_at, **changes)

    assert only(decision).state is expected
    assert paid(decision).reserved == (0 if expected is State.FAILED else 400)


def test_a_doubt_that_was_settled_once_is_a_doubt_no_more() -> None:
    """Absent and dead, sent again, refused: the refusal is the last word."""
    _, absent = told(State.UNKNOWN, ABSENT, DEAD)
    one = only(absent)

    assert (one.state, one.in_doubt) == (State.UNKNOWN, False)
    assert after(State.SENT, NEVER, in_doubt=one.in_doubt, attempt=2) is State.FAILED


def test_a_busy_channel_gets_the_same_number_later() -> None:
    _, decision = told(State.SENT, LATER)
    one = only(decision)

    assert steps_of(decision) == [Step.RETRY_LATER]
    assert (one.state, one.number, one.due_at) == (State.ACCEPTED, NUMBER, AGAIN)
    assert not one.in_doubt


@pytest.mark.parametrize("asked_at", [ALIVE, DEAD])
@pytest.mark.parametrize("state", [State.PENDING, State.UNKNOWN, State.ATTENTION])
@pytest.mark.parametrize("attempt", [1, 8])
def test_a_rate_limit_on_a_question_is_no_refusal_of_what_was_asked_about(
    state: State, asked_at: int, attempt: int
) -> None:
    _, decision = told(state, LATER, asked_at, attempt=attempt)

    expected = State.ATTENTION if state is State.ATTENTION else State.UNKNOWN
    assert only(decision).state is expected
    assert paid(decision).reserved == 400


@pytest.mark.parametrize(
    ("state", "outcome", "asked_at", "changes"),
    [
        (State.SENT, LATER, ALIVE, {"attempt": 8}),
        (State.SENT, RENUMBER, ALIVE, {"attempt": 8}),
        (State.SENT, RENUMBER, ALIVE, {"generation": 3}),
        (State.UNKNOWN, ABSENT, DEAD, {"attempt": 8}),
        (State.ATTENTION, ABSENT, DEAD, {}),
    ],
)
def test_when_no_attempt_is_left_a_proven_refusal_is_the_end(
    state: State, outcome: Outcome, asked_at: int, changes: dict[str, Any]
) -> None:
    assert after(state, outcome, asked_at, **changes) is State.FAILED


@pytest.mark.parametrize(
    ("state", "asked_at", "changes", "expected"),
    [
        (State.SENT, ALIVE, {}, State.ACCEPTED),
        (State.SENT, None, {}, State.ACCEPTED),
        (State.UNKNOWN, ALIVE, {}, State.UNKNOWN),
        (State.UNKNOWN, DEAD, IN_DOUBT, State.UNKNOWN),
        (State.PENDING, DEAD, IN_DOUBT, State.UNKNOWN),
    ],
)
def test_a_stored_refusal_gets_a_new_number_once_the_old_one_is_dead(
    state: State, asked_at: int | None, changes: dict[str, Any], expected: State
) -> None:
    _, decision = told(state, RENUMBER, asked_at, **changes)
    one = only(decision)

    assert one.state is expected
    assert one.generation == 1
    assert one.number == number_for(payment_id=PAYMENT_ID, key=KEY, generation=1) != NUMBER
    assert one.instruction_id == REVERSAL_ID
    assert not one.in_doubt


# Absence.


@pytest.mark.parametrize("state", [State.SENT, State.PENDING, State.UNKNOWN])
def test_what_is_absent_after_its_death_may_be_sent_once_more(state: State) -> None:
    _, decision = told(state, ABSENT, DEAD, in_doubt=True)
    one = only(decision)

    assert (one.state, one.in_doubt) == (State.UNKNOWN, False)
    assert paid(decision).reserved == 400


# What never left.


def test_what_never_left_is_as_if_it_had_not_been_tried() -> None:
    _, decision = told(State.SENT, said.NotSent())

    assert steps_of(decision) == [Step.NOT_SENT]
    assert only(decision).state is State.ACCEPTED


@pytest.mark.parametrize("state", [State.PENDING, State.UNKNOWN])
def test_a_question_that_never_left_says_nothing_about_the_attempt(state: State) -> None:
    _, decision = told(state, said.NotSent(), in_doubt=False)
    one = only(decision)

    assert (one.state, one.in_doubt) == (state, False)
    assert [type(event) for event in decision.events] == [InstructionNoted]


# A wish to take it back.


@pytest.mark.parametrize(
    ("state", "outcome", "asked_at", "steps"),
    [
        (State.SENT, said.NotSent(), ALIVE, [Step.NOT_SENT, Step.WITHDRAW]),
        (State.SENT, LATER, ALIVE, [Step.RETRY_LATER, Step.WITHDRAW]),
        (State.SENT, RENUMBER, ALIVE, [Step.RETRY_LATER, Step.WITHDRAW]),
        (State.UNKNOWN, RENUMBER, DEAD, [Step.WITHDRAW_CONFIRMED]),
        (State.UNKNOWN, ABSENT, DEAD, [Step.WITHDRAW_CONFIRMED]),
        (State.PENDING, ABSENT, DEAD, [Step.WITHDRAW_CONFIRMED]),
        (State.ATTENTION, ABSENT, DEAD, [Step.WITHDRAW_CONFIRMED]),
        (State.PENDING, said.Withdrawn(SIGNED), ALIVE, [Step.WITHDRAW_CONFIRMED]),
    ],
)
@pytest.mark.parametrize("attempt", [1, 8])
def test_what_is_proven_not_to_act_is_withdrawn_if_that_was_wished_for(
    state: State, outcome: Outcome, asked_at: int, steps: list[Step], attempt: int
) -> None:
    _, decision = told(state, outcome, asked_at, withdrawal=Withdrawal.ASKED, attempt=attempt)
    one = only(decision)

    assert steps_of(decision) == steps
    assert (one.state, one.withdrawal) == (State.WITHDRAWN, Withdrawal.DONE)
    assert (paid(decision).reserved, paid(decision).refunds) == (0, 0)
    assert one.generation == 0


@pytest.mark.parametrize(
    ("outcome", "asked_at", "changes"),
    [
        (said.NotSent(), ALIVE, IN_DOUBT),
        (ABSENT, ALIVE, {}),
        (RENUMBER, ALIVE, IN_DOUBT),
        (said.Unknown(), DEAD, {}),
    ],
)
def test_a_wish_alone_gives_nothing_back(
    outcome: Outcome, asked_at: int, changes: dict[str, Any]
) -> None:
    _, decision = told(State.SENT, outcome, asked_at, withdrawal=Withdrawal.ASKED, **changes)

    assert only(decision).withdrawal is Withdrawal.ASKED
    assert paid(decision).reserved == 400


def test_a_success_is_stronger_than_the_wish() -> None:
    _, decision = told(State.UNKNOWN, SUCCEEDED, withdrawal=Withdrawal.ASKED)

    assert only(decision).withdrawal is Withdrawal.REFUSED


# What stays open for too long.


@pytest.mark.parametrize(
    ("state", "outcome", "steps"),
    [
        (State.PENDING, said.Accepted(), [Step.OVERDUE]),
        (State.UNKNOWN, said.Unknown(), [Step.OVERDUE]),
        (State.UNKNOWN, said.Accepted(), [Step.ACCEPT, Step.OVERDUE]),
        (State.SENT, said.Unknown(), [Step.LOSE, Step.OVERDUE]),
        (State.SENT, LATER, [Step.RETRY_LATER]),
        (State.SENT, SUCCEEDED, [Step.SUCCEED]),
        (State.ATTENTION, said.Unknown(), []),
    ],
)
def test_what_the_channel_leaves_open_for_too_long_is_for_a_person(
    state: State, outcome: Outcome, steps: list[Step]
) -> None:
    _, decision = told(state, outcome, sent_at=NOW - DAY_MS)

    assert steps_of(decision)[: len(steps)] == steps
    assert (Step.OVERDUE in steps_of(decision)) == (Step.OVERDUE in steps)
    if Step.OVERDUE in steps:
        assert only(decision).state is State.ATTENTION
        assert only(decision).deadline_at == NOW + 3 * DAY_MS
        assert paid(decision).unknown == 0


def test_until_the_very_last_moment_it_is_only_open() -> None:
    sent_at = NOW - DAY_MS + 1

    assert after(State.PENDING, said.Accepted(), sent_at=sent_at) is State.PENDING


# What changes nothing is still kept.


def test_a_word_that_settles_nothing_is_noted_and_asked_about_again_later() -> None:
    _, decision = told(State.PENDING, said.Accepted("ref", evidence=SIGNED))
    one = only(decision)

    assert decision.events == (InstructionNoted(Note.ANSWERED, one, SIGNED),)
    assert (one.state, one.reference, one.due_at) == (State.PENDING, "ref", AGAIN)
    assert (one.lease, one.sequence) == (4, 5)


def test_a_notice_does_not_delay_the_next_question() -> None:
    assert only(told(State.PENDING, said.Accepted(), None)[1]).due_at == NOW


@pytest.mark.parametrize(
    ("outcome", "failure"),
    [
        (NEVER, "ok"),
        (said.Declined(Retry.NEVER), "declined"),
        (said.Declined(Retry.NEVER, is_captured=True, evidence=SIGNED), "already_captured"),
        (BOUNCED, "ok"),
    ],
)
def test_why_it_failed_is_kept_in_the_words_of_the_channel(outcome: Outcome, failure: str) -> None:
    assert only(told(State.SENT, outcome)[1]).failure == failure


# After the end.


@pytest.mark.parametrize("state", [State.FAILED, State.WITHDRAWN])
@pytest.mark.parametrize(
    ("outcome", "steps", "refunded"),
    [(SUCCEEDED, [Step.EFFECT], 400), (BOUNCED, [Step.EFFECT, Step.BOUNCE], 0)],
)
def test_an_effect_after_all_is_a_fact(
    state: State, outcome: Outcome, steps: list[Step], refunded: int
) -> None:
    _, decision = told(state, outcome, None)

    assert steps_of(decision) == steps
    assert (paid(decision).refunded, paid(decision).refunds) == (refunded, 1)


def test_an_effect_of_money_that_is_gone_already_is_a_loss_and_a_case() -> None:
    one = instruction(State.FAILED)
    before = payment_of(one)
    fields = {name: getattr(before, name) for name in before.__struct_fields__}
    state = snapshot(type(before)(**fields | {"refunded": 900, "refunds": 1}), one)
    decision = heard(state, SUCCEEDED, None)

    assert paid(decision).excess == 300
    assert [case.kind for case in decision.cases] == [CaseKind.OVER_REVERSAL]
    assert CaseOpened(decision.cases[0]) in decision.events


def test_a_success_bounces_later() -> None:
    _, decision = told(State.SUCCEEDED, BOUNCED, None)

    assert steps_of(decision) == [Step.BOUNCE]
    assert only(decision).failure == "ok"
    assert paid(decision).refunded == 0


def test_money_that_came_back_takes_back_the_loss() -> None:
    one = instruction(State.SUCCEEDED)
    before = payment_of(one)
    fields = {name: getattr(before, name) for name in before.__struct_fields__}
    charged = type(before)(**fields | {"charged_back": 1_000, "excess": 400})
    decision = heard(snapshot(charged, one), BOUNCED, None)

    assert paid(decision).excess == 0
    assert decision.events[0].excess == -400


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (State.SUCCEEDED, SUCCEEDED),
        (State.BOUNCED, SUCCEEDED),
        (State.BOUNCED, BOUNCED),
        (State.SUCCEEDED, ABSENT),
        (State.SUCCEEDED, said.Accepted(evidence=SIGNED)),
        (State.SUCCEEDED, said.Unknown(SIGNED)),
        (State.SUCCEEDED, said.Declined(Retry.NEVER)),
        (State.SUCCEEDED, said.Bounced(yuan(400), PAYMENT_ID)),
        (State.FAILED, UNPROVEN),
        (State.FAILED, NEVER),
        (State.FAILED, ABSENT),
        (State.WITHDRAWN, NEVER),
        (State.WITHDRAWN, said.Withdrawn(SIGNED)),
        (State.WITHDRAWN, said.Accepted(evidence=SIGNED)),
    ],
)
def test_what_is_known_or_not_proven_changes_nothing_after_the_end(
    state: State, outcome: Outcome
) -> None:
    _, decision = told(state, outcome, None)

    assert decision == Accepted()


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (State.SUCCEEDED, NEVER),
        (State.SUCCEEDED, said.Withdrawn(SIGNED)),
        (State.SUCCEEDED, said.Succeeded(yuan(401), PAYMENT_ID, "", SIGNED)),
        (State.SUCCEEDED, said.Bounced(yuan(1), PAYMENT_ID, "", SIGNED)),
        (State.FAILED, said.Succeeded(yuan(400), "shop/pay_2", "", SIGNED)),
        (State.WITHDRAWN, said.Succeeded(Money(400, "USD"), PAYMENT_ID, "", SIGNED)),
    ],
)
def test_proof_against_a_final_state_is_for_a_person(state: State, outcome: Outcome) -> None:
    before, decision = told(state, outcome, None)
    [case] = decision.cases

    assert decision == Accepted(cases=(case,), events=(CaseOpened(case),))
    assert (case.kind, case.object_id) == (CaseKind.CONTRADICTION, REVERSAL_ID)
    known = snapshot(case, *before.payments.values(), *before.instructions.values())
    assert heard(known, outcome, None) == Accepted()


@pytest.mark.parametrize(
    ("known", "reference", "is_case"),
    [("ref", "other", True), ("ref", "ref", False), ("ref", "", False), ("", "other", False)],
)
def test_two_names_for_one_number_are_two_effects(
    known: str, reference: str, *, is_case: bool
) -> None:
    again = said.Succeeded(yuan(400), PAYMENT_ID, reference, SIGNED)
    _, decision = told(State.SUCCEEDED, again, None, reference=known)

    assert bool(decision.cases) is is_case


ORDERS: list[tuple[list[Outcome], State]] = [
    ([SUCCEEDED, BOUNCED, SUCCEEDED], State.BOUNCED),
    ([BOUNCED, SUCCEEDED, BOUNCED], State.BOUNCED),
    ([NEVER, SUCCEEDED], State.SUCCEEDED),
    ([NEVER, BOUNCED, SUCCEEDED], State.BOUNCED),
    ([said.Accepted(), SUCCEEDED, said.Accepted(evidence=SIGNED)], State.SUCCEEDED),
    ([SUCCEEDED, SUCCEEDED], State.SUCCEEDED),
]


@pytest.mark.parametrize(("outcomes", "expected"), ORDERS)
def test_the_order_of_notices_does_not_matter(outcomes: list[Outcome], expected: State) -> None:
    state = in_state(State.SENT)
    for outcome in outcomes:
        decision = heard(state, outcome, None)
        if decision.instructions:
            state = snapshot(paid(decision), only(decision))
    left = state.payments[PAYMENT_ID]

    assert state.instructions[REVERSAL_ID].state is expected
    assert (left.reserved, left.refunded) == (0, 400 if expected is State.SUCCEEDED else 0)


def test_the_patience_of_the_policy_is_what_counts() -> None:
    patient: Policy = policy(attention_after_ms=NOW - SENT_AT + 1)
    hasty: Policy = policy(attention_after_ms=NOW - SENT_AT)

    assert after(State.PENDING, said.Accepted(), rules=patient) is State.PENDING
    assert after(State.PENDING, said.Accepted(), rules=hasty) is State.ATTENTION
