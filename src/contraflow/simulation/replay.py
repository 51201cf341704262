"""Play a file of commands on the file's own clock, and come to the same end however often.

The clock only goes on when everything that is due has happened. The answer to a row is kept in
the commit that decides it, so a replay that was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contraflow.domain.commands import ClientCommand
from contraflow.domain.ids import name_of
from contraflow.domain.instruction import Kind
from contraflow.domain.lifecycle import PaymentState, State
from contraflow.domain.payment import Payment
from contraflow.engine.commit import line_answer
from contraflow.engine.intake import submit
from contraflow.engine.loops import start
from contraflow.engine.parts import Parts
from contraflow.outside.virtual_time import VirtualTime, result_of
from contraflow.settings import Settings
from contraflow.simulation.replay_rows import Row, command_of, digest_of, read_rows, refusal_of
from contraflow.store import Contents
from contraflow.wiring import Embedded, embed, latest_of, lines_of

UNDO_WINDOW_S = 1_800
ROUNDS_MAX = 100_000  # Until all is at rest after the last row.


@dataclass(slots=True)
class Replay:
    runtime: VirtualTime
    embedded: Embedded
    tenant: str
    source: str  # Under which the answers are kept.
    answered: dict[int, str]
    refunds: dict[str, str] = field(default_factory=dict)  # The payment of a request, by its key.

    @property
    def parts(self) -> Parts:
        return self.embedded.parts


def replay_settings(database: str, tenant: str) -> Settings:
    return Settings(database=database, tenant=tenant, sinks=(), undo_window_s=UNDO_WINDOW_S)


def replay_file(
    path: Path,
    settings: Settings,
    *,
    on_row: Callable[[int], None],
    fresh_cursor: bool = False,
) -> dict[str, object]:
    """The totals of the end state, in the form of `expected_totals.json`."""
    rows = read_rows(path)
    runtime = VirtualTime(time=max(latest_of(settings, rows[0].at if rows else 0), 0))
    source, answered = cursor_of(settings, digest_of(path), fresh=fresh_cursor)
    embedded = embed(settings, runtime)
    replay = Replay(runtime, embedded, settings.tenant, source, dict(answered))
    try:
        start(replay.parts)
        embedded.local_bank.set_alarm()
        for group in groups_of(rows):
            play(replay, group)
            on_row(len(group))
        come_to_rest(replay)
        contents = result_of(replay.parts.store.contents())
    finally:
        runtime.drop()
        embedded.close()
    return totals_of(rows, replay.answered, contents)


def cursor_of(settings: Settings, digest: str, *, fresh: bool) -> tuple[str, dict[int, str]]:
    """The cursor of this file to go on with: the latest, or one that nobody has used."""
    source, number = digest, 0
    answered = dict(lines_of(settings, source))
    while answered and fresh:
        number += 1
        source = f"{digest}#{number}"
        answered = dict(lines_of(settings, source))
    return source, answered


def groups_of(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows of one moment that have nothing to do with each other share a commit."""
    group: list[Row] = []
    names: set[str] = set()
    payments: dict[str, str] = {}
    for row in rows:
        if row.kind == "refund":
            payments.setdefault(row.key, row.target)
        own = {f"key {row.key}", f"payment {row.target}", f"key {row.target}"}
        own.add(f"payment {payments.get(row.target, row.target)}")
        if group and (row.at != group[0].at or names & own):
            yield group
            group, names = [], set()
        group.append(row)
        names |= own
    if group:
        yield group


def play(replay: Replay, group: list[Row]) -> None:
    """First everything that is due by then; then the rows, and what follows from them at once."""
    replay.runtime.run_to(group[0].at)
    for row in group:
        if row.kind == "refund" and refusal_of(row) is None:
            replay.refunds.setdefault(row.key, row.target)
        if row.number in replay.answered:
            continue
        refused = refusal_of(row)
        if refused is not None:
            replay.answered[row.number] = refused
            continue
        refunded = replay.refunds.get(row.target, "")
        command = command_of(row, replay.source, replay.tenant, refunded)
        replay.runtime.spawn(answer(replay, row.number, command))
    replay.runtime.run_to(group[0].at)


async def answer(replay: Replay, number: int, command: ClientCommand) -> None:
    told = await submit(replay.parts.intake, command)
    replay.answered[number] = line_answer(told)


def come_to_rest(replay: Replay) -> None:
    for _ in range(ROUNDS_MAX):
        due_at = result_of(replay.parts.store.next_due())
        if due_at is None:
            return
        replay.runtime.run_to(max(due_at, replay.runtime.time + 1))
    raise AssertionError("the replay does not come to rest")


def totals_of(
    rows: Sequence[Row], answered: dict[int, str], contents: Contents
) -> dict[str, object]:
    payments = sorted(contents.payments.values(), key=lambda p: name_of(p.payment_id))
    refunds = [
        i
        for i in contents.instructions.values()
        if i.kind is Kind.REFUND and i.state is State.SUCCEEDED
    ]
    withdrawn = [i for i in contents.instructions.values() if i.state is State.WITHDRAWN]
    states = Counter(state_of(payment) for payment in payments)
    lines = "\n".join(
        f"{name_of(p.payment_id)},{p.captured},{p.refunded},{state_of(p)}" for p in payments
    )
    return {
        "rows": len(rows),
        "payments": len(payments),
        "captured_minor": sum(payment.captured for payment in payments),
        "refunds_succeeded": len(refunds),
        "refunded_minor": sum(refund.minor for refund in refunds),
        "requests_withdrawn": len(withdrawn),
        "payments_canceled": states["canceled"],
        "states": dict(sorted(states.items())),
        "codes": dict(sorted(Counter(answered[row.number] for row in rows).items())),
        "by_kind": dict(
            sorted(Counter(f"{row.kind}/{answered[row.number]}" for row in rows).items())
        ),
        "sha256_of_final_state": hashlib.sha256(lines.encode()).hexdigest(),
    }


def state_of(payment: Payment) -> str:
    if payment.state is not PaymentState.CAPTURED or payment.refunded == 0:
        return payment.state
    return "refunded" if payment.refunded == payment.captured else "partially_refunded"
