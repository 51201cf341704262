"""A channel whose bank keeps its own book, so that truth can be compared with ours.

It has two lines: `card` carries out each number once, `rail` is an old bank line where every order
is carried out, also the second time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from contraflow.channels import Abilities, Action, Attempt, Channel
from contraflow.domain.money import Money
from contraflow.domain.observation import (
    Answered,
    Authorized,
    Captured,
    ChargedBack,
    Dispute,
    Expired,
    Fact,
    Observation,
    RefundedElsewhere,
)
from contraflow.domain.outcome import (
    Accepted,
    Bounced,
    Declined,
    Evidence,
    NotFound,
    Outcome,
    Proof,
    Retry,
    Succeeded,
    Unknown,
    Withdrawn,
)
from contraflow.domain.windows import Window
from contraflow.errors import SettingInvalid, SignatureInvalid
from contraflow.wire import sandbox
from contraflow.wire.exchange import Notice, Reply, Request

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

CARD_ABILITIES = Abilities(
    actions=frozenset(Action),
    same_number_again=True,
    not_found_is_proof=True,
    dead_after_ms=1_000,
    leave_within_ms=1_000,
    inquire_after_ms=(
        *(100, 300, 700, 1_500, 2_000),
        *(4_000, 8_000, 15_000, 30_000, 60_000, 300_000, HOUR_MS),
    ),
    slots=64,
    is_test=True,
    is_final_at_once=True,
    windows=MappingProxyType(
        {
            "": Window(),
            "card": Window(
                cancel_within_ms=7 * DAY_MS, refund_within_ms=180 * DAY_MS, refunds_max=20
            ),
            "qr": Window(
                cancel_within_ms=DAY_MS,
                refund_within_ms=365 * DAY_MS,
                refunds_max=50,
                gap_ms=3_000,
            ),
        }
    ),
)

RAIL_ABILITIES = Abilities(
    actions=frozenset({Action.PAY, Action.CAPTURE, Action.VOID, Action.REFUND}),
    same_number_again=False,
    not_found_is_proof=True,
    dead_after_ms=5 * MINUTE_MS,
    leave_within_ms=5_000,
    # After 10 s, 30 s, 5 times 1 min, 5, 10, 20 and 30 min; hourly until a day has passed.
    inquire_after_ms=(
        *(10_000, 40_000, 100_000, 160_000, 220_000, 280_000, 340_000),
        *(640_000, 1_240_000, 2_440_000, 4_240_000),
        *(hours * HOUR_MS for hours in range(2, 25)),
    ),
    is_test=True,
    is_final_at_once=False,
    windows=MappingProxyType(
        {"": Window(refund_within_ms=90 * DAY_MS, refunds_max=3, gap_ms=10_000)}
    ),
)

CHANGEABLE = frozenset({"dead_after_ms", "leave_within_ms", "inquire_after_ms", "slots"})
SLOTS_MAX = 1_024
NUMBER = re.compile(r"[1-9][0-9]{0,8}")

RETRIES = MappingProxyType(
    {
        "refused": Retry.NEVER,
        "already_captured": Retry.NEVER,
        "busy": Retry.SAME_NUMBER_LATER,
        "stored_refusal": Retry.NEW_NUMBER,
    }
)


def open_channel(name: str, credentials: Mapping[str, str]) -> Channel:
    """`line` is `card` (or left out) or `rail`. Raises SettingInvalid, also without a `key`.

    `slots`, and the times `dead_after_ms`, `leave_within_ms` and `inquire_after_ms` (several, with
    commas) may be others than those of the line, which in a test of processes are too long.
    """
    key = sandbox.key_of(credentials.get("key", ""))
    match credentials.get("line", "card"):
        case "card":
            abilities, line = CARD_ABILITIES, sandbox.Line(sandbox.CARD, key)
        case "rail":
            abilities, line = RAIL_ABILITIES, sandbox.Line(sandbox.RAIL, key)
        case other:
            raise SettingInvalid(f"line: card or rail, not {other}")
    return Sandbox(name, changed(abilities, credentials), line)


def changed(abilities: Abilities, credentials: Mapping[str, str]) -> Abilities:
    said = {field: _numbers(field, credentials[field]) for field in CHANGEABLE & set(credentials)}
    schedule = said.pop("inquire_after_ms", abilities.inquire_after_ms)
    if any(sooner >= later for sooner, later in pairwise(schedule)):
        raise SettingInvalid("inquire_after_ms: each is later than the one before")
    for field, numbers in said.items():
        if len(numbers) != 1:
            raise SettingInvalid(f"{field}: one number")
    one = {field: number for field, (number,) in said.items()}
    if one.get("slots", 1) > SLOTS_MAX:
        raise SettingInvalid(f"slots: from 1 to {SLOTS_MAX}")
    return replace(abilities, inquire_after_ms=schedule, **one)


def _numbers(field: str, text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(NUMBER.fullmatch(word) for word in words):
        raise SettingInvalid(f"{field}: whole numbers from 1 are needed")
    return tuple(int(word) for word in words)


class Sandbox(Struct, frozen=True):
    name: str
    abilities: Abilities
    line: sandbox.Line

    def submit(self, attempt: Attempt) -> Request:
        return sandbox.request_of(self.line, _ask(attempt, attempt.action))

    def inquire(self, attempt: Attempt) -> Request:
        return sandbox.request_of(self.line, _ask(attempt, "status"))

    def interpret(self, attempt: Attempt, reply: Reply) -> Outcome:
        evidence = Evidence(
            status=reply.status,
            reply_sha256=hashlib.sha256(reply.body).hexdigest(),
        )
        try:
            answer = sandbox.open_reply(self.line, reply)
        except (SignatureInvalid, ValueError):
            return Unknown(evidence)
        if answer.number != attempt.number or reply.status not in (200, 429):
            return Unknown(evidence)
        if reply.status == 429 and answer.result != "declined":
            return Unknown(evidence)
        proven = replace(evidence, proof=Proof.SIGNATURE, code=answer.code or answer.result)
        if reply.status == 429:
            return Declined(Retry.SAME_NUMBER_LATER, evidence=proven)
        return _outcome(answer, attempt.action, proven)

    def read_notice(self, notice: Notice) -> Observation:
        try:
            telling = sandbox.open_notice(self.line, notice)
            evidence = Evidence(
                proof=Proof.SIGNATURE,
                code=telling.code or telling.type,
                reply_sha256=hashlib.sha256(notice.body).hexdigest(),
            )
            return Observation(telling.event, _fact(telling, evidence), evidence)
        except ValueError as error:
            raise SignatureInvalid("Signed, but not a notice that we know.") from error


def _ask(attempt: Attempt, action: str) -> sandbox.Ask:
    return sandbox.Ask(
        number=attempt.number,
        payment=attempt.payment_id,
        action=action,
        minor=attempt.amount.minor,
        currency=attempt.amount.currency,
        instrument=attempt.instrument,
        payment_number=attempt.payment_number,
    )


def _outcome(answer: sandbox.Answer, action: str, evidence: Evidence) -> Outcome:
    """What the bank SAID: whether that is what was asked for is not ours to judge."""
    amount = Money(answer.minor, answer.currency)
    match answer.result:
        case "succeeded":
            return Succeeded(amount, answer.payment, answer.reference, evidence)
        case "already_done" if action in (Action.CLOSE, Action.VOID):
            return Succeeded(amount, answer.payment, answer.reference, evidence)
        case "bounced":
            return Bounced(amount, answer.payment, answer.reference, evidence)
        case "pending":
            return Accepted(answer.reference, evidence=evidence)
        case "declined" if answer.code in RETRIES:
            is_captured = answer.code == "already_captured"
            return Declined(RETRIES[answer.code], is_captured, evidence)
        case "absent":
            return NotFound(evidence)
        case "withdrawn":
            return Withdrawn(evidence)
        case "too_late" if action == Action.WITHDRAW:
            return Accepted(answer.reference, evidence=evidence)  # It goes on.
        case _:
            return Unknown(replace(evidence, proof=Proof.NONE))


def _fact(telling: sandbox.Telling, evidence: Evidence) -> Fact:
    """Raises ValueError for a type that we do not know."""
    amount = Money(telling.minor, telling.currency)
    match telling.type.split("."):
        case ["instruction", "succeeded" | "declined" | "bounced" | "pending" as word]:
            said = sandbox.Answer(
                result=word,
                number=telling.number,
                payment=telling.payment,
                minor=telling.minor,
                currency=telling.currency,
                reference=telling.id,
                code=telling.code,
            )
            return Answered(telling.number, _outcome(said, "", evidence))
        case ["payment", "authorized"]:
            return Authorized(telling.payment, amount)
        case ["payment", "captured"]:
            return Captured(telling.payment, telling.id, amount)
        case ["payment", "expired"]:
            return Expired(telling.payment)
        case ["refund", "elsewhere"]:
            return RefundedElsewhere(telling.payment, telling.id, amount)
        case ["chargeback", "opened" | "won" | "lost" as word]:
            return ChargedBack(telling.payment, telling.id, Dispute(word), amount)
        case _:
            raise ValueError(telling.type)
