"""Every file in channels/ keeps the promises of channels/__init__.py."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator

import pytest
from msgspec import Struct
from msgspec.structs import replace

from contraflow import channels
from contraflow.channels import Action, Attempt, Channel
from contraflow.domain.money import Money
from contraflow.domain.observation import (
    Answered,
    Authorized,
    Captured,
    ChargedBack,
    Dispute,
    Expired,
    Fact,
    RefundedElsewhere,
)
from contraflow.domain.outcome import (
    NO_EVIDENCE,
    Accepted,
    Bounced,
    Declined,
    NotFound,
    Outcome,
    Proof,
    Retry,
    Succeeded,
    Unknown,
    Withdrawn,
)
from contraflow.errors import SettingInvalid, SignatureInvalid
from contraflow.wire import sandbox
from contraflow.wire.exchange import Notice, Reply

FILES = [module.name for module in pkgutil.iter_modules(channels.__path__)]
# One file may serve several lines of one vendor.
VARIANTS = {"sandbox_rail": ("sandbox", {"line": "rail"})}
NAMES = [*FILES, *VARIANTS]
KEY = "00" * 32
OTHER_KEY = "01" * 32
REFUND = Attempt(
    action=Action.REFUND,
    number="ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    payment_id="main/pay_1",
    payment_number="ZYXWVUTSRQPONMLKJIHGFEDCBA",
    payment_reference="",
    instrument="tok_ok",
    amount=Money(500, "CNY"),
)
HEADERS = (("content-type", "application/json"),)
DOUBTFUL = [
    Reply(500, b""),
    Reply(502, b"<html>"),
    Reply(504, b"{}"),
    Reply(429, b"{}"),
    Reply(200, b""),
    Reply(200, b"<html>"),
    Reply(200, b"\xff\xfe"),
    Reply(200, b'{"result":"declined"}', HEADERS),
]


# What a channel's far end would say; a new channel is added here.


class FarEnd(Struct, frozen=True):
    answer: Callable[[str, str], Reply]  # By the key and the word for the outcome.
    notice: Callable[[str, str], Notice]
    words: tuple[str, ...]  # Of outcomes that both a reply and a notice can carry.


def sandbox_end(scheme: str) -> FarEnd:
    def answer(key: str, word: str) -> Reply:
        return sandbox.reply_of(sandbox.Line(scheme, sandbox.key_of(key)), answer_of(word))

    def notice(key: str, word: str) -> Notice:
        line = sandbox.Line(scheme, sandbox.key_of(key))
        return sandbox.notice_of(line, telling_of(f"instruction.{word}"))

    return FarEnd(answer, notice, ("succeeded", "declined", "bounced", "pending"))


def answer_of(word: str, code: str = "") -> sandbox.Answer:
    return sandbox.Answer(
        result=word,
        number=REFUND.number,
        payment=REFUND.payment_id,
        minor=500,
        currency="CNY",
        reference="bank_1",
        code=code or ("refused" if word == "declined" else ""),
    )


def telling_of(what: str) -> sandbox.Telling:
    is_about_order = what.startswith("instruction.")
    return sandbox.Telling(
        event="event_1",
        type=what,
        payment=REFUND.payment_id,
        minor=500,
        currency="CNY",
        at=7,
        number=REFUND.number if is_about_order else "",
        id="bank_1",
        code="refused" if what.endswith("declined") else "",
    )


FAR_ENDS = {
    "sandbox": sandbox_end(sandbox.CARD),
    "sandbox_rail": sandbox_end(sandbox.RAIL),
}


def opened(name: str, key: str = KEY) -> Channel:
    return opened_with(name, {"key": key})


def opened_with(name: str, credentials: dict[str, str]) -> Channel:
    file, options = VARIANTS.get(name, (name, {}))
    module = importlib.import_module(f"contraflow.channels.{file}")
    channel: Channel = module.open_channel(name, credentials | options)
    return channel


@pytest.fixture(params=NAMES)
def channel(request: pytest.FixtureRequest) -> Channel:
    return opened(request.param)


@pytest.fixture
def end(channel: Channel) -> FarEnd:
    return FAR_ENDS[channel.name]


def bare(outcome: Outcome) -> Outcome:
    return replace(outcome, evidence=NO_EVIDENCE)


def damaged(notice: Notice) -> Iterator[Notice]:
    for place in range(len(notice.body)):
        body = bytearray(notice.body)
        body[place] ^= 1
        yield replace(notice, body=bytes(body))
    for place, (name, value) in enumerate(notice.headers):
        if name.endswith("signature"):
            other = (name, value[:-1] + ("1" if value[-1] == "0" else "0"))
            yield replace(
                notice, headers=(*notice.headers[:place], other, *notice.headers[place + 1 :])
            )
    yield replace(notice, headers=())


# Every channel.


def test_a_channel_is_called_as_the_operator_says(channel: Channel) -> None:
    assert opened_with(channel.name, {"key": KEY}).name == channel.name
    assert channel.name in NAMES


def test_a_channel_declares_a_schedule_that_goes_forward(channel: Channel) -> None:
    after = channel.abilities.inquire_after_ms

    assert list(after) == sorted(set(after))
    assert any(ms >= channel.abilities.dead_after_ms for ms in after)
    assert "" in channel.abilities.windows


def test_every_attempt_is_the_same_request(channel: Channel) -> None:
    again = opened(channel.name)

    assert channel.submit(REFUND) == again.submit(replace(REFUND))


@pytest.mark.parametrize("action", Action)
def test_an_inquiry_is_no_submission(channel: Channel, action: Action) -> None:
    attempt = replace(REFUND, action=action)

    assert channel.inquire(attempt).url != channel.submit(attempt).url
    assert channel.inquire(attempt).body != channel.submit(attempt).body


@pytest.mark.parametrize("reply", DOUBTFUL, ids=lambda reply: f"{reply.status}-{reply.body!r}")
def test_a_reply_in_doubt_is_unknown_and_never_declined(channel: Channel, reply: Reply) -> None:
    outcome = channel.interpret(REFUND, reply)

    assert isinstance(outcome, Unknown)
    assert outcome.evidence.proof is Proof.NONE
    assert outcome.evidence.status == reply.status


@pytest.mark.parametrize("word", ["succeeded", "declined", "pending", "absent"])
def test_a_reply_signed_by_another_is_unknown(channel: Channel, end: FarEnd, word: str) -> None:
    assert isinstance(channel.interpret(REFUND, end.answer(OTHER_KEY, word)), Unknown)


def test_a_signed_reply_with_a_server_error_is_unknown(channel: Channel, end: FarEnd) -> None:
    reply = replace(end.answer(KEY, "declined"), status=500)

    assert isinstance(channel.interpret(REFUND, reply), Unknown)


@pytest.mark.parametrize("word", ["", "SUCCEEDED", "failed", "no_such_word"])
def test_a_word_that_we_do_not_know_is_unknown(channel: Channel, end: FarEnd, word: str) -> None:
    assert isinstance(channel.interpret(REFUND, end.answer(KEY, word)), Unknown)


def test_a_reply_about_another_number_is_unknown(channel: Channel, end: FarEnd) -> None:
    other = replace(REFUND, number="A" * 26)

    assert isinstance(channel.interpret(other, end.answer(KEY, "succeeded")), Unknown)


def test_a_changed_notice_is_not_read(channel: Channel, end: FarEnd) -> None:
    for notice in damaged(end.notice(KEY, "succeeded")):
        with pytest.raises(SignatureInvalid):
            channel.read_notice(notice)


def test_an_inquiry_and_a_notice_yield_the_same_outcome(channel: Channel, end: FarEnd) -> None:
    for word in end.words:
        fact = channel.read_notice(end.notice(KEY, word)).fact
        outcome = channel.interpret(REFUND, end.answer(KEY, word))

        assert isinstance(fact, Answered)
        assert fact.number == REFUND.number
        assert bare(fact.outcome) == bare(outcome)
        assert fact.outcome.evidence.proof is outcome.evidence.proof is Proof.SIGNATURE


def test_no_key_is_printed(channel: Channel) -> None:
    printed = opened(channel.name, key="5ec2e7" * 8)
    text = repr(printed)

    assert "5ec2e7" not in text
    assert repr(bytes.fromhex("5ec2e7")).strip("b'") not in text


@pytest.mark.parametrize("credentials", [{}, {"key": ""}, {"key": "not hexadecimal"}])
@pytest.mark.parametrize("name", NAMES)
def test_a_channel_needs_its_key(name: str, credentials: dict[str, str]) -> None:
    with pytest.raises(SettingInvalid, match="key"):
        opened_with(name, credentials)


# The two lines of the sandbox.


AMOUNT = Money(500, "CNY")
SAID: list[tuple[Action, str, str, Outcome]] = [
    (Action.REFUND, "succeeded", "", Succeeded(AMOUNT, "main/pay_1", "bank_1")),
    (Action.VOID, "already_done", "", Succeeded(AMOUNT, "main/pay_1", "bank_1")),
    (Action.REFUND, "already_done", "", Unknown()),
    (Action.REFUND, "bounced", "", Bounced(AMOUNT, "main/pay_1", "bank_1")),
    (Action.REFUND, "pending", "", Accepted("bank_1")),
    (Action.REFUND, "too_late", "", Unknown()),
    (Action.REFUND, "absent", "", NotFound()),
    (Action.REFUND, "declined", "refused", Declined(Retry.NEVER)),
    (Action.VOID, "declined", "already_captured", Declined(Retry.NEVER, is_captured=True)),
    (Action.REFUND, "declined", "busy", Declined(Retry.SAME_NUMBER_LATER)),
    (Action.REFUND, "declined", "stored_refusal", Declined(Retry.NEW_NUMBER)),
    (Action.REFUND, "declined", "no_such_code", Unknown()),
]
SAID_OF_CARDS: list[tuple[Action, str, str, Outcome]] = [
    (Action.CLOSE, "already_done", "", Succeeded(AMOUNT, "main/pay_1", "bank_1")),
    (Action.REFUND, "withdrawn", "", Withdrawn()),
    (Action.WITHDRAW, "withdrawn", "", Withdrawn()),
    (Action.WITHDRAW, "too_late", "", Accepted("bank_1")),
]
TOLD: list[tuple[str, Fact]] = [
    ("payment.authorized", Authorized("main/pay_1", AMOUNT)),
    ("payment.captured", Captured("main/pay_1", "bank_1", AMOUNT)),
    ("payment.expired", Expired("main/pay_1")),
    ("refund.elsewhere", RefundedElsewhere("main/pay_1", "bank_1", AMOUNT)),
    ("chargeback.opened", ChargedBack("main/pay_1", "bank_1", Dispute.OPENED, AMOUNT)),
    ("chargeback.won", ChargedBack("main/pay_1", "bank_1", Dispute.WON, AMOUNT)),
    ("chargeback.lost", ChargedBack("main/pay_1", "bank_1", Dispute.LOST, AMOUNT)),
]
LINES = {
    "sandbox": sandbox.Line(sandbox.CARD, sandbox.key_of(KEY)),
    "sandbox_rail": sandbox.Line(sandbox.RAIL, sandbox.key_of(KEY)),
}


@pytest.mark.parametrize(("action", "word", "code", "expected"), SAID)
@pytest.mark.parametrize("name", LINES)
def test_a_word_of_the_sandbox_has_one_meaning(
    name: str, action: Action, word: str, code: str, expected: Outcome
) -> None:
    reply = sandbox.reply_of(LINES[name], answer_of(word, code))
    outcome = opened(name).interpret(replace(REFUND, action=action), reply)

    assert bare(outcome) == expected
    assert outcome.evidence.reply_sha256 != ""


@pytest.mark.parametrize(("action", "word", "code", "expected"), SAID_OF_CARDS)
def test_the_card_line_also_closes_and_withdraws(
    action: Action, word: str, code: str, expected: Outcome
) -> None:
    reply = sandbox.reply_of(LINES["sandbox"], answer_of(word, code))

    assert bare(opened("sandbox").interpret(replace(REFUND, action=action), reply)) == expected
    assert not {Action.CLOSE, Action.WITHDRAW} & opened("sandbox_rail").abilities.actions


@pytest.mark.parametrize(("what", "expected"), TOLD)
@pytest.mark.parametrize("name", LINES)
def test_a_notice_of_the_sandbox_is_a_fact(name: str, what: str, expected: Fact) -> None:
    observation = opened(name).read_notice(sandbox.notice_of(LINES[name], telling_of(what)))

    assert observation.event_id == "event_1"
    assert observation.fact == expected


@pytest.mark.parametrize("name", LINES)
def test_too_many_calls_are_declined_until_later(name: str) -> None:
    reply = sandbox.reply_of(LINES[name], answer_of("declined", "busy"), status=429)

    outcome = opened(name).interpret(REFUND, reply)

    assert bare(outcome) == Declined(Retry.SAME_NUMBER_LATER)


def test_one_line_does_not_pass_for_the_other() -> None:
    reply = sandbox.reply_of(LINES["sandbox_rail"], answer_of("succeeded"))
    notice = sandbox.notice_of(LINES["sandbox_rail"], telling_of("payment.captured"))

    assert isinstance(opened("sandbox").interpret(REFUND, reply), Unknown)
    with pytest.raises(SignatureInvalid):
        opened("sandbox").read_notice(notice)


# By `openssl dgst -sha256 -mac HMAC`, over "contraflow/sandbox/request/v1\n" and the body.
GOLDEN = "4a27daae1e5eb32ecc4f37c265cb502abce08f233de213eab792363868c2d764"


def test_the_bytes_of_a_request_are_fixed() -> None:
    request = opened("sandbox").submit(REFUND)

    assert request.url == "sandbox:/v1/refund"
    assert request.body == (
        b'{"action":"refund","currency":"CNY","instrument":"tok_ok","minor":500,'
        b'"number":"ABCDEFGHIJKLMNOPQRSTUVWXYZ","payment":"main/pay_1",'
        b'"payment_number":"ZYXWVUTSRQPONMLKJIHGFEDCBA"}'
    )
    assert request.headers == (("sandbox-signature", GOLDEN),)
