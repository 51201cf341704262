"""The campaign's bank: its signatures, its book, and what it makes of a submission."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from crucible import conduct as ways
from crucible.book import Book, read_book
from crucible.conduct import Conduct
from crucible.counter import Counter, Reply
from crucible.letters import CARD, RAIL, Answer, Ask, canonical, read_ask, sign

KEY = bytes.fromhex("00112233445566778899aabbccddeeff")
ASK = Ask("A" * 26, "main/p1", "refund", 600, "EUR", "tok", "")


@pytest.fixture
def counter(tmp_path: Path) -> Counter:
    return Counter(Book(tmp_path / "book"), key=KEY, seed=1)


@pytest.fixture(autouse=True)
def all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, ways.OK)


def behave(monkeypatch: pytest.MonkeyPatch, way: str, later_ms: int = 100) -> None:
    monkeypatch.setattr(ways, "draw", lambda *_: Conduct(way, later_ms))


def submit(counter: Counter, ask: Ask = ASK, *, scheme: str = CARD, now: int = 0) -> Reply:
    body = canonical(asdict(ask))
    signature = sign(KEY, body, scheme=scheme, sort="request")
    return counter.receive(scheme, ask.action, body, signature, now)


def status(counter: Counter, ask: Ask = ASK, *, scheme: str = CARD) -> str:
    answer = submit(counter, replace(ask, action="status"), scheme=scheme).answer
    assert answer is not None
    return answer.result


def test_a_request_is_signed_as_openssl_signs_it() -> None:
    """printf 'contraflow/sandbox-rail/request/v1\\n{...}' | openssl dgst -sha256 -mac HMAC ..."""
    body = (
        b'{"action":"refund","currency":"EUR","instrument":"tok","minor":600,'
        b'"number":"AAAAAAAAAAAAAAAAAAAAAAAAAA","payment":"main/p1","payment_number":""}'
    )

    assert canonical(asdict(ASK)) == body
    assert read_ask(body) == ASK
    assert sign(KEY, body, scheme=RAIL, sort="request") == (
        "69a1fd56e5ffd91a498d80b9018d3675607f87440f90eee67854934f84b62853"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        canonical({**asdict(ASK), "more": 1}),
        canonical({**asdict(ASK), "minor": True}),
        canonical({**asdict(ASK), "minor": -1}),
        canonical({**asdict(ASK), "currency": "euro"}),
        canonical({**asdict(ASK), "payment": 7}),
    ],
)
def test_signed_bytes_that_mean_nothing_are_no_request(body: bytes) -> None:
    assert read_ask(body) is None


def test_what_nobody_has_signed_changes_nothing(counter: Counter) -> None:
    body = canonical(asdict(ASK))
    of_another_line = sign(KEY, body, scheme=RAIL, sort="request")
    of_a_notice = sign(KEY, body, scheme=CARD, sort="notice")

    for signature in ("", of_another_line, of_a_notice):
        assert counter.receive(CARD, "refund", body, signature, 0) == Reply(401)
    assert not counter.book.state.orders


def test_a_card_acts_once_for_a_number(counter: Counter) -> None:
    first, second = submit(counter), submit(counter)

    assert first.answer == Answer("succeeded", ASK.number, "main/p1", 600, "EUR", first_name())
    assert second.answer == first.answer
    assert counter.book.state.orders[ASK.number].times == 1


def first_name() -> str:
    return f"bank_{ASK.number}"


def test_a_rail_acts_at_every_submission(counter: Counter) -> None:
    submit(counter, scheme=RAIL)
    again = submit(counter, scheme=RAIL).answer

    assert again is not None
    assert again.reference == f"{first_name()}_2"
    assert counter.book.state.orders[ASK.number].times == 2


def test_the_same_number_for_something_else_is_refused(counter: Counter) -> None:
    submit(counter)

    assert submit(counter, replace(ASK, minor=601)) == Reply(400)


@pytest.mark.parametrize(
    ("way", "reply", "times", "word"),
    [
        (ways.REPLY_LOST, None, 1, "succeeded"),
        (ways.REQUEST_LOST, None, 0, "absent"),
        (ways.LANDS_LATE, None, 0, "absent"),
        (ways.UNAVAILABLE, 503, 0, "absent"),
        (ways.PENDING, 200, 0, "pending"),
        (ways.DECLINED, 200, 0, "declined"),
        (ways.SLOW, 200, 1, "succeeded"),
    ],
)
def test_it_misbehaves_in_every_way(
    counter: Counter,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    reply: int | None,
    times: int,
    word: str,
) -> None:
    behave(monkeypatch, way)

    assert submit(counter).status == reply
    assert counter.book.state.orders[ASK.number].times == times
    assert status(counter) == word


def test_what_lands_late_acts_though_it_was_sent_again(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(monkeypatch, ways.LANDS_LATE, later_ms=600)
    submit(counter, scheme=RAIL, now=0)
    counter.run_due(599)
    assert status(counter, scheme=RAIL) == "absent"
    submit(counter, scheme=RAIL, now=599)
    counter.run_due(600)

    assert counter.book.state.orders[ASK.number].times == 2


def test_what_is_pending_acts_later_and_can_be_taken_back_before(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(monkeypatch, ways.PENDING)
    other = replace(ASK, number="B" * 26)
    submit(counter)
    submit(counter, other)
    withdrawn = submit(counter, replace(other, action="withdraw")).answer
    counter.run_due(100)
    too_late = submit(counter, replace(ASK, action="withdraw")).answer

    assert withdrawn is not None
    assert withdrawn.result == "withdrawn"
    assert too_late is not None
    assert too_late.result == "too_late"
    assert [status(counter), status(counter, other)] == ["succeeded", "withdrawn"]


def test_what_was_paid_is_not_closed_and_what_was_closed_is_not_paid(counter: Counter) -> None:
    pay = Ask("P" * 26, "main/p1", "pay", 600, "EUR", "tok", "P" * 26)
    close = replace(pay, number="C" * 26, action="close")
    submit(counter, pay)
    late = submit(counter, close).answer
    other_close = replace(close, number="D" * 26, payment="main/p2", payment_number="Q" * 26)
    submit(counter, other_close)
    paid = submit(counter, replace(pay, number="Q" * 26, payment="main/p2")).answer

    assert late is not None
    assert (late.result, late.code) == ("declined", "already_captured")
    assert paid is not None
    assert (paid.result, paid.code) == ("declined", "refused")


def test_a_void_may_come_after_the_capture(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(monkeypatch, ways.CAPTURED_FIRST)
    answer = submit(counter, replace(ASK, action="void")).answer

    assert answer is not None
    assert answer.code == "already_captured"
    assert [line["type"] for line in counter.book.state.untaken.values()] == ["payment.captured"]


def test_a_bank_that_was_killed_goes_on_from_its_book(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    behave(monkeypatch, ways.LANDS_LATE)
    submit(counter)
    with (tmp_path / "book").open("a") as file:
        file.write('{"what":"eff')  # Torn.
    restarted = Counter(Book(tmp_path / "book"), key=KEY, seed=1)
    restarted.run_due(1_000)

    assert status(restarted) == "succeeded"
    assert read_book(tmp_path / "book").orders[ASK.number].times == 1
