"""What a channel is asked, and when it is asked again."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import msgspec

from contraflow.channels import Abilities, Action, Attempt
from contraflow.domain.instruction import Instruction, Kind, Labels
from contraflow.domain.payment import Payment
from contraflow.engine.limits import DAY_MS, RETRY_LATER_MS, RETRY_LATER_MS_MAX

ACTIONS: Mapping[Kind, Action] = {kind: Action(kind) for kind in Kind}
JITTER = 10  # Up to a tenth of the wait is added, so that a crowd comes apart.


def attempt_of(payment: Payment, instruction: Instruction, action: Action) -> Attempt:
    """Of one number every attempt has the same fields, and so the same bytes."""
    return Attempt(
        action=action,
        number=instruction.number,
        payment_id=payment.payment_id,
        payment_number=payment.pay_number,
        payment_reference=payment.reference,
        instrument=payment.instrument,
        amount=instruction.amount,
        reason=msgspec.json.decode(instruction.labels, type=Labels).reason,
    )


def again_at(abilities: Abilities, instruction: Instruction, now: int) -> int:
    """When to inquire next: the channel's schedule since the first attempt, then daily.

    The jitter follows from the instruction, so that nothing here is drawn by chance.
    """
    since = now if instruction.sent_at is None else instruction.sent_at
    later = (since + ms for ms in abilities.inquire_after_ms if since + ms > now)
    wait_ms = next(later, now + DAY_MS) - now
    return now + wait_ms + _jitter(instruction, wait_ms)


def retry_at(instruction: Instruction, now: int) -> int:
    """When to send again what was refused for now."""
    wait_ms = min(RETRY_LATER_MS << max(0, instruction.attempt - 1), RETRY_LATER_MS_MAX)
    return now + wait_ms + _jitter(instruction, wait_ms)


def _jitter(instruction: Instruction, wait_ms: int) -> int:
    seed = f"{instruction.number}/{instruction.lease}".encode()
    return zlib.crc32(seed) % (wait_ms // JITTER + 1)
