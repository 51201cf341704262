"""The numbers by which the bank may know an instruction."""

from __future__ import annotations

from collections.abc import Iterator

from contraflow.domain.ids import number_for
from contraflow.domain.instruction import Instruction


def numbers_of(instruction: Instruction) -> Iterator[str]:
    """Of every generation so far, the first one first."""
    for generation in range(instruction.generation + 1):
        yield number_for(
            payment_id=instruction.payment_id,
            key=instruction.key,
            leg=instruction.leg,
            generation=generation,
        )
