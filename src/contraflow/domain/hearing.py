"""What a channel's word does to an instruction: the rules of proof.

In doubt LOSE, never FAIL: a refusal is final only when no other attempt can still be travelling,
a success only with its proof and with the amount and the payment that were asked for.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from contraflow.domain import outcome as said
from contraflow.domain.cases import CASE_DEADLINE_MS, CaseKind, open_case
from contraflow.domain.decision import Accepted
from contraflow.domain.events import CaseOpened, InstructionNoted, Note
from contraflow.domain.instruction import Instruction, Kind, Waiting, Withdrawal, numbers_of
from contraflow.domain.lifecycle import FINAL, State, Step
from contraflow.domain.money import decimal_text, exponent_of
from contraflow.domain.movement import walk
from contraflow.domain.outcome import Outcome, Proof, Retry
from contraflow.domain.payment import Payment
from contraflow.domain.policy import Policy, Terms
from contraflow.domain.snapshot import Snapshot

OVERDUE = "the channel has left it open for too long"


class Hearing(Struct, frozen=True, gc=False):
    """The steps that a word leads to, and what else it proves."""

    steps: tuple[Step, ...]
    is_proven_dead: bool = False  # No attempt so far can act any more.
    needs_new_number: bool = False


def hear(
    snapshot: Snapshot,
    payment: Payment,
    instruction: Instruction,
    outcome: Outcome,
    *,
    asked_at: int | None,
    again_at: int | None,
) -> Accepted:
    """Follow the word where the table has an arrow; otherwise note it and look again later.

    `asked_at` is when the request was made that is answered, None for an unasked notice: only an
    answer to a question asked after every attempt was dead proves that none of them acts.
    """
    if instruction.state in FINAL:
        return hear_after_the_end(snapshot, payment, instruction, outcome)
    policy, terms = snapshot.policy, snapshot.policy.terms[instruction.channel]
    heard = replace(
        instruction,
        lease=instruction.lease + 1,
        due_at=instruction.due_at if again_at is None else again_at,
        reference=getattr(outcome, "reference", "") or instruction.reference,
        failure=_failure_in(outcome) or instruction.failure,
    )
    hearing = hearing_of(policy, terms, instruction, outcome, asked_at)
    if hearing.needs_new_number:
        heard = _renumbered(heard)
    if hearing.steps == (Step.CONTRADICT,):
        heard = replace(heard, failure=_contradiction_in(outcome))
    steps = hearing.steps if heard.can(hearing.steps[0]) else ()
    steps += _overdue(heard, steps, terms, snapshot.now)
    decided = walk(snapshot.now, payment, heard, steps, evidence=outcome.evidence)
    [after] = decided.instructions
    if hearing.is_proven_dead and after.in_doubt:
        after = replace(after, in_doubt=False)
    if after.state is State.ATTENTION and instruction.state is not State.ATTENTION:
        waiting = Waiting.PERSON if steps[-1] is Step.CONTRADICT else after.waiting
        deadline_at, failure = snapshot.now + CASE_DEADLINE_MS, after.failure or OVERDUE
        after = replace(after, deadline_at=deadline_at, failure=failure, waiting=waiting)
    if after.state is State.ACCEPTED and after.deadline_at is None:
        # Nothing has left so far; if nothing can for as long as this, it has failed, proven.
        after = replace(after, deadline_at=snapshot.now + terms.attention_after_ms)
    events = decided.events
    if not steps:
        after = replace(after, sequence=after.sequence + 1)
        events = (InstructionNoted(Note.ANSWERED, after, outcome.evidence),)
    return replace(decided, instructions=(after,), events=events)


def hearing_of(  # noqa: C901 one case an outcome
    policy: Policy,
    terms: Terms,
    instruction: Instruction,
    outcome: Outcome,
    asked_at: int | None,
) -> Hearing:
    lost = Hearing((Step.LOSE,))
    if needs_proof(outcome) and outcome.evidence.proof is Proof.NONE:
        return lost
    if instruction.waiting is Waiting.PERSON:
        # Two contradictory proofs: whatever comes now is noted, and a person decides.
        return lost
    match outcome:
        case said.Succeeded() | said.Bounced() if not _is_what_was_asked(instruction, outcome):
            return Hearing((Step.CONTRADICT,))
        case said.Succeeded():
            return Hearing((Step.SUCCEED,))
        case said.Bounced():
            # A bounce proves the success before it.
            return Hearing((Step.SUCCEED, Step.BOUNCE))
        case said.Accepted():
            return Hearing((Step.ACCEPT,))
        case said.Withdrawn():
            is_safe = terms.same_number_again or not instruction.in_doubt
            return Hearing((Step.WITHDRAW_CONFIRMED,)) if is_safe else lost
        case said.Unknown():
            return lost
        case said.NotSent():
            return _not_sent(instruction, lost)
        case said.Declined():
            return _declined(policy, terms, instruction, outcome, asked_at)
        case said.NotFound():
            return _not_found(policy, terms, instruction, asked_at)


def needs_proof(outcome: Outcome) -> bool:
    """An unsigned refusal is as little worth as an unsigned success."""
    return not isinstance(outcome, said.NotSent | said.Accepted | said.Unknown)


def is_dead(instruction: Instruction, terms: Terms, asked_at: int | None) -> bool:
    """No attempt can land any more, because the channel was asked after the last one could."""
    assert instruction.leave_by is not None
    return asked_at is not None and asked_at >= instruction.leave_by + terms.dead_after_ms


def _is_what_was_asked(instruction: Instruction, told: said.Succeeded | said.Bounced) -> bool:
    """Equal amount, currency and payment; and nothing but a refund comes back."""
    if isinstance(told, said.Bounced) and instruction.kind is not Kind.REFUND:
        return False
    return told.amount == instruction.amount and told.payment_id == instruction.payment_id


def _not_sent(instruction: Instruction, lost: Hearing) -> Hearing:
    if instruction.in_doubt:
        # This attempt never left, but an earlier one may still be travelling.
        return lost
    if instruction.withdrawal is Withdrawal.ASKED:
        return Hearing((Step.NOT_SENT, Step.WITHDRAW))
    return Hearing((Step.NOT_SENT,))


def _declined(
    policy: Policy,
    terms: Terms,
    instruction: Instruction,
    outcome: said.Declined,
    asked_at: int | None,
) -> Hearing:
    """Final for the only attempt, or when every attempt is dead; otherwise a doubt."""
    is_answer = instruction.state is State.SENT and asked_at is not None
    if outcome.retry is Retry.SAME_NUMBER_LATER and not is_answer:
        # Not the instruction was refused, but our question about it.
        return Hearing((Step.LOSE,))
    is_only = instruction.tries == 1 or (is_answer and not instruction.in_doubt)
    if not is_only and not is_dead(instruction, terms, asked_at):
        return Hearing((Step.LOSE,))
    if outcome.retry is Retry.NEVER:
        return Hearing((Step.FAIL,))
    if instruction.withdrawal is Withdrawal.ASKED:
        if instruction.can(Step.RETRY_LATER):
            return Hearing((Step.RETRY_LATER, Step.WITHDRAW))
        return Hearing((Step.WITHDRAW_CONFIRMED,))
    if instruction.tries >= policy.attempts_max:
        return Hearing((Step.FAIL,))
    if outcome.retry is Retry.SAME_NUMBER_LATER:
        return Hearing((Step.RETRY_LATER,))
    if instruction.generation >= policy.generations_max:
        return Hearing((Step.FAIL,))
    step = Step.RETRY_LATER if instruction.can(Step.RETRY_LATER) else Step.LOSE
    return Hearing((step,), is_proven_dead=True, needs_new_number=True)


def _not_found(
    policy: Policy, terms: Terms, instruction: Instruction, asked_at: int | None
) -> Hearing:
    """Absent proves nothing until all attempts are dead; then it may be sent once more."""
    if not (terms.not_found_is_proof and is_dead(instruction, terms, asked_at)):
        return Hearing((Step.LOSE,))
    if instruction.withdrawal is Withdrawal.ASKED:
        return Hearing((Step.WITHDRAW_CONFIRMED,))
    if instruction.tries >= policy.attempts_max or instruction.state is State.ATTENTION:
        return Hearing((Step.FAIL,))
    return Hearing((Step.LOSE,), is_proven_dead=True)


def _renumbered(instruction: Instruction) -> Instruction:
    """The next generation: a new number, because the old one is proven dead."""
    risen = replace(instruction, generation=instruction.generation + 1)
    return replace(risen, number=numbers_of(risen)[-1])


def _overdue(
    instruction: Instruction, steps: tuple[Step, ...], terms: Terms, now: int
) -> tuple[Step, ...]:
    """A person must look at what the channel has left open for too long."""
    state = instruction.move(steps[-1], now).state if len(steps) == 1 else instruction.state
    is_open = state in {State.PENDING, State.UNKNOWN} and len(steps) <= 1
    assert instruction.sent_at is not None
    if is_open and now >= instruction.sent_at + terms.attention_after_ms:
        return (Step.OVERDUE,)
    return ()


def _failure_in(outcome: Outcome) -> str:
    match outcome:
        case said.Declined():
            return (
                "already_captured" if outcome.is_captured else outcome.evidence.code or "declined"
            )
        case said.Bounced():
            return outcome.evidence.code or "bounced"
        case said.NotFound():
            return "absent"
        case said.NotSent() | said.Accepted() | said.Succeeded() | said.Unknown():
            return ""
        case said.Withdrawn():
            return ""


def _contradiction_in(outcome: Outcome) -> str:
    """For the person who must decide: what the channel named instead of what was asked for."""
    assert isinstance(outcome, said.Succeeded | said.Bounced)
    amount, verb = outcome.amount, type(outcome).__name__.lower()
    is_known = exponent_of(amount.currency) is not None
    text = decimal_text(amount) if is_known else f"{amount.minor} minor units of"
    return f"the channel says: {verb}, {text} {amount.currency} of {outcome.payment_id}"


def hear_after_the_end(
    snapshot: Snapshot, payment: Payment, instruction: Instruction, outcome: Outcome
) -> Accepted:
    """Only proof that the channel acted leaves a final state; what contradicts it is a case."""
    now, evidence = snapshot.now, outcome.evidence
    if evidence.proof is Proof.NONE:
        return Accepted()
    is_over = instruction.state in {State.FAILED, State.WITHDRAWN}
    match outcome:
        case said.Succeeded() | said.Bounced() if not _is_what_was_asked(instruction, outcome):
            return contradicted(snapshot, instruction, outcome)
        case said.Succeeded() if is_over:
            return walk(now, payment, instruction, (Step.EFFECT,), evidence=evidence)
        case said.Bounced() if is_over:
            steps = (Step.EFFECT, Step.BOUNCE)
            return walk(now, payment, instruction, steps, evidence=evidence)
        case said.Bounced() if instruction.state is State.SUCCEEDED:
            bounced = replace(instruction, failure=_failure_in(outcome))
            return walk(now, payment, bounced, (Step.BOUNCE,), evidence=evidence)
        case said.Succeeded() if _is_another_effect(instruction, outcome):
            return contradicted(snapshot, instruction, outcome)
        case said.Declined() | said.Withdrawn() if instruction.state is State.SUCCEEDED:
            return contradicted(snapshot, instruction, outcome)
        case _:
            return Accepted()


def _is_another_effect(instruction: Instruction, outcome: said.Succeeded) -> bool:
    """The channel has two names for what it did under one number: it acted twice."""
    known, told = instruction.reference, outcome.reference
    return known != "" and told not in ("", known)


def contradicted(snapshot: Snapshot, instruction: Instruction, outcome: Outcome) -> Accepted:
    evidence = outcome.evidence
    case = open_case(
        CaseKind.CONTRADICTION,
        object_id=instruction.instruction_id,
        cause=evidence.reply_sha256[:16] or evidence.code,
        now=snapshot.now,
        detail=f"{instruction.state}, but the channel says {type(outcome).__name__.lower()}"
        f" ({evidence.code}), reply {evidence.reply_sha256[:12]}",
    )
    if case.case_id in snapshot.cases:
        return Accepted()
    return Accepted(cases=(case,), events=(CaseOpened(case),))
