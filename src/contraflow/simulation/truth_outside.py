"""What happened outside of all requests, and whether it is in our books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from contraflow.domain.facts import FactKind, FactState, fact_id_for
from contraflow.errors import InvariantBroken
from contraflow.outside.bank_words import NAMES
from contraflow.simulation.world import World
from contraflow.store import Contents

KINDS: Mapping[str, FactKind] = MappingProxyType(
    {
        "payment.captured": FactKind.CAPTURE,
        "refund.elsewhere": FactKind.REFUND_ELSEWHERE,
        "chargeback.opened": FactKind.CHARGEBACK,
        "chargeback.won": FactKind.CHARGEBACK,
        "chargeback.lost": FactKind.CHARGEBACK,
    }
)
BANK_NAMES = tuple(f"{name}_" for name in NAMES.values())


def check_outside(world: World, contents: Contents) -> None:
    """I28: what the bank has told is booked, once, in whatever order it came."""
    happened: dict[tuple[str, FactKind, str], int] = {}
    for telling in sorted(world.bank.facts().values(), key=lambda telling: telling.at):
        minor = 0 if telling.type == "chargeback.won" else telling.minor
        happened[telling.payment, KINDS[telling.type], telling.id] = minor
    left: Counter[tuple[str, FactKind]] = Counter()
    for (payment_id, kind, _), minor in happened.items():
        left[payment_id, kind] += minor
    for fact in contents.facts.values():
        name = fact.fact_id.removeprefix(f"{fact.payment_id}/{fact.kind}/")
        if name.startswith(BANK_NAMES) and fact.state is not FactState.WON:
            left[fact.payment_id, fact.kind] -= fact.minor
    if any(left.values()):
        raise InvariantBroken("I28", f"the bank's facts less ours: {left}")
    parked = {case.object_id for case in contents.cases.values() if case.closed_at is None}
    for dispute in world.clients.disputes:
        fact_id = fact_id_for(dispute.payment_id, FactKind.CHARGEBACK, dispute.case_id)
        if fact_id not in contents.facts and dispute.payment_id not in parked:
            raise InvariantBroken("I28", f"neither booked nor parked: {dispute}")
