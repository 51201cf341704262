"""People who decide what the engine cannot, by what they see in the bank's own book."""

from __future__ import annotations

from contraflow.domain.commands import Resolution, ResolveCase
from contraflow.domain.instruction import Instruction, numbers_of
from contraflow.simulation.surroundings import Surroundings
from contraflow.wire import canonical

LOOKS = 0.6  # How many of the cases somebody looks at.
HURRIES = 0.2  # How often somebody does not wait until the truth is known.
THINKS_MS_MAX = 600_000


def resolution_of(world: Surroundings, instruction: Instruction) -> ResolveCase | None:
    """By the truth, which a person finds out by telephone; None while it is not settled yet."""
    if not world.is_liar and world.prng.random() < HURRIES:
        # Without a look at the bank: the engine must see to it that this cannot act twice.
        return command_for(instruction, Resolution.REDIRECT, "somebody is in a hurry")
    orders = world.bank.orders()
    own = [orders[number] for number in numbers_of(instruction) if number in orders]
    if world.travelling or world.bank.next_due() is not None:
        return None
    is_done = any(order.times for order in own)
    resolution = Resolution.SUCCEEDED if is_done else Resolution.FAILED
    if not is_done and world.prng.random() < 0.5:
        resolution = Resolution.REDIRECT
    evidence = f"the bank says: {len(own)} orders, done: {is_done}"
    return command_for(instruction, resolution, evidence)


def command_for(instruction: Instruction, resolution: Resolution, evidence: str) -> ResolveCase:
    key = f"{instruction.instruction_id}-{instruction.sequence}"
    return ResolveCase(
        key=key,
        fingerprint=canonical.fingerprint({"resolve": key, "as": resolution}),
        object_id=instruction.instruction_id,
        resolution=resolution,
        evidence=evidence,
    )
