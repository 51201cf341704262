"""Lives of one payment, told command by command and adopted as the engine would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cases import DAY_MS, GAP_MS, NOW, PAYMENT_ID, POLICY, SIGNED, yuan
from hypothesis import strategies as st
from msgspec.structs import replace

from contraflow.domain import commands as c
from contraflow.domain import outcome as said
from contraflow.domain.decide import decide
from contraflow.domain.decision import NO_OBJECTION, Accepted, Decision
from contraflow.domain.events import Event
from contraflow.domain.instruction import Instruction, Withdrawal
from contraflow.domain.lifecycle import FINAL, UNSENT, State, Step
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
from contraflow.domain.outcome import Outcome, Retry
from contraflow.domain.payment import Capturing, Payment
from contraflow.domain.policy import LateCapture, Policy
from contraflow.domain.snapshot import Snapshot

Move = tuple[str, int, int]  # What happens, to which of several, and how much.


class Walk:
    def __init__(self, rules: Policy) -> None:
        self.events: list[Event] = []
        self.keys: set[str] = set()
        self.asked = 0
        self.snapshot = Snapshot(NOW, rules, {}, {}, {}, {}, {}, frozenset(), frozenset())

    @property
    def payment(self) -> Payment:
        return self.snapshot.payments[PAYMENT_ID]

    @property
    def instructions(self) -> list[Instruction]:
        return list(self.snapshot.instructions.values())

    def tell(self, command: c.Command) -> Decision | None:
        """None if a client's key was answered before."""
        if isinstance(command, c.Keyed):
            if command.key in self.keys:
                return None
            self.keys.add(command.key)
        decision = decide(self.snapshot, command, NO_OBJECTION)
        if isinstance(decision, Accepted):
            self.adopt(decision)
            for follow_up in decision.follow_ups:
                self.tell(follow_up)
        return decision

    def adopt(self, decision: Accepted) -> None:
        before = self.snapshot
        paid = decision.payment
        changed = {one.instruction_id: one for one in decision.instructions}
        self.events.extend(decision.events)
        self.snapshot = replace(
            before,
            now=before.now + 500,
            payments=before.payments if paid is None else {paid.payment_id: paid},
            instructions={**before.instructions, **changed},
            numbers={
                **before.numbers,
                **{one.number: one.instruction_id for one in decision.instructions},
            },
            facts={**before.facts, **{fact.fact_id: fact for fact in decision.facts}},
            cases={**before.cases, **{case.case_id: case for case in decision.cases}},
        )

    def take(self, move: Move) -> None:
        name, which, minor = move
        command = MOVES[name](self, which, minor)
        if command is not None:
            self.tell(command)

    def keyed(self) -> dict[str, Any]:
        self.asked += 1
        return {"key": f"shop/k{self.asked}", "fingerprint": bytes(32)}

    def one_of(self, which: int, choose: Callable[[Instruction], bool]) -> Instruction | None:
        found = [one for one in self.instructions if choose(one)]
        return found[which % len(found)] if found else None


def request_refund(walk: Walk, _: int, minor: int) -> c.Command:
    return c.RequestRefund(
        **walk.keyed(), payment_id=PAYMENT_ID, amount=yuan(minor), for_review=minor % 7 == 0
    )


def request_capture(walk: Walk, which: int, minor: int) -> c.Command:
    amount = yuan(minor) if which % 2 else None
    return c.RequestCapture(**walk.keyed(), payment_id=PAYMENT_ID, amount=amount)


def request_cancel(walk: Walk, _: int, __: int) -> c.Command:
    return c.RequestCancel(**walk.keyed(), payment_id=PAYMENT_ID)


def request_reversal(walk: Walk, which: int, minor: int) -> c.Command:
    amount = yuan(minor) if which % 2 else None
    return c.RequestReversal(**walk.keyed(), payment_id=PAYMENT_ID, amount=amount)


def withdraw(walk: Walk, which: int, _: int) -> c.Command | None:
    one = walk.one_of(which, lambda one: one.state not in FINAL)
    return one and c.WithdrawReversal(**walk.keyed(), instruction_id=one.instruction_id)


def release(walk: Walk, which: int, minor: int) -> c.Command | None:
    one = walk.one_of(which, lambda one: one.can(Step.RELEASE))
    word = c.ReleaseHold if minor % 2 else c.RejectHold
    return one and word(**walk.keyed(), instruction_id=one.instruction_id)


def resolve(walk: Walk, which: int, minor: int) -> c.Command | None:
    one = walk.one_of(which, lambda one: one.state is State.ATTENTION)
    words = list(c.Resolution)
    return one and c.ResolveCase(
        **walk.keyed(),
        object_id=one.instruction_id,
        resolution=words[minor % len(words)],
        evidence="seen",
    )


def mark(walk: Walk, which: int, _: int) -> c.Command | None:
    one = walk.one_of(which, lambda one: one.state not in FINAL)
    now = walk.snapshot.now
    return one and c.MarkSent(fence=one.fence, leave_by=now + 5_000, lease_until=now)


def inquire(walk: Walk, which: int, _: int) -> c.Command | None:
    one = walk.one_of(which, lambda one: one.attempt > 0)
    return one and c.ClaimInquiry(fence=one.fence, lease_until=walk.snapshot.now)


def answer(walk: Walk, which: int, minor: int) -> c.Command | None:
    """The channel answers at once, or after every attempt is dead."""
    one = walk.one_of(which, lambda one: one.attempt > 0 and one.state not in FINAL | UNSENT)
    if one is None:
        return None
    now = walk.snapshot.now
    return c.RecordOutcome(
        fence=one.fence,
        outcome=outcome_of(one, minor),
        asked_at=now + DAY_MS * (minor % 2),
        again_at=now,
        of_withdrawal=one.withdrawal is Withdrawal.ASKED and minor % 3 == 0,
    )


def outcome_of(one: Instruction, minor: int) -> Outcome:
    right, proof = one.amount, SIGNED
    words: list[Outcome] = [
        *[said.Succeeded(right, PAYMENT_ID, "ref", proof)] * 3,
        said.Succeeded(yuan(minor), PAYMENT_ID, "ref", proof),
        said.Bounced(right, PAYMENT_ID, "ref", proof),
        said.Declined(Retry.NEVER, evidence=proof),
        said.Declined(Retry.NEVER, is_captured=True, evidence=proof),
        said.Declined(Retry.SAME_NUMBER_LATER, evidence=proof),
        said.Declined(Retry.NEW_NUMBER, evidence=proof),
        said.Accepted("ref", evidence=proof),
        said.Withdrawn(proof),
        said.NotFound(proof),
        said.NotSent(),
        said.Unknown(),
    ]
    return words[minor % len(words)]


def tell_fact(walk: Walk, which: int, minor: int) -> c.Command:
    """Any notice about the payment, of any amount, as often as it likes."""
    amount, name = yuan(minor), f"{which % 3}"
    facts: list[Fact] = [
        Authorized(PAYMENT_ID, amount),
        Captured(PAYMENT_ID, name, amount),
        Expired(PAYMENT_ID),
        RefundedElsewhere(PAYMENT_ID, name, amount),
        *(ChargedBack(PAYMENT_ID, name, dispute, amount) for dispute in Dispute),
    ]
    return notice(walk, facts[(which + minor) % len(facts)])


def tell_answer(walk: Walk, which: int, minor: int) -> c.Command | None:
    numbers = sorted(walk.snapshot.numbers)
    if not numbers:
        return None
    number = numbers[which % len(numbers)]
    one = walk.snapshot.instructions[walk.snapshot.numbers[number]]
    return notice(walk, Answered(number, outcome_of(one, minor)))


def notice(walk: Walk, fact: Fact) -> c.Command:
    walk.asked += 1
    return c.RecordFact(channel="card", observation=Observation(f"e{walk.asked}", fact, SIGNED))


def wait(walk: Walk, which: int, _: int) -> c.Command | None:
    """Time passes: a deadline of an instruction, or of the payer."""
    walk.snapshot = replace(walk.snapshot, now=walk.snapshot.now + GAP_MS + DAY_MS * (which % 2))
    one = walk.one_of(which, lambda one: one.deadline_at is not None)
    if one is None:
        return c.ExpirePayment(payment_id=PAYMENT_ID)
    return c.FireTimer(fence=one.fence)


MOVES: dict[str, Callable[[Walk, int, int], c.Command | None]] = {
    function.__name__: function
    for function in (
        *(request_refund, request_capture, request_cancel, request_reversal),
        *(withdraw, release, resolve, mark, inquire, answer, tell_fact, tell_answer, wait),
    )
}
BEGINNINGS = ("authorized", "captured", "manual", "automatic")


def begin(beginning: str, late_capture: LateCapture = LateCapture.ATTENTION) -> Walk:
    walk = Walk(replace(POLICY, late_capture=late_capture, undo_window_ms=GAP_MS))
    made = {"payment_id": PAYMENT_ID, "channel": "card", "method": "", "amount": yuan(1_000)}
    if beginning in {"authorized", "captured"}:
        is_captured = beginning == "captured"
        walk.tell(c.RecordPayment(**walk.keyed(), **made, is_captured=is_captured))
    else:
        made |= {"capturing": Capturing(beginning), "expires_at": NOW + DAY_MS}
        walk.tell(c.CreatePayment(**walk.keyed(), **made))
    return walk


def lives() -> st.SearchStrategy[list[Move]]:
    """Sent and answered often enough for most requests to come to an end."""
    names = sorted(MOVES) + ["mark", "answer"] * 3 + ["request_refund"]
    move = st.tuples(st.sampled_from(names), st.integers(0, 5), st.integers(1, 1_200))
    return st.lists(move, min_size=5, max_size=40)
