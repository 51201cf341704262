"""Whole lives on PostgreSQL: requests, claims, marks, outcomes, side by side in batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from payments import CHANNEL
from workload import (
    instruction_in,
    is_repeated,
    is_repeated_later,
    is_yes,
    mark,
    neighbourly,
    outcome,
    request,
)

from contraflow.domain.commands import Command
from contraflow.domain.decision import Answer
from contraflow.domain.instruction import Instruction
from contraflow.domain.policy import Policy
from contraflow.engine.commit import commit_batch
from contraflow.store.postgres import PostgresStore

BATCH = 200  # Life cycles that go side by side.

Claim = Callable[[PostgresStore, Sequence[Instruction]], Awaitable[Sequence[Instruction]]]


async def claimed(store: PostgresStore, accepted: Sequence[Instruction]) -> Sequence[Instruction]:
    """As many as were accepted, but whichever are due: other processes take from the same queue."""
    found: list[Instruction] = []
    while len(found) < len(accepted):
        found += await store.due(CHANNEL, len(accepted) - len(found))
    return found


async def unclaimed(_: PostgresStore, accepted: Sequence[Instruction]) -> Sequence[Instruction]:
    """The same instructions, as nobody claimed them."""
    return accepted


async def live(
    store: PostgresStore,
    rules: Policy,
    numbers: Sequence[int],
    tenants: int = 1,
    claim: Claim = claimed,
) -> None:
    """Three batches in turn, and a claim before the second; repeats go with the first two."""

    def asked(number: int) -> Command:
        return request(number, neighbourly(number, tenants))

    for start in range(0, len(numbers), BATCH):
        wave = numbers[start : start + BATCH]
        requests = [asked(n) for n in wave] + [asked(n) for n in wave if is_repeated(n)]
        answers = await decided(store, rules, requests)
        accepted = [instruction_in(answer) for answer in answers[: len(wave)]]
        due = await claim(store, accepted)
        marks: list[Command] = [mark(instruction, store.now()) for instruction in due]
        marks += [asked(n) for n in wave if is_repeated_later(n)]
        answers = await decided(store, rules, marks)
        sent = [instruction_in(answer) for answer in answers[: len(wave)]]
        await decided(store, rules, [outcome(one, store.now()) for one in sent])


async def decided(
    store: PostgresStore, rules: Policy, commands: Sequence[Command]
) -> Sequence[Answer]:
    answers = await commit_batch(store, rules, (), commands)
    for answer in answers:
        assert is_yes(answer), answer
    return answers
