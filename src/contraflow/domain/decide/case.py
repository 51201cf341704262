"""What does a person's decision change, where the engine could not decide?"""

from __future__ import annotations

from msgspec.structs import replace

from contraflow.domain.cases import Case
from contraflow.domain.commands import Resolution, ResolveCase
from contraflow.domain.decision import Accepted, Decision, Refused
from contraflow.domain.events import CaseClosed, InstructionNoted, Note
from contraflow.domain.instruction import Instruction, Waiting
from contraflow.domain.lifecycle import State, Step
from contraflow.domain.movement import walk
from contraflow.domain.outcome import Evidence, Proof
from contraflow.domain.snapshot import Snapshot
from contraflow.errors import ErrorCode


def decide_resolution(snapshot: Snapshot, command: ResolveCase) -> Decision:
    """Refuse for the first reason that applies, in the order of `ErrorCode`."""
    case = snapshot.cases.get(command.object_id)
    instruction = snapshot.instructions.get(command.object_id)
    if case is None and instruction is None:
        return Refused(ErrorCode.CASE_UNKNOWN, command.object_id)
    if case is not None:
        return _close(snapshot, command, case)
    assert instruction is not None
    terms = snapshot.policy.terms.get(instruction.channel)  # None: it is no longer configured.
    is_safe = terms is not None and terms.same_number_again
    if command.resolution is Resolution.REDIRECT and not is_safe:
        return Refused(ErrorCode.CHANNEL_UNABLE, "it could act twice")
    if instruction.state is not State.ATTENTION or command.resolution is Resolution.CLOSED:
        return Refused(ErrorCode.STATE_FORBIDS, instruction.state)
    if not command.evidence.strip():
        return Refused(ErrorCode.EVIDENCE_MISSING)
    return _resolve(snapshot, command, instruction)


def _close(snapshot: Snapshot, command: ResolveCase, case: Case) -> Decision:
    if case.closed_at is not None or command.resolution is not Resolution.CLOSED:
        return Refused(ErrorCode.STATE_FORBIDS, f"{case.kind} can only be closed, once")
    if not command.evidence.strip():
        return Refused(ErrorCode.EVIDENCE_MISSING)
    closed = replace(case, closed_at=snapshot.now, closed_by=command.key)
    return Accepted(cases=(closed,), events=(CaseClosed(closed, command.evidence, command.asked),))


def _resolve(snapshot: Snapshot, command: ResolveCase, instruction: Instruction) -> Decision:
    now, payment = snapshot.now, snapshot.payments[instruction.payment_id]
    evidence = Evidence(proof=Proof.PERSON, code=command.resolution, message=command.evidence)
    taken = replace(instruction, lease=instruction.lease + 1)
    match command.resolution:
        case Resolution.SUCCEEDED:
            steps: tuple[Step, ...] = (Step.RESOLVE_SUCCEEDED,)
        case Resolution.FAILED:
            steps = (Step.RESOLVE_FAILED,)
        case Resolution.REDIRECT | Resolution.CLOSED:
            # The next mark sends it; until then it stays with the operator.
            sequence = taken.sequence + 1
            taken = replace(taken, waiting=Waiting.REDIRECT, due_at=now, sequence=sequence)
            noted = InstructionNoted(Note.REDIRECTED, taken, evidence, command.asked)
            return Accepted(instructions=(taken,), events=(noted,))
    return walk(now, payment, taken, steps, evidence=evidence, asked=command.asked)
