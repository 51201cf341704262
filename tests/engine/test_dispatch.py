"""What reaches the channel, when, and how often: with the real store, channel and bank."""

from __future__ import annotations

from collections.abc import Callable

import cases as a
import msgspec
import pytest
from house import HOUR_MS, MINUTE_MS, House, accepted, created, keyed, recorded, refund_of

from contraflow.domain import commands as c
from contraflow.domain import outcome as said
from contraflow.domain.instruction import Instruction, Waiting, Withdrawal
from contraflow.domain.lifecycle import FINAL, PaymentState, State
from contraflow.domain.money import Money
from contraflow.domain.outcome import Retry
from contraflow.engine.dispatch import may_send_again, work_on
from contraflow.engine.gate import Gate
from contraflow.engine.limits import (
    BREAKER_FAILURES_MAX,
    BREAKER_PAUSE_MS,
    LEASE_MARGIN_MS,
    REPLY_WITHIN_MS,
)
from contraflow.outside.bank_scripts import Result
from contraflow.outside.virtual_time import result_of

Build = Callable[..., House]
CARD, RAIL = "sandbox", "sandbox_rail"
RAIL_DEAD_MS = 5_000 + 5 * MINUTE_MS  # `leave_within_ms` and `dead_after_ms` of the rail.


def steps_of(house: House, instruction_id: str) -> list[str]:
    bodies = [msgspec.json.decode(record.body) for _, record in events_of(house, instruction_id)]
    return [body["step"] for body in bodies if "step" in body]


def events_of(house: House, *ids: str) -> list[tuple[int, object]]:
    return result_of(house.views.events_of(list(ids)))


def actions(house: House) -> list[str]:
    return [seen.action for seen in house.road.seen]


def sent(house: House) -> list[int]:
    return [seen.at for seen in house.road.asked("refund")]


def end_of(house: House, instruction_id: str, within_ms: int = HOUR_MS) -> Instruction:
    """It as it is when it has come to its end."""
    until = house.runtime.now() + within_ms
    house.runtime.run(
        lambda: house.instruction(instruction_id).state in FINAL or house.runtime.now() > until
    )
    return house.instruction(instruction_id)


# Before the first byte


def test_the_mark_is_committed_before_the_first_byte_leaves(house: House) -> None:
    house.paid()
    one = end_of(house, house.refund())

    assert [seen.state for seen in house.road.seen] == [State.SENT]
    assert one.state is State.SUCCEEDED
    assert one.leave_by == house.road.seen[0].at + 1_000


def test_what_leaves_too_late_does_not_leave(house: House) -> None:
    """The worker fell asleep between the mark and the first byte."""
    house.paid()
    house.road.plays.append("asleep")
    refund = house.refund()
    house.run_for(1_100)
    back = house.instruction(refund)
    assert (back.state, back.attempt, back.in_doubt) == (State.ACCEPTED, 1, False)
    assert house.bank.orders() == {}
    one = end_of(house, refund)

    assert (one.state, one.attempt) == (State.SUCCEEDED, 2)
    assert house.bank.orders()[one.number].submissions == 1
    assert steps_of(house, refund) == ["request", "send", "not_sent", "send", "succeed"]


def test_what_cannot_be_reached_is_tried_again_later_and_later(house: House) -> None:
    house.paid()
    house.road.plays.extend(["unreachable"] * 3)
    one = end_of(house, house.refund())
    first, second, third, fourth = sent(house)

    assert one.state is State.SUCCEEDED
    assert not one.in_doubt
    assert 500 <= second - first <= 550
    assert 1_000 <= third - second <= 1_100
    assert 2_000 <= fourth - third <= 2_200


def test_a_channel_that_is_not_reached_for_an_hour_does_not_make_the_loop_spin(
    build: Build,
) -> None:
    house = build(attempts_max=3).start()
    house.paid()
    house.road.closed.add(CARD)
    refund = house.refund()
    until = house.runtime.now() + HOUR_MS
    house.runtime.run(lambda: house.runtime.turns > 5_000 or house.runtime.now() > until)
    assert house.runtime.turns <= 5_000
    house.road.closed.clear()

    assert end_of(house, refund).state is State.SUCCEEDED


def test_what_cannot_be_sent_for_longer_than_the_channels_bound_comes_to_an_end(
    house: House,
) -> None:
    house.paid()
    house.road.closed.add(CARD)
    refund = house.refund()
    house.run_for(30 * HOUR_MS)

    assert house.instruction(refund).state in FINAL | {State.ATTENTION}


def test_two_workers_on_one_job_send_once(house: House) -> None:
    house.paid()
    house.ask(keyed(c.SwitchHold, scope="all", is_on=True))
    one = house.instruction(house.refund())
    house.ask(keyed(c.SwitchHold, scope="all", is_on=False))
    for _ in range(2):
        house.runtime.spawn(work_on(house.parts, Gate(slots=1), one))
    end = end_of(house, one.instruction_id)

    assert actions(house) == ["refund"]
    assert end.attempt == 1


# In doubt


@pytest.mark.parametrize("channel", [CARD, RAIL])
@pytest.mark.parametrize("play", ["reply_lost", "proxy"])
def test_a_lost_reply_is_inquired_about_and_never_sent_again_blindly(
    house: House, channel: str, play: str
) -> None:
    house.paid(channel=channel)
    house.road.plays.append(play)
    refund = house.refund()
    house.run_for(1)
    assert house.instruction(refund).state is State.UNKNOWN
    one = end_of(house, refund)
    first, second = house.road.seen
    wait_ms = {CARD: 100, RAIL: 10_000}[channel]

    assert one.state is State.SUCCEEDED
    assert actions(house) == ["refund", "status"]
    assert wait_ms <= second.at - first.at <= wait_ms * 1.1 + 1
    assert house.bank.effects()[one.number].times == 1


def test_the_schedule_goes_on_while_nobody_answers(house: House) -> None:
    house.paid(channel=RAIL)
    house.road.plays.extend(["reply_lost"] + ["request_lost"] * 4)
    one = end_of(house, house.refund())
    times = [seen.at - house.road.seen[0].at for seen in house.road.asked("status")]

    assert one.state is State.SUCCEEDED
    assert len(sent(house)) == 1
    for expected, found in zip((10, 40, 100, 160, 220), times, strict=True):
        assert expected * 1_000 <= found <= expected * 1_100


def test_what_the_channel_lacks_and_may_get_twice_is_sent_again_with_the_same_bytes(
    house: House,
) -> None:
    house.paid()
    house.road.plays.append("lands_late")
    one = end_of(house, house.refund())
    house.run_for(5_000)
    first, second = house.road.asked("refund")

    assert one.state is State.SUCCEEDED
    assert (first.body, first.number) == (second.body, second.number)
    assert actions(house) == ["refund", "status", "refund"]
    assert second.at - first.at < 500  # The first one is still travelling.
    assert house.bank.effects()[one.number].times == 1


def test_what_may_act_twice_is_not_sent_again_while_it_may_be_travelling(house: House) -> None:
    house.paid(channel=RAIL)
    house.road.plays.append("request_lost")
    refund = house.refund()
    begin = house.road.seen[0].at if house.road.seen else house.runtime.now()
    house.run_for(RAIL_DEAD_MS - 1_000)
    assert house.instruction(refund).state is State.UNKNOWN
    assert len(house.road.asked("status")) >= 5
    assert len(sent(house)) == 1
    one = end_of(house, refund)

    assert one.state is State.SUCCEEDED
    assert len(sent(house)) == 2
    assert sent(house)[1] >= begin + RAIL_DEAD_MS
    assert actions(house)[-2:] == ["status", "refund"]
    assert house.bank.effects()[one.number].times == 1


def test_a_refusal_is_not_final_while_an_earlier_attempt_travels(house: House) -> None:
    """The bank refuses the second attempt, and the first one lands after that."""
    house.paid(script="refuse_retry")
    refund = house.refund()
    one = end_of(house, refund)

    assert one.state is State.SUCCEEDED
    assert len(sent(house)) >= 2
    assert "fail" not in steps_of(house, refund)
    assert house.bank.effects()[one.number].times == 1


def test_a_refusal_of_the_only_attempt_is_final(house: House) -> None:
    house.paid(script="decline")
    one = end_of(house, house.refund())

    assert (one.state, one.failure) == (State.FAILED, "refused")
    assert actions(house) == ["refund"]
    assert house.payment().refundable == 1_000


@pytest.mark.parametrize("reply_within_ms", [1_000, 30_000, 60_000])
def test_a_call_that_leaves_in_time_ends_before_its_lease(
    house: House, reply_within_ms: int
) -> None:
    house.parts.reply_within_ms = reply_within_ms
    house.paid()
    house.road.plays.append("asleep_over_reply")
    refund = house.refund()
    house.run_for(1_000)
    one = house.instruction(refund)

    assert one.state is State.SENT
    assert one.leave_by is not None
    assert one.due_at is not None
    assert one.due_at > one.leave_by + reply_within_ms


def test_an_answer_that_comes_after_the_lease_changes_nothing(house: House) -> None:
    house.paid()
    house.road.plays.append("asleep_over_reply")
    refund = house.refund()
    house.run_for(REPLY_WITHIN_MS + LEASE_MARGIN_MS - 1_000)
    assert house.instruction(refund).state is State.SENT
    one = end_of(house, refund)
    assert actions(house) == ["refund", "status"]
    house.run_for(1)
    assert len(house.parts.gates[CARD].busy) == 1  # It sleeps on, in its slot.
    house.run_for(HOUR_MS)

    assert one.state is State.SUCCEEDED
    assert house.instruction(refund) == one
    assert house.parts.gates[CARD].busy == set()


def test_a_crash_after_the_mark_is_a_doubt_that_is_inquired_about(house: House) -> None:
    house.paid()
    house.road.blocked.add(CARD)
    refund = house.refund()
    house.run_for(1)
    assert house.instruction(refund).state is State.SENT
    house.restart()
    one = end_of(house, refund)

    assert one.state is State.SUCCEEDED
    assert actions(house) == ["status", "refund"]  # Of the new incarnation's road.
    assert steps_of(house, refund) == ["request", "send", "lose", "resend", "succeed"]


def test_what_stays_open_too_long_is_shown_to_a_person(house: House) -> None:
    house.paid()
    house.road.plays.extend(["request_lost"] * 100)
    refund = house.refund()
    one = house.run_until(State.ATTENTION, refund, 30 * HOUR_MS)

    assert house.runtime.now() >= house.road.seen[0].at + 24 * HOUR_MS
    assert one.deadline_at is not None
    assert house.payment().reserved == 400
    assert result_of(house.views.in_attention("main")) == [one]


def test_a_redirected_one_is_sent_again_by_the_next_mark(house: House) -> None:
    house.paid()
    house.road.plays.extend(["request_lost"] * 100)
    refund = house.refund()
    house.run_until(State.ATTENTION, refund, 30 * HOUR_MS)
    house.road.plays.clear()
    redirect = keyed(
        c.ResolveCase,
        object_id=refund,
        resolution=c.Resolution.REDIRECT,
        evidence="the bank has no trace of it",
    )
    redirected = accepted(house.ask(redirect)).instructions[0]
    one = end_of(house, refund)

    assert redirected.waiting is Waiting.REDIRECT
    assert one.state is State.SUCCEEDED
    assert steps_of(house, refund)[-2:] == ["redirect", "succeed"]


# What the channel says


def test_too_many_requests_are_sent_again_later_with_the_same_number(house: House) -> None:
    house.paid(script="rate_limit")
    refund = house.refund()
    house.run_for(1)
    assert house.instruction(refund).state is State.ACCEPTED
    one = end_of(house, refund)
    first, second, third = house.road.asked("refund")

    assert one.state is State.SUCCEEDED
    assert (one.attempt, one.generation) == (3, 0)
    assert first.body == second.body == third.body
    assert 500 <= second.at - first.at <= 550
    assert 1_000 <= third.at - second.at <= 1_100


def test_a_stored_refusal_is_asked_for_again_under_a_new_number(house: House) -> None:
    house.paid(script="stored_refusal")
    refund = house.refund()
    one = end_of(house, refund)
    first, second = house.road.asked("refund")

    assert (one.state, one.generation) == (State.SUCCEEDED, 1)
    assert (first.number, second.number) == (refund.partition("/")[2], one.number)
    assert first.number != second.number
    assert set(house.bank.effects()) == {one.number}
    assert house.payment().refunded == 400


@pytest.mark.parametrize("script", ["wrong_amount", "wrong_currency"])
def test_another_amount_than_asked_for_is_shown_to_a_person_and_not_booked(
    house: House, script: str
) -> None:
    house.paid(script=script)
    refund = house.refund()
    house.run_until(State.ATTENTION, refund)
    house.run_for(2 * HOUR_MS)

    assert house.instruction(refund).state is State.ATTENTION
    assert steps_of(house, refund) == ["request", "send", "contradict"]
    assert (house.payment().reserved, house.payment().refunded) == (400, 0)


def test_what_is_pending_succeeds_when_the_channel_says_so(house: House) -> None:
    house.paid(script="accept_then_succeed")
    refund = house.refund()
    house.run_for(1)
    pending = house.instruction(refund)
    one = end_of(house, refund)

    assert (pending.state, one.state) == (State.PENDING, State.SUCCEEDED)
    assert one.known_at == pending.known_at
    assert one.reference == f"bank_{one.number}"


def test_what_bounces_is_no_refund_any_more(house: House) -> None:
    house.paid(script="bounce")
    refund = house.refund()
    assert end_of(house, refund).state is State.SUCCEEDED
    one = house.run_until(State.BOUNCED, refund)

    assert one.failure != ""
    assert (house.payment().refunded, house.payment().refundable) == (0, 1_000)


# Taken back


def test_before_it_was_sent_it_is_taken_back_at_once(build: Build) -> None:
    house = build(undo_window_s=60).start()
    house.paid()
    refund = house.refund()
    house.run_for(59_999)
    [back] = accepted(house.ask(keyed(c.WithdrawReversal, instruction_id=refund))).instructions
    house.run_for(HOUR_MS)

    assert back.state is State.WITHDRAWN
    assert house.road.seen == []
    assert house.payment().refundable == 1_000


def test_between_two_attempts_it_is_taken_back_at_once(house: House) -> None:
    house.paid()
    house.road.plays.append("unreachable")
    refund = house.refund()
    house.run_for(100)
    [back] = accepted(house.ask(keyed(c.WithdrawReversal, instruction_id=refund))).instructions
    house.run_for(HOUR_MS)

    assert back.state is State.WITHDRAWN
    assert len(house.road.seen) == 1


def test_after_it_was_sent_the_channel_is_asked_to_give_it_back(house: House) -> None:
    house.paid(script="accept_then_succeed")
    refund = house.refund()
    house.run_for(10)
    [asked] = accepted(house.ask(keyed(c.WithdrawReversal, instruction_id=refund))).instructions
    one = end_of(house, refund)
    house.run_for(HOUR_MS)

    assert asked.withdrawal is Withdrawal.ASKED
    assert (one.state, one.withdrawal) == (State.WITHDRAWN, Withdrawal.DONE)
    assert actions(house) == ["refund", "status", "withdraw"]  # It takes turns.
    assert house.bank.orders()[one.number].result is Result.WITHDRAWN
    assert house.bank.effects() == {}
    assert house.payment().refundable == 1_000


def test_whoever_comes_too_late_is_told_so_by_the_proof(house: House) -> None:
    """The money has moved at the bank, and its answer is on its way."""
    house.paid(script="slow")
    refund = house.refund()
    house.run_for(10)
    assert house.instruction(refund).state is State.SENT
    [asked] = accepted(house.ask(keyed(c.WithdrawReversal, instruction_id=refund))).instructions
    one = end_of(house, refund)

    assert asked.state is State.SENT
    assert (one.state, one.withdrawal) == (State.SUCCEEDED, Withdrawal.REFUSED)
    assert house.payment().refunded == 400


def test_a_channel_that_cannot_give_back_goes_on(house: House) -> None:
    house.paid(script="accept_then_succeed", channel=RAIL)
    refund = house.refund()
    house.run_for(10)
    house.ask(keyed(c.WithdrawReversal, instruction_id=refund))
    one = end_of(house, refund)

    assert (one.state, one.withdrawal) == (State.SUCCEEDED, Withdrawal.REFUSED)
    assert "withdraw" not in actions(house)


def test_what_its_owner_wants_back_is_not_sent_again(house: House) -> None:
    """The request was lost; when the channel says that it has nothing, it is withdrawn."""
    house.paid()
    house.road.plays.extend(["request_lost", "request_lost"])
    refund = house.refund()
    house.run_for(10)
    house.ask(keyed(c.WithdrawReversal, instruction_id=refund))
    one = end_of(house, refund)
    house.run_for(HOUR_MS)

    assert (one.state, one.withdrawal) == (State.WITHDRAWN, Withdrawal.DONE)
    assert len(sent(house)) == 1
    assert house.bank.effects() == {}


# Hold mode


@pytest.mark.parametrize("scope", ["all", "channel:sandbox", "merchant:main"])
def test_on_hold_requests_are_taken_and_nothing_is_sent(house: House, scope: str) -> None:
    house.paid()
    house.ask(keyed(c.SwitchHold, scope=scope, is_on=True))
    refund = house.refund()
    turns = house.runtime.turns
    house.run_for(HOUR_MS)
    assert house.road.seen == []
    assert house.runtime.turns - turns < 100
    house.ask(keyed(c.SwitchHold, scope=scope, is_on=False))

    assert end_of(house, refund).state is State.SUCCEEDED


def test_a_hold_of_one_channel_holds_no_other(house: House) -> None:
    house.paid()
    house.paid("pay_2", channel=RAIL)
    house.ask(keyed(c.SwitchHold, scope="channel:sandbox_rail", is_on=True))
    held, free = house.refund("main/pay_2"), house.refund("main/pay_1")

    assert end_of(house, free).state is State.SUCCEEDED
    assert house.instruction(held).state is State.ACCEPTED


def test_what_was_sent_before_the_hold_is_followed_to_its_end(house: House) -> None:
    house.paid()
    house.road.plays.append("reply_lost")
    refund = house.refund()
    house.run_for(10)
    house.ask(keyed(c.SwitchHold, scope="all", is_on=True))

    assert end_of(house, refund).state is State.SUCCEEDED


# One after another


def test_a_void_waits_for_a_capture_that_is_in_doubt(house: House) -> None:
    house.ask(created(is_manual=True, channel=RAIL))
    house.runtime.run(lambda: house.payment().state is PaymentState.AUTHORIZED)
    house.road.plays.append("reply_lost")
    house.take(keyed(c.RequestCapture, payment_id="main/pay_1", amount=Money(300, "GBP")))
    house.run_for(1)
    assert house.payment().unknown == 1
    [void] = house.take(keyed(c.RequestCancel, payment_id="main/pay_1"))
    house.run_for(5_000)
    waiting = house.instruction(void)
    assert (waiting.state, waiting.attempt) == (State.ACCEPTED, 0)
    assert waiting.deadline_at is not None
    one = end_of(house, void)

    assert (one.state, one.minor) == (State.SUCCEEDED, 700)
    assert actions(house) == ["pay", "capture", "status", "void"]
    assert (house.payment().captured, house.payment().voided) == (300, 700)


def test_an_independent_partial_refund_does_not_wait_for_another(house: House) -> None:
    house.paid()
    house.road.plays.append("reply_lost")
    first = house.refund(minor=300)
    house.run_for(1)
    assert house.instruction(first).state is State.UNKNOWN
    second = house.refund(minor=300)
    house.run_for(1)

    assert house.instruction(second).state is State.SUCCEEDED


def test_two_refunds_keep_the_gap_that_the_channel_asks_for(house: House) -> None:
    house.paid(method="qr")
    first, second = house.refund(minor=100), house.refund(minor=200)
    ends = [end_of(house, each).state for each in (first, second)]
    times = sent(house)

    assert ends == [State.SUCCEEDED] * 2
    assert 3_000 <= times[1] - times[0] <= 3_300


def test_a_gap_is_kept_within_one_payment_only(house: House) -> None:
    for name in ("pay_1", "pay_2"):
        house.paid(name, method="qr")
    for name in ("pay_1", "pay_2"):
        house.refund(f"main/{name}")
    house.run_for(1)

    assert len(sent(house)) == 2


# Channels apart


def many(house: House, channel: str, count: int) -> list[str]:
    for number in range(count):
        house.ask(recorded(f"main/{channel}{number}", channel=channel))
    return [house.refund(f"main/{channel}{number}") for number in range(count)]


def test_a_channel_that_never_answers_takes_its_own_slots_only(house: House) -> None:
    house.road.blocked.add("sandbox-rail")
    stuck = many(house, RAIL, 20)
    free = many(house, CARD, 3)
    house.run_for(1)

    assert len(house.parts.gates[RAIL].busy) == 16
    assert [house.instruction(each).state for each in free] == [State.SUCCEEDED] * 3
    assert [house.instruction(each).state for each in stuck].count(State.SENT) == 16


def test_a_freed_slot_is_taken_at_once(build: Build) -> None:
    house = build()
    house.parts.gates[CARD].slots = 1
    house.start()
    refunds = many(house, CARD, 3)
    house.run_for(0)

    assert [house.instruction(each).state for each in refunds] == [State.SUCCEEDED] * 3


def test_a_rate_limit_spreads_the_calls(build: Build) -> None:
    house = build()
    house.parts.gates[CARD].calls_per_s = 2
    house.start()
    many(house, CARD, 5)
    house.run_for(10_000)

    assert [at // 1_000 - sent(house)[0] // 1_000 for at in sent(house)] == [0, 0, 1, 1, 2]


def test_after_many_failures_a_dead_channel_is_left_alone_and_others_go_on(house: House) -> None:
    house.road.closed.add("sandbox-rail")
    many(house, RAIL, BREAKER_FAILURES_MAX)
    house.run_for(1)
    tried = len(house.road.seen)
    free = many(house, CARD, 1)
    house.run_for(BREAKER_PAUSE_MS - 100)
    assert [seen.action for seen in house.road.seen[tried:]] == ["refund"]
    assert house.instruction(free[0]).state is State.SUCCEEDED
    house.road.closed.clear()
    house.run_for(2 * MINUTE_MS)

    assert len(house.bank.effects()) == BREAKER_FAILURES_MAX + 1


def test_an_answer_of_any_sort_closes_the_breaker(house: House) -> None:
    house.paid()
    house.road.plays.extend(["unreachable"] * 3 + ["proxy"])
    house.refund()
    house.runtime.run(lambda: len(house.road.seen) == 3)
    house.run_for(1)
    assert house.parts.gates[CARD].failures == 3
    house.runtime.run(lambda: len(house.road.seen) == 4)
    house.run_for(1)

    assert house.parts.gates[CARD].failures == 0


@pytest.mark.parametrize(
    ("channel", "outcome", "changes", "may"),
    [
        (CARD, said.NotFound(), {}, True),
        (RAIL, said.NotFound(), {"in_doubt": False}, True),
        (RAIL, said.NotFound(), {"in_doubt": True}, False),
        (CARD, said.NotFound(), {"withdrawal": Withdrawal.ASKED}, False),
        (CARD, said.Unknown(), {}, False),
        (CARD, said.Declined(Retry.NEW_NUMBER), {"in_doubt": False}, True),
        (CARD, said.Declined(Retry.NEW_NUMBER), {"in_doubt": True}, False),
        (CARD, said.Declined(Retry.SAME_NUMBER_LATER), {"in_doubt": False}, False),
        (CARD, said.Declined(Retry.NEVER), {"in_doubt": False}, False),
    ],
)
def test_whether_a_number_may_be_sent_again_is_the_channels_ability(
    build: Build,
    channel: str,
    outcome: said.Outcome,
    changes: dict[str, object],
    *,
    may: bool,
) -> None:
    one = a.instruction(State.UNKNOWN, **changes)

    assert may_send_again(build().parts.channels[channel], one, outcome) is may


def test_it_stops_looking_while_there_is_nothing_to_do(house: House) -> None:
    house.paid()
    house.refund()
    house.run_for(1_000)
    turns = house.runtime.turns
    house.run_for(10 * HOUR_MS)

    assert house.runtime.turns - turns < 400


def test_a_refund_under_the_same_key_is_sent_once(house: House) -> None:
    house.paid()
    one = refund_of(key="same")
    for _ in range(3):
        house.ask(one)
    house.run_for(1_000)

    assert actions(house) == ["refund"]
