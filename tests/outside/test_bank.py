"""The sandbox's bank does what each of its scripts says, and its book forgets nothing."""

import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from contraflow.errors import SettingInvalid
from contraflow.outside.bank import Bank, Handling
from contraflow.outside.bank_book import FileBook, MemoryBook
from contraflow.outside.bank_scripts import CONDUCTS, GROUPS, Result, Script, script_of
from contraflow.wire import sandbox
from contraflow.wire.sandbox import CARD, RAIL, Answer, Ask, Line, Telling

KEY = "7f" * 32
START = 1_000_000
PAY_NUMBER = "P" * 26
ASK = Ask(
    number="R" * 26,
    payment="main/pay_1",
    action="refund",
    minor=500,
    currency="CNY",
    instrument="tok_ok",
    payment_number=PAY_NUMBER,
)


class Counter:
    """A caller at the bank's counter, with a clock in its hand."""

    def __init__(self, script: Script = Script.OK, *, action: str = "refund", scheme: str = CARD):
        prefix = "tok_pay_" if action in ("pay", "capture") else "tok_"
        self.ask = replace(ASK, action=action, instrument=prefix + script)
        self.line = Line(scheme, sandbox.key_of(KEY))
        self.book = MemoryBook(KEY)
        self.bank = Bank(self.book)

    def send(self, action: str, at: int, ask: Ask | None = None) -> Handling:
        asked = replace(ask or self.ask, action=action)
        return self.bank.receive(sandbox.request_of(self.line, asked), START + at)

    def say(self, action: str, at: int, ask: Ask | None = None) -> Answer:
        reply = self.send(action, at, ask).reply
        assert reply is not None
        return sandbox.open_reply(self.line, reply)

    def submit(self, at: int = 0) -> str:
        """What it says, or how it fails to."""
        reply = self.send(self.ask.action, at).reply
        if reply is None:
            return "lost"
        if not reply.headers:
            return f"unsigned {reply.status}"
        answer = sandbox.open_reply(self.line, reply)
        return f"{answer.code or answer.result}{'' if reply.status == 200 else f' {reply.status}'}"

    def inquire(self, at: int) -> str:
        return self.say("status", at).result

    def notices(self, at: int) -> list[tuple[int, str]]:
        """When each was due, and of which type."""
        found = [sandbox.open_notice(self.line, notice) for notice in self.bank.run_due(START + at)]
        return [(telling.at - START, telling.type) for telling in found]

    @property
    def times(self) -> int:
        order = self.bank.orders().get(self.ask.number)
        return order.times if order else 0


# The table.


def test_every_script_has_a_conduct_and_all_but_ok_a_group() -> None:
    grouped = [script for scripts in GROUPS.values() for script in scripts]

    assert set(CONDUCTS) == set(Script)
    assert sorted([*grouped, Script.OK]) == sorted(Script)
    assert list(GROUPS) == [
        *("lost", "late", "refused_or_limited", "wrong_answer", "bounce_or_outside", "notices")
    ]


@pytest.mark.parametrize(
    ("instrument", "action", "expected"),
    [
        ("tok_decline", "refund", Script.DECLINE),
        ("tok_decline", "void", Script.DECLINE),
        ("tok_decline", "pay", Script.OK),
        ("tok_pay_decline", "pay", Script.DECLINE),
        ("tok_pay_decline", "capture", Script.DECLINE),
        ("tok_pay_decline", "refund", Script.OK),
        ("decline", "refund", Script.OK),
        ("tok_no_such_script", "refund", Script.OK),
        ("tok_late_capture", "close", Script.LATE_CAPTURE),
        ("tok_late_capture", "refund", Script.OK),
    ],
)
def test_a_token_names_a_script(instrument: str, action: str, expected: Script) -> None:
    assert script_of(instrument, action) is expected


# What it says at the first submissions, 10 ms apart, and how often the money has moved then.
FIRST_WORDS: list[tuple[Script, list[str], list[int]]] = [
    (Script.OK, ["succeeded", "succeeded"], [1, 1]),
    (Script.ACCEPT_THEN_SUCCEED, ["pending", "pending"], [0, 0]),
    (Script.DECLINE, ["refused", "refused"], [0, 0]),
    (Script.LOSE_REQUEST, ["lost", "succeeded", "succeeded"], [0, 1, 1]),
    (Script.LOSE_REPLY, ["lost", "succeeded"], [1, 1]),
    (Script.LAND_LATE, ["lost", "succeeded"], [0, 1]),
    (Script.REFUSE_RETRY, ["lost", "refused", "refused"], [0, 0, 0]),
    (Script.WRONG_AMOUNT, ["succeeded"], [1]),
    (Script.WRONG_CURRENCY, ["succeeded"], [1]),
    (Script.GARBLED, ["unsigned 200", "succeeded"], [1, 1]),
    (Script.BOUNCE, ["succeeded", "succeeded"], [1, 1]),
    (Script.BOUNCE_FIRST, ["pending"], [0]),
    (Script.IGNORE_IDEMPOTENCY, ["lost", "succeeded", "succeeded"], [1, 2, 3]),
    (Script.RATE_LIMIT, ["busy 429", "busy 429", "succeeded"], [0, 0, 1]),
    (Script.BUSY, ["unsigned 503", "succeeded"], [0, 1]),
    (Script.STORED_REFUSAL, ["stored_refusal", "stored_refusal"], [0, 0]),
    (Script.SLOW, ["succeeded"], [1]),
    (Script.NOTIFY_TWICE, ["succeeded"], [1]),
    (Script.NOTIFY_OUT_OF_ORDER, ["pending"], [0]),
    (Script.NOTIFY_EARLY, ["succeeded"], [1]),
    (Script.REFUND_ELSEWHERE, ["succeeded"], [1]),
    (Script.CHARGEBACK, ["succeeded"], [1]),
    (Script.CHARGEBACK_LOST, ["succeeded"], [1]),
]
FIRST_WORDS_OF_A_VOID: list[tuple[Script, list[str], list[int]]] = [
    (Script.OK, ["succeeded", "already_done"], [1, 1]),
    (Script.LATE_CAPTURE, ["succeeded", "already_done"], [1, 1]),
    (Script.CAPTURED_FIRST, ["already_captured", "already_captured"], [0, 0]),
]


@pytest.mark.parametrize(("script", "words", "times"), FIRST_WORDS)
def test_the_first_submissions(script: Script, words: list[str], times: list[int]) -> None:
    counter = Counter(script)
    said, moved = [], []
    for n in range(len(words)):
        said.append(counter.submit(n * 10))
        moved.append(counter.times)

    assert said == words
    assert moved == times


@pytest.mark.parametrize(("script", "words", "times"), FIRST_WORDS_OF_A_VOID)
def test_the_first_submissions_of_a_void(
    script: Script, words: list[str], times: list[int]
) -> None:
    counter = Counter(script, action="void")
    said, moved = [], []
    for n in range(len(words)):
        said.append(counter.submit(n * 10))
        moved.append(counter.times)

    assert said == words
    assert moved == times


def test_every_script_is_in_one_of_the_tables() -> None:
    assert {row[0] for row in FIRST_WORDS + FIRST_WORDS_OF_A_VOID} == set(Script)


# What comes later: by the time it is due.
TOLD: list[tuple[Script, str, list[tuple[int, str]]]] = [
    (Script.OK, "refund", []),
    (Script.ACCEPT_THEN_SUCCEED, "refund", [(450, "instruction.succeeded")]),
    (Script.BOUNCE, "refund", [(500, "instruction.bounced")]),
    (Script.BOUNCE_FIRST, "refund", [(300, "instruction.bounced")]),
    (
        Script.NOTIFY_TWICE,
        "refund",
        [(50, "instruction.succeeded"), (50, "instruction.succeeded")],
    ),
    (
        Script.NOTIFY_OUT_OF_ORDER,
        "refund",
        [(150, "instruction.succeeded"), (200, "instruction.pending")],
    ),
    (Script.NOTIFY_EARLY, "refund", [(0, "instruction.succeeded")]),
    (Script.REFUND_ELSEWHERE, "refund", [(200, "refund.elsewhere")]),
    (Script.CHARGEBACK, "refund", [(300, "chargeback.opened"), (600, "chargeback.won")]),
    (Script.CHARGEBACK_LOST, "refund", [(300, "chargeback.opened"), (600, "chargeback.lost")]),
    (Script.LATE_CAPTURE, "void", [(400, "payment.captured")]),
    (Script.CAPTURED_FIRST, "close", [(50, "payment.captured")]),
]


@pytest.mark.parametrize(("script", "action", "expected"), TOLD)
def test_what_is_told_later(script: Script, action: str, expected: list[tuple[int, str]]) -> None:
    counter = Counter(script, action=action)
    counter.submit()

    assert counter.notices(900) == expected
    assert counter.bank.next_due() is None
    facts = [telling.type for telling in counter.bank.facts().values()]
    assert facts == [what for _, what in expected if not what.startswith("instruction.")]


@pytest.mark.parametrize("script", Script)
def test_all_is_over_within_the_time_that_the_channel_declares(script: Script) -> None:
    for action in ("refund", "void", "close"):
        counter = Counter(script, action=action)
        counter.submit()
        counter.bank.run_due(START + 900)

        assert counter.bank.next_due() is None


def test_it_says_when_it_is_due() -> None:
    counter = Counter(Script.BOUNCE)
    counter.submit()

    assert counter.bank.next_due() == START + 500
    assert counter.notices(499) == []


def test_what_was_accepted_succeeds_later() -> None:
    counter = Counter(Script.ACCEPT_THEN_SUCCEED)
    counter.submit()

    assert (counter.inquire(399), counter.times) == ("pending", 0)
    assert (counter.inquire(400), counter.times) == ("succeeded", 1)


def test_what_is_lost_is_absent() -> None:
    counter = Counter(Script.LOSE_REQUEST)

    assert counter.inquire(0) == "absent"
    assert counter.submit(1) == "lost"
    assert counter.inquire(2) == "absent"


def test_what_lands_late_acts_once() -> None:
    counter = Counter(Script.LAND_LATE)
    counter.submit()

    assert (counter.inquire(599), counter.times) == ("absent", 0)
    assert (counter.inquire(600), counter.times) == ("succeeded", 1)
    assert (counter.submit(700), counter.times) == ("succeeded", 1)


def test_a_refusal_while_it_travels_is_not_the_end() -> None:
    counter = Counter(Script.REFUSE_RETRY)
    counter.submit()

    assert counter.submit(300) == "refused"
    assert (counter.inquire(799), counter.times) == ("absent", 0)
    assert (counter.inquire(800), counter.times) == ("succeeded", 1)
    assert (counter.submit(900), counter.times) == ("succeeded", 1)


@pytest.mark.parametrize("action", ["refund", "status"])
def test_a_wrong_amount_is_only_said(action: str) -> None:
    counter = Counter(Script.WRONG_AMOUNT)
    counter.submit()

    assert counter.say(action, 10).minor == 501
    assert counter.bank.effects()[ASK.number].minor == 500


@pytest.mark.parametrize("action", ["refund", "status"])
def test_a_wrong_currency_is_only_said(action: str) -> None:
    counter = Counter(Script.WRONG_CURRENCY)
    counter.submit()

    assert counter.say(action, 10).currency == "EUR"
    assert counter.bank.effects()[ASK.number].currency == "CNY"


def test_money_bounces() -> None:
    counter = Counter(Script.BOUNCE)
    counter.submit()

    assert counter.inquire(499) == "succeeded"
    assert counter.inquire(500) == "bounced"
    assert counter.bank.effects()[ASK.number].bounced
    assert counter.times == 1


def test_a_success_that_is_never_told_bounces() -> None:
    counter = Counter(Script.BOUNCE_FIRST)
    counter.submit()

    assert counter.inquire(299) == "pending"
    assert counter.inquire(300) == "bounced"
    assert counter.times == 1


def test_a_bank_that_ignores_numbers_denies_once() -> None:
    counter = Counter(Script.IGNORE_IDEMPOTENCY)
    counter.submit()

    assert counter.inquire(100) == "absent"
    assert counter.inquire(200) == "succeeded"


def test_a_stored_refusal_needs_a_new_number() -> None:
    counter = Counter(Script.STORED_REFUSAL)
    counter.submit()
    again = replace(counter.ask, number="S" * 26)
    other_amount = replace(counter.ask, number="T" * 26, minor=7)

    assert counter.say("refund", 10, again).result == "succeeded"
    assert counter.say("refund", 20, other_amount).code == "stored_refusal"
    assert counter.inquire(30) == "declined"


@pytest.mark.parametrize(("script", "wait_ms"), [(Script.SLOW, 1_500), (Script.NOTIFY_EARLY, 200)])
def test_an_answer_takes_its_time(script: Script, wait_ms: int) -> None:
    counter = Counter(script)

    assert counter.send("refund", 0).wait_ms == wait_ms


def test_the_same_telling_has_the_same_event() -> None:
    counter = Counter(Script.NOTIFY_TWICE)
    counter.submit()
    first, second = counter.bank.run_due(START + 50)

    assert first == second


def test_somebody_refunds_one_unit_more() -> None:
    counter = Counter(Script.REFUND_ELSEWHERE)
    counter.submit()
    counter.bank.run_due(START + 200)

    (fact,) = counter.bank.facts().values()
    assert (fact.minor, fact.currency, fact.payment) == (1, "CNY", "main/pay_1")


def test_a_dispute_is_one_case() -> None:
    counter = Counter(Script.CHARGEBACK)
    counter.submit()
    counter.bank.run_due(START + 600)

    assert len({telling.id for telling in counter.bank.facts().values()}) == 1


# Withdrawing, closing, and what is not a request.


def test_a_pending_order_can_be_withdrawn() -> None:
    counter = Counter(Script.ACCEPT_THEN_SUCCEED)
    counter.submit()

    assert counter.say("withdraw", 399).result == "withdrawn"
    assert counter.say("withdraw", 500).result == "withdrawn"
    assert counter.notices(900) == []
    assert (counter.submit(901), counter.inquire(902), counter.times) == (
        *("withdrawn", "withdrawn", 0),
    )
    assert counter.bank.orders()[ASK.number].withdrawn


def test_after_the_effect_it_is_too_late_to_withdraw() -> None:
    counter = Counter(Script.ACCEPT_THEN_SUCCEED)
    counter.submit()

    assert counter.say("withdraw", 400).result == "too_late"
    assert counter.inquire(401) == "succeeded"


def test_what_never_arrived_cannot_be_withdrawn() -> None:
    assert Counter().say("withdraw", 0).result == "absent"


PAY = replace(ASK, number=PAY_NUMBER, action="pay")


def test_what_is_closed_is_not_paid() -> None:
    counter = Counter(action="close")
    pay = replace(PAY, instrument="tok_pay_accept_then_succeed")
    unpaid = counter.say("pay", 0, pay)
    closed = counter.submit(100)
    other = replace(PAY, number="Q" * 26)

    assert (unpaid.result, closed) == ("pending", "succeeded")
    assert counter.say("status", 500, pay).code == "refused"
    assert counter.say("pay", 600, other).code == "refused"
    assert list(counter.bank.effects()) == [ASK.number]


def test_what_is_paid_is_not_closed() -> None:
    counter = Counter(action="close")
    counter.say("pay", 0, PAY)

    assert counter.submit(100) == "already_captured"
    assert counter.times == 0


def test_a_request_that_another_signed_is_not_read() -> None:
    counter = Counter()
    forged = sandbox.request_of(Line(CARD, sandbox.key_of("00")), counter.ask)
    handling = counter.bank.receive(forged, START)

    assert handling.reply is not None
    assert handling.reply.status == 401
    assert counter.bank.orders() == {}


@pytest.mark.parametrize(
    "change", [{"minor": 501}, {"currency": "EUR"}, {"payment": "main/x"}, {"action": "void"}]
)
def test_a_number_means_one_thing(change: dict[str, str | int]) -> None:
    counter = Counter()
    counter.submit()
    other = replace(counter.ask, **change)
    reply = counter.send(other.action, 10, other).reply

    assert reply is not None
    assert reply.status == 400
    assert counter.times == 1


@pytest.mark.parametrize("action", ["close", "withdraw", "no_such_action"])
def test_the_rail_neither_closes_nor_withdraws(action: str) -> None:
    reply = Counter(scheme=RAIL).send(action, 0).reply

    assert reply is not None
    assert reply.status == 400


# Duplicates.


@pytest.mark.parametrize(("scheme", "times"), [(CARD, 1), (RAIL, 2)])
@pytest.mark.parametrize("script", [Script.OK, Script.LOSE_REPLY, Script.GARBLED])
def test_a_duplicate_acts_once_by_card_and_twice_by_rail(
    script: Script, scheme: str, times: int
) -> None:
    counter = Counter(script, scheme=scheme)
    counter.submit()
    counter.submit(10)

    assert counter.times == times


@pytest.mark.parametrize("script", [Script.LAND_LATE, Script.ACCEPT_THEN_SUCCEED])
def test_on_the_rail_both_land(script: Script) -> None:
    counter = Counter(script, scheme=RAIL)
    counter.submit()
    counter.submit(10)
    counter.bank.run_due(START + 900)

    assert counter.times == 2


# The book.


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bank.db"


def lived(bank: Bank) -> list[bytes]:
    """A short life with something of everything, left in the middle."""
    line = Line(CARD, sandbox.key_of(KEY))
    for n, script in enumerate(Script):
        number = f"{n:026}"
        ask = replace(ASK, number=number, payment=f"main/{n}", instrument=f"tok_{script}")
        for action in ("void", "status"):
            bank.receive(sandbox.request_of(line, replace(ask, action=action)), START)
    return [notice.body for notice in bank.run_due(START + 350)]


def test_a_file_opened_again_is_the_same_bank(path: Path) -> None:
    by_file, by_memory = Bank(FileBook(path, key_if_new=KEY)), Bank(MemoryBook(KEY))
    lived(by_memory)
    told = lived(by_file)
    again = Bank(FileBook(path))

    assert again.orders() == by_file.orders() == by_memory.orders()
    assert again.facts() == by_file.facts() == by_memory.facts()
    # What nobody acknowledged is told again, then comes what comes.
    expected = told + [notice.body for notice in by_memory.run_due(START + 900)]
    assert [notice.body for notice in again.run_due(START + 900)] == expected
    assert again.orders() == by_memory.orders()


@pytest.mark.parametrize("new_book", [lambda path: FileBook(path, KEY), lambda _: MemoryBook(KEY)])
def test_an_acknowledged_notice_is_not_told_again(
    path: Path, new_book: Callable[[Path], FileBook | MemoryBook]
) -> None:
    book = new_book(path)
    bank = Bank(book)
    lived(bank)
    told = bank.run_due(START + 900)
    bank.acknowledge(told[0])
    bank.acknowledge(told[0])
    event = msgspec.json.decode(told[0].body, type=Telling).event
    again = [
        msgspec.json.decode(notice.body, type=Telling).event
        for notice in Bank(book).run_due(START + 900)
    ]

    assert event not in again
    assert msgspec.json.decode(told[1].body, type=Telling).event in again


def test_a_file_keeps_its_first_key_from_others(path: Path) -> None:
    FileBook(path, key_if_new=KEY).close()
    again = FileBook(path, key_if_new="00")

    assert again.key == sandbox.key_of(KEY)
    assert KEY not in repr(again.key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_file_needs_a_key(path: Path) -> None:
    with pytest.raises(SettingInvalid):
        FileBook(path)

    assert not path.exists()


def test_a_file_is_written_ahead(path: Path) -> None:
    book = FileBook(path, key_if_new=KEY)

    assert book._connection.pragma("journal_mode") == "wal"
    assert book._connection.pragma("synchronous") == 1


def test_a_declined_order_is_in_the_book_as_such() -> None:
    counter = Counter(Script.DECLINE)
    counter.submit()

    assert counter.bank.orders()[ASK.number].result is Result.DECLINED
    assert counter.bank.effects() == {}
