"""What channels send unasked: believed by its signature, stored once, applied when it can be."""

from __future__ import annotations

from typing import Any

import pytest
from house import BANK_KEY, MINUTE_MS, House, accepted, keyed, recorded, refund_of
from msgspec.structs import replace

from contraflow.domain import commands as c
from contraflow.domain.cases import PARKED_RETRY_MS, CaseKind
from contraflow.domain.decision import Answer
from contraflow.domain.lifecycle import State
from contraflow.engine.notices import receive_notice
from contraflow.errors import SignatureInvalid
from contraflow.outside.virtual_time import result_of
from contraflow.wire import sandbox
from contraflow.wire.exchange import Notice
from contraflow.wire.sandbox import CARD, RAIL, Line, Telling

LINES = {scheme: Line(scheme, sandbox.key_of(BANK_KEY)) for scheme in (CARD, RAIL)}


def notice(event: str = "e1", *, scheme: str = CARD, **fields: Any) -> Notice:
    """A chargeback of 500 unless said otherwise."""
    given = {
        "type": "chargeback.opened",
        "payment": "main/pay_1",
        "minor": 500,
        "currency": "GBP",
        "at": 1,
        "id": "d1",
    }
    return sandbox.notice_of(LINES[scheme], Telling(event=event, **given | fields))


def told(house: House, one: Notice, channel: str = "sandbox") -> Answer:
    answer: Answer = house.wait_for(receive_notice(house.parts, channel, one))
    return answer


def parked_cases(house: House) -> list[str]:
    return [
        case.object_id for case in result_of(house.views.open_cases()) if case.kind == "parked_fact"
    ]


# What may be believed


def test_a_forged_notice_changes_nothing_and_is_counted(house: House) -> None:
    house.paid()
    real, before = notice(), house.contents()
    forgeries = [
        replace(real, body=real.body.replace(b"500", b"501")),
        replace(real, headers=()),
        sandbox.notice_of(Line(CARD, sandbox.key_of("00" * 32)), Telling(**telling())),
        notice(scheme=RAIL),
    ]
    for forged in forgeries:
        with pytest.raises(SignatureInvalid):
            told(house, forged)

    assert house.contents() == before
    assert house.parts.counts["notices_forged"] == len(forgeries)


def telling() -> dict[str, Any]:
    return {
        "event": "e1",
        "type": "chargeback.opened",
        "payment": "main/pay_1",
        "minor": 500,
        "currency": "GBP",
        "at": 1,
    }


def test_who_told_it_hears_when_it_is_committed(house: House) -> None:
    house.paid()
    told(house, notice())

    assert house.payment().charged_back == 500
    assert house.parts.counts["notices_forged"] == 0


def test_the_same_event_twice_is_once(house: House) -> None:
    house.paid()
    told(house, notice())
    before = house.contents()
    answer = told(house, notice())

    assert accepted(answer).events == ()
    assert house.contents() == replace(before, now=house.contents().now)


def test_the_same_event_twice_in_one_batch_is_once(house: House) -> None:
    house.paid()
    both = [house.spawn(receive_notice(house.parts, "sandbox", notice())) for _ in range(2)]
    house.run_for(1)

    assert [len(accepted(each.value()).events) for each in both] == [1, 0]
    assert house.payment().charged_back == 500


def test_the_order_of_notices_does_not_matter(house: House) -> None:
    """Won before it was opened: nothing was taken in the end."""
    house.paid()
    told(house, notice("e2", type="chargeback.won"))
    told(house, notice("e1"))

    assert house.payment().charged_back == 0


def test_what_a_notice_proves_ends_a_refund_and_no_question_is_asked(house: House) -> None:
    house.paid(script="accept_then_succeed", channel="sandbox_rail")
    refund = house.refund()
    house.run_for(1_000)

    assert house.instruction(refund).state is State.SUCCEEDED
    assert house.road.asked("status") == []


@pytest.mark.parametrize("script", ["notify_twice", "notify_out_of_order", "notify_early"])
def test_a_bank_that_tells_twice_or_too_early_is_understood(house: House, script: str) -> None:
    house.paid(script=script)
    refund = house.refund()
    house.run_for(5_000)

    assert house.instruction(refund).state is State.SUCCEEDED
    assert house.payment().refunded == 400
    assert result_of(house.views.open_cases()) == []


# What cannot be applied yet


def test_a_fact_about_an_unknown_payment_waits_until_that_is_known(house: House) -> None:
    told(house, notice())
    assert parked_cases(house) == ["main/pay_1"]
    house.ask(recorded())
    assert house.payment().charged_back == 0
    house.run_for(PARKED_RETRY_MS)
    [case] = house.contents().cases.values()

    assert house.payment().charged_back == 500
    assert (case.kind, case.closed_by) == (CaseKind.PARKED_FACT, "applied")
    assert result_of(house.views.open_cases()) == []


def test_what_is_parked_is_tried_again_and_its_case_stays_one(house: House) -> None:
    told(house, notice())
    turns = house.runtime.turns
    house.run_for(60 * MINUTE_MS)

    assert len(house.contents().cases) == 1
    assert len(house.contents().events) == 1
    assert house.runtime.turns - turns < 60 * 20


def test_what_is_parked_and_told_again_is_applied_once(house: House) -> None:
    told(house, notice())
    told(house, notice())
    house.ask(recorded())
    told(house, notice())
    house.run_for(10 * PARKED_RETRY_MS)

    assert house.payment().charged_back == 500
    assert len(house.contents().cases) == 1


@pytest.mark.parametrize(
    "fields",
    [{"currency": "EUR"}, {"currency": "EUR", "type": "payment.captured"}],
    ids=["a chargeback", "a capture"],
)
def test_a_fact_in_another_currency_waits_for_a_person(
    house: House, fields: dict[str, str]
) -> None:
    house.paid()
    before = house.payment()
    told(house, notice(**fields))
    house.run_for(10 * PARKED_RETRY_MS)

    assert parked_cases(house) == ["main/pay_1"]
    assert house.payment() == before


def test_a_payment_of_another_channel_is_unknown_to_this_one(house: House) -> None:
    house.paid(channel="sandbox_rail")
    told(house, notice())

    assert house.payment().charged_back == 0
    assert parked_cases(house) == ["main/pay_1"]


def test_a_notice_about_an_unknown_number_waits(house: House) -> None:
    house.paid()
    told(house, notice(type="instruction.succeeded", number="A" * 26))

    assert parked_cases(house) == ["A" * 26]


# Quarantine


def set_aside(house: House, object_id: str) -> str:
    [case] = accepted(house.ask(c.Quarantine(object_id=object_id, detail="it fails"))).cases
    return case.case_id


def lift(house: House, case_id: str) -> None:
    closed, words = c.Resolution.CLOSED, "repaired"
    accepted(house.ask(keyed(c.ResolveCase, object_id=case_id, resolution=closed, evidence=words)))


def test_a_fact_about_what_is_set_aside_is_not_lost(house: House) -> None:
    house.paid()
    case_id = set_aside(house, "main/pay_1")
    told(house, notice())
    lift(house, case_id)
    house.run_for(2 * PARKED_RETRY_MS)

    assert house.payment().charged_back == 500


def test_an_answer_does_not_touch_an_instruction_that_is_set_aside(house: House) -> None:
    house.paid(script="accept_then_succeed")
    refund = house.refund()
    house.run_for(1)
    set_aside(house, refund)
    before, turns = house.instruction(refund), house.runtime.turns
    house.run_for(10 * PARKED_RETRY_MS)

    assert house.instruction(refund) == before
    assert house.runtime.turns - turns < 10 * 20  # It is tried once a minute.


def test_a_parked_fact_waits_while_its_payment_is_set_aside(house: House) -> None:
    told(house, notice())
    house.ask(recorded())
    case_id = set_aside(house, "main/pay_1")
    turns = house.runtime.turns
    house.run_for(10 * PARKED_RETRY_MS)
    assert house.payment().charged_back == 0
    assert house.runtime.turns - turns < 100
    lift(house, case_id)
    house.run_for(1)

    assert house.payment().charged_back == 500


def test_a_chargeback_after_a_full_refund_is_booked_with_a_case(house: House) -> None:
    house.paid()
    house.ask(refund_of(minor=1_000))
    house.run_for(1)
    told(house, notice())

    assert house.payment().excess == 500
    assert [case.kind for case in result_of(house.views.open_cases())] == [CaseKind.OVER_REVERSAL]
