"""The one door to the database: decide a batch of commands and commit it whole."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from contraflow.domain.booking import left_undone
from contraflow.domain.commands import Command, Keyed, Nonce
from contraflow.domain.decide import decide
from contraflow.domain.decision import Accepted, Answer, Decision, Refused, Told
from contraflow.domain.policy import Policy
from contraflow.engine.barriers import barred, foreign
from contraflow.engine.checks import check_commit
from contraflow.engine.draft import Draft, adopt, commit_of, draft_of
from contraflow.engine.limits import BATCH_COMMANDS_MAX
from contraflow.engine.papers import receipt_for
from contraflow.errors import ErrorCode
from contraflow.risk.assess import assess
from contraflow.risk.rules import Rule
from contraflow.store import Commit, Loaded, Store


async def commit_batch(
    store: Store, policy: Policy, rules: Sequence[Rule], commands: Sequence[Command]
) -> list[Answer]:
    """Load, decide, commit: one read and one transaction, whatever the size of the batch.

    Returns one answer for each command, in their order. A key that was answered before, also
    earlier in this batch, gets its receipt again and changes nothing.
    """
    assert 0 < len(commands) <= BATCH_COMMANDS_MAX

    commit = await store.commit(commands, partial(plan, policy, rules, commands))
    assert len(commit.answers) == len(commands)
    return list(commit.answers)


def plan(
    policy: Policy, rules: Sequence[Rule], commands: Sequence[Command], loaded: Loaded
) -> Commit:
    """Decide command by command; each must see what the ones before it did."""
    draft = draft_of(loaded, policy)
    commit = commit_of(draft, [answer(draft, rules, command) for command in commands])
    check_commit(loaded, commands, commit)
    return commit


def answer(draft: Draft, rules: Sequence[Rule], command: Command) -> Answer:
    if not isinstance(command, Keyed):
        return decided(draft, rules, command)
    told = answer_client(draft, rules, command)
    if command.line is not None and command.line not in draft.loaded.lines:
        draft.lines.setdefault(command.line, line_answer(told))
    return told


def answer_client(draft: Draft, rules: Sequence[Rule], command: Keyed) -> Answer:
    """Its receipt: a new one, or the stored one word for word if the key was answered before."""
    if command.nonce is not None and not use_nonce(draft, command.nonce):
        return Refused(ErrorCode.NONCE_REUSED)
    stored = draft.receipts.get(command.key)
    if stored is not None:
        if stored.fingerprint != command.fingerprint:
            return Refused(ErrorCode.KEY_REUSED, command.key)
        return Told(stored, is_replayed=True)
    decision = decided(draft, rules, command)  # type: ignore[arg-type]  # Keyed is never bare.
    if isinstance(decision, Refused) and decision.code is ErrorCode.QUARANTINED:
        return decision
    receipt = receipt_for(command, decision, draft.loaded.now)
    draft.receipts[command.key] = receipt
    draft.new_receipts.append(receipt)
    return Told(receipt, is_replayed=False, decision=decision)


def use_nonce(draft: Draft, nonce: Nonce) -> bool:
    """Whether it is new, or comes with all that it came with the first time."""
    known = draft.nonces.get(nonce.nonce_id)
    if known is None:
        draft.nonces[nonce.nonce_id] = nonce.digest
        draft.new_nonces.append(nonce)
    return known in (None, nonce.digest)


def decided(draft: Draft, rules: Sequence[Rule], command: Command) -> Decision:
    """Decide and adopt; what follows from it is decided right after, in the same commit."""
    snapshot = draft.snapshot
    has_bars = snapshot.quarantined or draft.unserved
    bar = barred(snapshot, draft.unserved, command) if has_bars else None
    bar = bar or foreign(snapshot, command)
    decision = bar or decide(snapshot, command, assess(rules, command, snapshot))
    if isinstance(decision, Accepted):
        adopt(draft, decision)
        for follow_up in decision.follow_ups:
            told = answer(draft, rules, follow_up)
            if isinstance(told, Told) and isinstance(told.decision, Refused):
                adopt(draft, left_undone(snapshot, follow_up, told.decision))
    return decision


def line_answer(told: Answer) -> str:
    """One word for a line of a file: `ok`, `replayed`, or why it was refused."""
    if isinstance(told, Told):
        if told.is_replayed:
            return "replayed"
        return told.decision.code if isinstance(told.decision, Refused) else "ok"
    assert isinstance(told, Refused)
    return told.code
