"""The judge of the crash campaign finds each kind of violation, and none where all is well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from a_small_campaign import NUMBER, Campaign, ask, entry, receipt

from crucible.campaign import first_successes
from crucible.checker import SORTS, figures_of, judge
from crucible.killer import Kill

Spoil = Callable[[Campaign], object]


def lose_a_receipt(campaign: Campaign) -> None:
    campaign.export.remove(campaign.row("receipts"))


def leave_one_open(campaign: Campaign) -> None:
    campaign.row("instructions").update(state="sent")


def lose_an_event(campaign: Campaign) -> None:
    del campaign.feed[2]


def go_back_in_the_feed(campaign: Campaign) -> None:
    campaign.feed[1:3] = reversed(campaign.feed[1:3])


def lose_a_notice(campaign: Campaign) -> None:
    campaign.export.remove(campaign.row("facts", 1))


def act_twice(campaign: Campaign) -> None:
    campaign.book.append({"what": "effect", "number": NUMBER, "at": 9})


def act_after_a_failure(campaign: Campaign) -> None:
    campaign.row("instructions").update(state="failed")


def act_without_being_asked(campaign: Campaign) -> None:
    stranger = "C" * 26
    campaign.book += [
        {"what": "submitted", "number": stranger, "at": 9, "scheme": "sandbox"}
        | {"ask": ask(stranger, 50)},
        {"what": "effect", "number": stranger, "at": 9},
    ]


def succeed_without_an_effect(campaign: Campaign) -> None:
    campaign.book = [line for line in campaign.book if line["what"] != "effect"]


def do_one_wish_by_two_keys(campaign: Campaign) -> None:
    campaign.row("instructions", 1).update(key="main/c0-1-1")


def store_what_was_said_not_to_be(campaign: Campaign) -> None:
    body = receipt("D" * 26, 10)
    campaign.export.append({"table": "receipts", "key": "main/c0-3-0", "body": body})


def act_after_all(campaign: Campaign) -> None:
    campaign.row("events", 2)["body"] = campaign.row("events", 2)["body"].replace(
        '"succeed"', '"effect"'
    )
    campaign.feed[2]["event"]["step"] = "effect"


def admit_too_much(campaign: Campaign) -> None:
    for row in (campaign.row("events", 0), campaign.feed[0]):
        body = row.get("body") or row["event"]
        if isinstance(body, str):
            row["body"] = body.replace("1000", "900")
        else:
            body["minor"] = 900


def let_more_leave_than_came(campaign: Campaign) -> None:
    campaign.book += [
        {"what": "submitted", "number": "E" * 26, "at": 9, "scheme": "sandbox"}
        | {"ask": ask("E" * 26, 50)},
        {"what": "effect", "number": "E" * 26, "at": 9},
    ]


def book_what_is_not_there(campaign: Campaign) -> None:
    campaign.export.append(entry("merchant.payable", "channel.receivable", 1))


def forget_what_was_refunded(campaign: Campaign) -> None:
    campaign.row("payments").update(refunded=600)


def book_another_dispute(campaign: Campaign) -> None:
    campaign.row("facts").update(state="won")


def believe_a_lie(campaign: Campaign) -> None:
    campaign.book.append({"what": "forged", "event": "forged_1", "status": 204})


def tell_another_receipt(campaign: Campaign) -> None:
    other = receipt(NUMBER, 599)
    campaign.log.append({"what": "ack", "key": "c0-1-0", "sent": 4.0, "got": 4.1, "receipt": other})


def take_it_for_another_request(campaign: Campaign) -> None:
    line = {"what": "refused", "key": "c0-1-0", "sent": 4.0, "got": 4.1, "code": "key_reused"}
    campaign.log.append(line)


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return Campaign(tmp_path)


def test_a_campaign_in_which_all_is_well_has_no_finding(campaign: Campaign) -> None:
    assert judge(campaign.evidence()) == []


@pytest.mark.parametrize(
    ("sort", "spoil"),
    [
        ("lost", lose_a_receipt),
        ("lost", leave_one_open),
        ("lost", lose_an_event),
        ("lost", go_back_in_the_feed),
        ("lost", lose_a_notice),
        ("double_effects", act_twice),
        ("double_effects", act_after_a_failure),
        ("double_effects", act_without_being_asked),
        ("double_effects", succeed_without_an_effect),
        ("double_effects", do_one_wish_by_two_keys),
        ("double_effects", store_what_was_said_not_to_be),
        ("double_effects", act_after_all),
        ("over_refunds", admit_too_much),
        ("over_refunds", let_more_leave_than_came),
        ("unbalanced", book_what_is_not_there),
        ("unbalanced", forget_what_was_refunded),
        ("unbalanced", book_another_dispute),
        ("unbalanced", believe_a_lie),
        ("replays_differing", tell_another_receipt),
        ("replays_differing", take_it_for_another_request),
    ],
)
def test_what_must_not_be_is_found(campaign: Campaign, sort: str, spoil: Spoil) -> None:
    spoil(campaign)

    assert sort in {finding.sort for finding in judge(campaign.evidence())}


def test_an_event_may_be_given_again_after_it_was_given(campaign: Campaign) -> None:
    campaign.feed += campaign.feed[3:]

    assert judge(campaign.evidence()) == []


def test_what_waits_for_a_person_is_not_lost(campaign: Campaign) -> None:
    campaign.row("instructions").update(state="sent")
    case = {"table": "cases", "object_id": f"main/{NUMBER}", "closed_at": None}
    campaign.export.append(case)

    assert "lost" not in {finding.sort for finding in judge(campaign.evidence())}


def test_every_sort_has_its_figure(campaign: Campaign) -> None:
    lose_an_event(campaign)
    act_twice(campaign)
    figures = figures_of(judge(campaign.evidence()), deadlocks=3)

    assert set(figures) == set(SORTS)
    assert (figures["lost"], figures["double_effects"], figures["deadlocks"]) == (1, 1, 3)


def test_the_first_success_is_of_a_request_that_was_sent_after_the_kill() -> None:
    answered = [(0.5, 2.0), (1.5, 3.0), (1.6, 2.5), (4.0, 4.2)]

    assert first_successes(answered, [Kill(1.0, "serve-0")]) == [1.5]
    assert first_successes(answered, [Kill(1.0, "a"), Kill(3.5, "b")]) == pytest.approx([0.7, 1.5])
