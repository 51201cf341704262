"""What clients wish for: payments that everybody knows, and ways to undo them that collide."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from crucible.letters import CARD, RAIL

CHANNELS = {"card": CARD, "rail": RAIL}
HOT = 300  # Payments that are worked on at one time.
WISHES_PER_PAYMENT = 12
INSTRUMENT = "tok"
TRIES = 4  # Until a payment fits a wish.

FRESH = 20  # The newest of them are left alone, until whoever records them has done so.

KINDS = {"refund": 50, "cancel": 10, "capture": 10, "reverse": 8, "withdraw": 16, "create": 6}
BIRTHS = {
    ("record", "card", False): 44,  # Captured elsewhere.
    ("record", "rail", False): 14,
    ("record", "card", True): 12,  # Authorised elsewhere.
    ("record", "rail", True): 4,
    ("pay", "card", False): 14,
    ("pay", "card", True): 6,  # Captured by hand.
    ("pay", "rail", False): 6,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """One business wish. It may be asked for under several keys, and must come true once."""

    name: str
    is_shared: bool  # Every client asks for it under the same key.
    fields: dict[str, Any]


def payment_name(number: int) -> str:
    return f"p{number}"


@dataclass(frozen=True, slots=True)
class Shop:
    """All payments that there can be: the same for every client."""

    seed: int
    rail_factor: float = 1.0  # Of the usual share of payments by rail.

    def birth(self, number: int) -> Wish:
        """How a payment comes into the world."""
        chance = random.Random(f"{self.seed}/payment/{number}")
        weights = [
            weight * (self.rail_factor if channel == "rail" else 1.0)
            for (_, channel, _), weight in BIRTHS.items()
        ]
        [(do, channel, is_manual)] = chance.choices(list(BIRTHS), weights)
        fields = {
            "do": do,
            "payment": payment_name(number),
            "amount": chance.randint(4_000, 12_000),
            "currency": chance.choice(("EUR", "USD", "CNY")),
            "channel": channel,
            "instrument": INSTRUMENT,
        }
        if is_manual:
            fields["manual" if do == "pay" else "authorized_only"] = True
        return Wish(f"create-{number}", is_shared=True, fields=fields)


@dataclass(slots=True)
class Dreamer:
    """What one client process wishes for next, and what it has learned."""

    shop: Shop
    index: int  # Of the client process, from 0.
    clients: int
    chance: random.Random
    made: int = 0
    recorded: int = 0  # Payments up to here were recorded, if they are ours to record.
    known: deque[str] = field(default_factory=lambda: deque(maxlen=200))  # Reversals, the latest.

    def next_wish(self) -> Wish:
        """The window of hot payments moves on at about the same pace in every process."""
        first = self.made * self.clients // WISHES_PER_PAYMENT
        while self.recorded < first + HOT:
            self.recorded += 1
            if self.recorded % self.clients == self.index:
                return self.shop.birth(self.recorded)
        self.made += 1
        [kind] = self.chance.choices(list(KINDS), list(KINDS.values()))
        number = self._payment_for(kind, first)
        match kind:
            case "create":
                return self.shop.birth(number)
            case "withdraw" if not self.known:
                return self.shop.birth(number)
            case "withdraw":
                fields = {"do": kind, "reversal": self._recent_reversal()}
            case _:
                fields = self._undoing(kind, number)
        return Wish(f"c{self.index}-{self.made}", is_shared=False, fields=fields)

    def learn(self, receipt: dict[str, Any]) -> None:
        """Names at a door are without their tenant."""
        self.known.extend(leg["id"].partition("/")[2] for leg in receipt.get("legs", ()))

    def _payment_for(self, kind: str, first: int) -> int:
        """A cancel and a capture are mostly for payments that were not captured from the start."""
        for _ in range(TRIES):
            number = first + self.chance.randrange(1, HOT - FRESH)
            fields = self.shop.birth(number).fields
            is_captured = fields["do"] == "record" and "authorized_only" not in fields
            if kind not in ("cancel", "capture") or not is_captured:
                break
        return number

    def _recent_reversal(self) -> str:
        ago = int(self.chance.expovariate(0.3))
        return self.known[-1 - ago % len(self.known)]

    def _undoing(self, kind: str, number: int) -> dict[str, Any]:
        fields: dict[str, Any] = {"do": kind, "payment": payment_name(number)}
        if kind == "refund" or (kind in ("capture", "reverse") and self.chance.random() < 0.6):
            created = self.shop.birth(number).fields
            share = self.chance.choice((0.05, 0.1, 0.2, 0.35, 0.6, 1.0))
            fields["amount"] = max(1, int(created["amount"] * share))
            fields["currency"] = created["currency"]
        if self.chance.random() < 0.2:
            fields["prefer"] = self.chance.choice(("wait=1", "respond-async"))
        return fields
