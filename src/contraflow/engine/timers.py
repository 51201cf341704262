"""What falls due unasked: payments that expire, parked facts that are tried again."""

from __future__ import annotations

from contraflow.domain.cases import PARKED_RETRY_MS
from contraflow.domain.commands import ExpirePayment, RetryParked
from contraflow.engine.intake import submit
from contraflow.engine.limits import TIMERS_MAX
from contraflow.engine.parts import Parts


async def expire_due(parts: Parts) -> None:
    for payment in await parts.store.due_payments(parts.channels, TIMERS_MAX):
        await submit(parts.intake, ExpirePayment(payment_id=payment.payment_id))


async def retry_parked_due(parts: Parts) -> None:
    for parked in await parts.store.due_parked(parts.channels, TIMERS_MAX):
        again_at = parts.store.now() + PARKED_RETRY_MS
        command = RetryParked(
            channel=parked.channel, observation=parked.observation, again_at=again_at
        )
        await submit(parts.intake, command)
