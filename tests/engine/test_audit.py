"""The audit finds what was changed by hand in a database that was in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from house import SIGNED, House, created, recorded, refund_of
from msgspec.structs import replace

from contraflow.domain import commands as c
from contraflow.domain.facts import FactState
from contraflow.domain.instruction import Instruction
from contraflow.domain.lifecycle import State
from contraflow.domain.money import Money
from contraflow.domain.observation import ChargedBack, Dispute, Observation
from contraflow.engine.audit import audit, check_contents
from contraflow.errors import InvariantBroken
from contraflow.settings import Settings
from contraflow.store import Contents

PAYMENT = "main/pay_1"
ACCOUNT = "main/sandbox/"
Tamper = Callable[[Contents], Contents]


@pytest.fixture(scope="module")
def sound() -> Contents:
    """Of 1,000: 400 refunded, 300 reserved, 500 charged back, so 200 over; and a paid one."""
    house = House(Settings(sinks={})).start()
    house.ask(recorded(script="accept_then_succeed"))
    done = house.refund(minor=400)
    house.run_until(State.SUCCEEDED, done)
    house.road.plays.append("request_lost")
    house.refund(minor=300)
    disputed = ChargedBack(PAYMENT, "d1", Dispute.OPENED, Money(500, "GBP"))
    house.ask(c.RecordFact(channel="sandbox", observation=Observation("e1", disputed, SIGNED)))
    house.ask(created("main/pay_2"))
    house.run_for(60)
    contents = house.contents()
    house.close()
    return contents


def open_refund(contents: Contents) -> Instruction:
    [one] = [i for i in contents.instructions.values() if i.state is State.UNKNOWN]
    return one


def done_refund(contents: Contents) -> Instruction:
    [one] = [
        i
        for i in contents.instructions.values()
        if i.state is State.SUCCEEDED and i.payment_id == PAYMENT
    ]
    return one


def test_a_database_in_order_has_no_findings(sound: Contents) -> None:
    payment = sound.payments[PAYMENT]

    assert (payment.refunded, payment.reserved, payment.charged_back) == (400, 300, 500)
    assert (payment.excess, payment.unknown) == (200, 1)
    assert audit(sound) == []
    check_contents(sound)


def with_payment(**changes: Any) -> Tamper:
    def tamper(contents: Contents) -> Contents:
        payment = contents.payments[PAYMENT]
        changed = unchecked(payment, **changes)
        return replace(contents, payments={**contents.payments, PAYMENT: changed})

    return tamper


def unchecked(value: Any, **changes: Any) -> Any:
    """A row as it is read: no assertion stands between it and us."""

    class Row:
        def __getattr__(self, name: str) -> Any:
            return changes[name] if name in changes else getattr(value, name)

        @property
        def gone(self) -> int:
            return int(self.reserved + self.refunded + self.charged_back)

    return Row()


def with_refund(which: Callable[[Contents], Instruction], **changes: Any) -> Tamper:
    def tamper(contents: Contents) -> Contents:
        one = which(contents)
        rows = {**contents.instructions, one.instruction_id: unchecked(one, **changes)}
        return replace(contents, instructions=rows)

    return tamper


def with_balance(account: str, minor: int) -> Tamper:
    def tamper(contents: Contents) -> Contents:
        name = (f"{ACCOUNT}{account}", "GBP")
        balances = {**contents.balances, name: contents.balances.get(name, 0) + minor}
        return replace(contents, balances=balances)

    return tamper


def with_entry(change: Callable[[tuple[Any, ...]], list[tuple[Any, ...]]]) -> Tamper:
    """Of the first entry of the books."""

    def tamper(contents: Contents) -> Contents:
        first, *others = contents.entries
        return replace(contents, entries=[*change(first), *others])

    return tamper


def with_event(which: str, **changes: Any) -> Tamper:
    """Of the first event of this type."""

    def tamper(contents: Contents) -> Contents:
        events = list(contents.events)
        for at, (position, name, sequence, body) in enumerate(events):
            if (told := msgspec.json.decode(body))["type"] == which:
                events[at] = (position, name, sequence, msgspec.json.encode({**told, **changes}))
                return replace(contents, events=events)
        raise AssertionError(which)

    return tamper


def without_event(which: str) -> Tamper:
    def tamper(contents: Contents) -> Contents:
        kept = [e for e in contents.events if msgspec.json.decode(e[3])["type"] != which]
        assert len(kept) == len(contents.events) - 1
        return replace(contents, events=kept)

    return tamper


def with_fact_won(contents: Contents) -> Contents:
    name = f"{PAYMENT}/chargeback/d1"
    won = replace(contents.facts[name], state=FactState.WON)
    return replace(contents, facts={**contents.facts, name: won})


def without_fact(name: str) -> Tamper:
    def tamper(contents: Contents) -> Contents:
        kept: Mapping[str, Any] = {k: v for k, v in contents.facts.items() if k != name}
        assert len(kept) == len(contents.facts) - 1
        return replace(contents, facts=kept)

    return tamper


def twice(entry: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [entry, entry]


def gone(_: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return []


def one_more(entry: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    *names, minor, currency = entry
    return [(*names, minor + 1, currency)]


def of_nobody(entry: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [("main/nobody", *entry[1:])]


TAMPERS: Mapping[str, tuple[str, str, Tamper]] = {
    "more reserved": ("I9", "reserved should be 300", with_payment(reserved=299)),
    "less refunded": ("I9", "refunded should be 400", with_payment(refunded=401)),
    "no chargeback": ("I9", "charged_back should be 500", with_payment(charged_back=0)),
    "more captured": ("I9", "captured should be 1000", with_payment(captured=1_001)),
    "nothing in doubt": ("I9", "unknown should be 1", with_payment(unknown=0)),
    "no loss": ("I1", "1200 have left", with_payment(excess=0)),
    "another currency": ("I9", "another currency", with_refund(open_refund, currency="EUR")),
    "another number": ("I3", "its number should be", with_refund(open_refund, number="A" * 26)),
    "another generation": ("I3", "its number should be", with_refund(open_refund, generation=1)),
    "another balance": ("I12", "its lines", with_balance("merchant.payable", 1)),
    "a balance of nothing": ("I12", "its lines", with_balance("loss.nobody", 5)),
    "another entry": ("I13", "channel.receivable', 'GBP') should be", with_entry(one_more)),
    "an entry twice": ("I14", "2 entries instead of 1", with_entry(twice)),
    "an entry gone": ("I14", "0 entries instead of 1", with_entry(gone)),
    "an entry of nobody": ("I14", "without their event", with_entry(of_nobody)),
    "a refund that is free": ("I9", "reserved should be 0", with_refund(open_refund, minor=0)),
    "no flight": ("I13", "refunds.in_flight', 'GBP') should be", with_payment(reserved=0)),
    "no loss booked": ("I13", "loss.over_reversal', 'GBP') should be", with_payment(excess=0)),
    "an event gone": ("I29", "jumps to event", without_event("refund.pending")),
    "the last event gone": ("I29", "events of", without_event("refund.unknown")),
    "a row behind": ("I29", "events of", with_refund(done_refund, sequence=1)),
    "a payment ahead": ("I29", "events of", with_payment(sequence=9)),
    "a dispute that was won": ("I9", "charged_back should be 0", with_fact_won),
    "a capture gone": ("I9", "captured should be 0", without_fact(f"{PAYMENT}/capture/recorded")),
    "another state": ("I22", "its events say", with_refund(done_refund, state=State.FAILED)),
    "a step that is none": (
        *("I22", "by fail to pending"),
        with_event("refund.pending", step="fail"),
    ),
    "a birth in the middle": (
        *("I22", "from None by succeed"),
        with_event("refund.accepted", step="succeed", state="succeeded"),
    ),
    "a payment born otherwise": (
        *("I22", "from None by capture"),
        with_event("payment.created", step="capture", state="captured"),
    ),
    "a payment that leaps": (
        *("I22", "by cancel to pending"),
        with_event("payment.pending", step="cancel"),
    ),
}


@pytest.mark.parametrize("name", TAMPERS)
def test_what_was_changed_by_hand_is_found(sound: Contents, name: str) -> None:
    invariant, words, tamper = TAMPERS[name]
    findings = audit(tamper(sound))

    assert any(found == invariant and words in detail for found, detail in findings), findings


def test_the_first_finding_stops_whoever_checks(sound: Contents) -> None:
    with pytest.raises(InvariantBroken, match="I3") as raised:
        check_contents(with_refund(open_refund, number="A" * 26)(sound))

    assert raised.value.invariant == "I3"


def test_the_rows_of_other_payments_are_no_excuse(sound: Contents) -> None:
    """What one payment lacks is not balanced by what another has too much."""
    other = unchecked(sound.payments["main/pay_2"], captured=1_001)
    mine = unchecked(sound.payments[PAYMENT], captured=999)
    tampered = replace(sound, payments={PAYMENT: mine, "main/pay_2": other})

    assert [found for found, _ in audit(tampered)].count("I9") == 2


def test_a_refund_made_elsewhere_is_no_refund_of_ours(build: Callable[..., House]) -> None:
    house = build().start()
    house.paid(script="refund_elsewhere")
    house.refund(minor=100)
    house.run_for(1_000)

    assert house.payment().refunded == 101  # Somebody refunded one minor unit.
    assert audit(house.contents()) == []


def test_a_refund_that_waits_is_still_reserved(build: Callable[..., House]) -> None:
    house = build(undo_window_s=60).start()
    house.paid()
    house.ask(refund_of())

    assert audit(house.contents()) == []
    assert house.payment().reserved == 400
