"""The commands of the benchmark: whole lives of refunds, with the repeats that clients make."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from contraflow.domain.commands import Command, MarkSent, RecordOutcome, RequestRefund
from contraflow.domain.decision import Accepted, Answer, Told
from contraflow.domain.ids import qualified, tenant_of
from contraflow.domain.instruction import Instruction, Labels
from contraflow.domain.money import Money
from contraflow.domain.outcome import Evidence, Proof, Succeeded
from contraflow.domain.policy import Policy
from contraflow.engine.commit import commit_batch
from contraflow.outside.event_loop import wall_clock_ms
from contraflow.outside.virtual_time import result_of
from contraflow.settings import Settings
from contraflow.store.sqlite import SqliteStore
from contraflow.wire import canonical
from contraflow.wiring import open_channel, policy_of

TENANT = "main"
REFUND = Money(500, "CNY")
# One request in twenty is sent twice, half of these again after it was answered; one in twenty is
# the second one for the payment of its neighbour: 5 % each.
EVERY = 20
REPEATED, REPEATED_LATER, SECOND = {1}, {21}, 19
BATCH = 256  # Life cycles that go side by side.
LEAVE_WITHIN_MS = 1_000
AGAIN_MS = 10_000
LEASE_MS = 60_000

# All arms but the clients' live in one moment, so that equal work leaves equal rows behind.
NOW = wall_clock_ms()


def frozen_clock() -> int:
    return NOW


def policy() -> Policy:
    """What the settings of a fresh installation lead to."""
    settings = Settings()
    channels = {
        name: open_channel(name, chosen.plugin, {"key": "00" * 32, **chosen.credentials})
        for name, chosen in settings.channels.items()
    }
    return policy_of(settings, channels)


def payment_name(number: int, tenants: int = 1) -> str:
    return qualified(tenant_for(number, tenants), f"pay_{number:012}")


def tenant_for(number: int, tenants: int) -> str:
    """One hot merchant, or each in its turn."""
    return TENANT if tenants == 1 else f"m{number % tenants:06}"


def neighbourly(number: int, tenants: int = 1) -> str:
    return payment_name(neighbour_of(number), tenants)


def neighbour_of(number: int) -> int:
    """Every twentieth refund is of its neighbour's payment."""
    return number - 1 if number % EVERY == SECOND else number


def is_repeated(number: int) -> bool:
    return number % (2 * EVERY) in REPEATED


def is_repeated_later(number: int) -> bool:
    return number % (2 * EVERY) in REPEATED_LATER


# Commands, as a door and the dispatcher make them.


def labels_of(number: int) -> str:
    labels = Labels(
        reason="customer_return",
        actor="key:shop-backend",
        source="203.0.113.7",
        customer=f"cust_{number % 5_000:06}",
        merchant_reference=f"order-{number:09}",
        metadata={"channel": "web", "ticket": f"T{number:08}"},
    )
    return canonical.encode(labels).decode()


def request(number: int, payment_id: str) -> RequestRefund:
    labels = labels_of(number)
    asked = {
        "route": "POST /v1/refunds",
        "payment": payment_id,
        "minor": REFUND.minor,
        "currency": REFUND.currency,
        "labels": labels,
    }
    return RequestRefund(
        key=qualified(tenant_of(payment_id), f"key_{number:012}"),
        fingerprint=canonical.fingerprint(asked),
        labels=labels,
        payment_id=payment_id,
        amount=REFUND,
    )


def mark(accepted: Instruction, now: int) -> MarkSent:
    return MarkSent(
        fence=accepted.fence, leave_by=now + LEAVE_WITHIN_MS, lease_until=now + LEASE_MS
    )


def outcome(sent: Instruction, now: int) -> RecordOutcome:
    said = said_of(sent.number, sent.amount, sent.payment_id)
    return RecordOutcome(fence=sent.fence, outcome=said, asked_at=now, again_at=now + AGAIN_MS)


def said_of(number: str, amount: Money, payment_id: str) -> Succeeded:
    """With the proof and the digests of a signed answer."""
    evidence = Evidence(
        proof=Proof.SIGNATURE,
        code="succeeded",
        status=200,
        request_sha256=hashlib.sha256(f"request {number}".encode()).hexdigest(),
        reply_sha256=hashlib.sha256(f"reply {number}".encode()).hexdigest(),
    )
    return Succeeded(amount, payment_id, f"bank_{number[:12]}", evidence)


# Whole lives.


def live(
    store: SqliteStore,
    rules: Policy,
    numbers: Sequence[int],
    payment_of: Callable[[int], str] = neighbourly,
) -> None:
    """Three batches in turn: requests, marks, outcomes; repeats go with the first two."""
    for start in range(0, len(numbers), BATCH):
        wave = numbers[start : start + BATCH]
        asked: list[Command] = [request(n, payment_of(n)) for n in wave]
        asked += [request(n, payment_of(n)) for n in wave if is_repeated(n)]
        accepted = [instruction_in(answer) for answer in decided(store, rules, asked)[: len(wave)]]
        marks: list[Command] = [mark(instruction, store.now()) for instruction in accepted]
        marks += [request(n, payment_of(n)) for n in wave if is_repeated_later(n)]
        sent = [instruction_in(answer) for answer in decided(store, rules, marks)[: len(wave)]]
        decided(store, rules, [outcome(instruction, store.now()) for instruction in sent])


def decided(store: SqliteStore, rules: Policy, commands: Sequence[Command]) -> list[Answer]:
    answers = result_of(commit_batch(store, rules, (), commands))
    for answer in answers:
        assert is_yes(answer), answer
    return answers


def is_yes(answer: Answer) -> bool:
    if isinstance(answer, Told):
        return answer.is_replayed or isinstance(answer.decision, Accepted)
    return isinstance(answer, Accepted)


def instruction_in(answer: Answer) -> Instruction:
    decision = answer.decision if isinstance(answer, Told) else answer
    assert isinstance(decision, Accepted)
    [instruction] = decision.instructions
    return instruction
