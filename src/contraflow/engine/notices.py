"""What channels send unasked: verified as it came, stored once, applied by its proof."""

from __future__ import annotations

from contraflow.domain.commands import RecordFact
from contraflow.domain.decision import Answer
from contraflow.engine.intake import submit
from contraflow.engine.parts import Parts
from contraflow.errors import SignatureInvalid
from contraflow.wire.exchange import Notice


async def receive_notice(parts: Parts, channel: str, notice: Notice) -> Answer:
    """Returns once it is committed, so the channel may be told that we have it; unless Refused.

    Raises SignatureInvalid, and then nothing was changed. Telling the same event again changes
    nothing either.
    """
    try:
        observation = parts.channels[channel].read_notice(notice)
    except SignatureInvalid:
        parts.counts["notices_forged"] += 1
        raise
    return await submit(parts.intake, RecordFact(channel=channel, observation=observation))
