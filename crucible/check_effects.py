"""What the bank really did, against what was asked of it and what the ledger says it did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from crucible.book import Order
from crucible.evidence import Evidence, Finding, Row, unqualified

DOUBLE = "double_effects"
NOT_DONE = frozenset({"failed", "withdrawn"})
DONE = frozenset({"succeeded", "bounced"})


def check_effects(evidence: Evidence) -> Iterator[Finding]:
    owners = owners_of_numbers(evidence)
    for number, order in evidence.book.orders.items():
        yield from check_order(number, order, owners.get(number))
    yield from check_successes(evidence)
    yield from check_wishes(evidence, owners)
    yield from check_second_thoughts(evidence)


def owners_of_numbers(evidence: Evidence) -> dict[str, Row]:
    """Instructions by every number that they ever had."""
    instructions = evidence.export.instructions
    owners = {row["number"]: row for row in instructions.values()}
    for event in evidence.export.events:
        number = event["body"].get("number")
        if number and event["object_id"] in instructions:
            owners.setdefault(number, instructions[event["object_id"]])
    return owners


def check_order(number: str, order: Order, owner: Row | None) -> Iterator[Finding]:
    if not order.times:
        return
    if order.times > 1:
        yield Finding(DOUBLE, f"the bank did {order.times} times {order}; here: {owner}")
    if owner is None:
        yield Finding(DOUBLE, f"nobody had asked for {number}: {order}")
        return
    asked = (owner["payment_id"], owner["kind"], owner["minor"], owner["currency"])
    ask = order.ask
    if asked != (ask.payment, ask.action, ask.minor, ask.currency):
        yield Finding(DOUBLE, f"asked for was {owner}, done was {order}")
    if owner["state"] in NOT_DONE:
        yield Finding(DOUBLE, f"the bank did what we call {owner['state']}: {order}, {owner}")


def check_successes(evidence: Evidence) -> Iterator[Finding]:
    """Each carries its effect."""
    for row in evidence.export.instructions.values():
        order = evidence.book.orders.get(row["number"])
        if row["state"] in DONE and (order is None or not order.times):
            yield Finding(DOUBLE, f"the bank never did {row}: {order}")


def check_wishes(evidence: Evidence, owners: dict[str, Row]) -> Iterator[Finding]:
    """One wish came true under one key only, however often it was asked for."""
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for number, order in evidence.book.orders.items():
        owner = owners.get(number)
        if owner is not None and order.times:
            key = unqualified(owner["key"])
            if not key.startswith("policy:"):
                keys[wish_of(key)].add(key)
    for wish, done in keys.items():
        if len(done) > 1:
            yield Finding(DOUBLE, f"one wish, {wish}, came true under {sorted(done)}")


def check_second_thoughts(evidence: Evidence) -> Iterator[Finding]:
    """Nothing was called failed or withdrawn, and then the bank did it after all."""
    for event in evidence.export.events:
        if event["body"].get("step") == "effect":
            yield Finding(DOUBLE, f"it was over, and then it was done: {event}")


def wish_of(key: str) -> str:
    """`c0-17-1` is the second key of the wish `c0-17`; `create-5` has no other key."""
    return key if key.startswith("create-") else key.rpartition("-")[0]
