"""How the bank behaves towards each number: drawn from the seed, so that it can be told again."""

from __future__ import annotations

import random
from dataclasses import dataclass

OK = "ok"
REPLY_LOST = "reply_lost"  # It acts; the connection closes without a reply.
REQUEST_LOST = "request_lost"  # The connection closes, and nothing happens.
LANDS_LATE = "lands_late"  # The connection closes; it acts a little later.
PENDING = "pending"  # It says "pending", acts later, and then sends a notice.
DECLINED = "declined"  # It refuses for good.
UNAVAILABLE = "unavailable"  # An unsigned 503, and nothing happens.
SLOW = "slow"  # It acts at once, and answers late.
CAPTURED_FIRST = "captured_first"  # A void is refused, because the capture came first.

WEIGHTS = {
    OK: 50,
    REPLY_LOST: 9,
    REQUEST_LOST: 8,
    LANDS_LATE: 9,
    PENDING: 9,
    DECLINED: 4,
    UNAVAILABLE: 5,
    SLOW: 6,
}
CAPTURED_FIRST_SHARE = 0.08  # Of the voids.
LANDS_LATE_MS = (30, 600)
ACTS_LATER_MS = (100, 900)
ANSWERS_LATE_MS = (50, 1_500)


@dataclass(frozen=True, slots=True)
class Conduct:
    """What becomes of the first submission of a number, and what follows from its effect."""

    way: str
    later_ms: int = 0  # Until it lands, acts or is answered, as its way says.
    is_told: bool = False  # A notice follows the effect even if nobody waits for one.
    disputed: int = 0  # So much is charged back afterwards; 0 for nothing.
    dispute_after_ms: int = 0
    dispute_ends: str = ""  # won or lost.
    dispute_lasts_ms: int = 0


HONEST = Conduct(OK)


def draw(seed: int, number: str, action: str, minor: int) -> Conduct:
    chance = random.Random(f"{seed}/{number}")
    [way] = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
    if action == "void" and chance.random() < CAPTURED_FIRST_SHARE:
        way = CAPTURED_FIRST
    later_ms = {LANDS_LATE: LANDS_LATE_MS, PENDING: ACTS_LATER_MS, SLOW: ANSWERS_LATE_MS}
    is_disputed = action in ("pay", "capture", "refund") and chance.random() < 0.03
    return Conduct(
        way=way,
        later_ms=chance.randint(*later_ms.get(way, (0, 0))),
        is_told=way == PENDING or chance.random() < 0.15,
        disputed=chance.randint(1, minor) if is_disputed and minor > 0 else 0,
        dispute_after_ms=chance.randint(100, 2_000),
        dispute_ends=chance.choice(("won", "lost")),
        dispute_lasts_ms=chance.randint(0, 3_000),
    )
