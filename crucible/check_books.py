"""Does everything add up? Payments from their parts and from the bank, accounts from entries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from crucible.evidence import FINAL, Evidence, Export, Finding, Row

OVER = "over_refunds"
UNBALANCED = "unbalanced"
GIVES_BACK = frozenset(
    {"fail", "resolve_failed", "reject", "expire", "withdraw", "withdraw_confirmed"}
)


def check_books(evidence: Evidence) -> Iterator[Finding]:
    own = evidence.export.of_payments()
    truths = truths_of(evidence)
    for payment_id, payment in evidence.export.payments.items():
        parts = own.get(payment_id, [])
        yield from check_columns(payment, parts)
        if all(row["state"] in FINAL for row in parts):
            yield from check_truth(payment, truths[payment_id])
    yield from check_disputes(evidence)
    yield from check_admissions(evidence.export)
    yield from check_accounts(evidence.export)


# A payment.


def check_columns(payment: Row, parts: list[Row]) -> Iterator[Finding]:
    """What is on its way, and what is in doubt, is so for its instructions."""
    on_their_way = Counter[str]()
    for row in parts:
        if row["state"] not in FINAL:
            on_their_way[row["kind"]] += row["minor"]
    gone = payment["reserved"] + payment["refunded"] + payment["charged_back"]
    expected = {
        "reserved": on_their_way["refund"],
        "refunded": payment["refunded"],
        "capture_in_flight": on_their_way["capture"],
        "unknown": sum(row["state"] == "unknown" for row in parts),
        "closing": sum(row["kind"] == "close" and row["state"] not in FINAL for row in parts),
        "excess": max(0, gone - payment["captured"]),
    }
    for name, minor in expected.items():
        if payment[name] != minor:
            yield Finding(UNBALANCED, f"{name} should be {minor}: {payment}")
    used = sum(
        payment[name] for name in ("captured", "capture_in_flight", "voided", "void_in_flight")
    )
    if used > payment["authorized"]:
        yield Finding(UNBALANCED, f"{used} of what is authorised is used: {payment}")
    if any(row["currency"] != payment["currency"] for row in parts):
        yield Finding(UNBALANCED, f"instructions in another currency: {payment}")


def truths_of(evidence: Evidence) -> defaultdict[str, Counter[str]]:
    """What happened to each payment outside, by the bank's book and by who recorded it."""
    truths: defaultdict[str, Counter[str]] = defaultdict(Counter)
    payments = evidence.export.payments
    for order in evidence.book.orders.values():
        kind, payment_id = order.ask.action, order.ask.payment
        payment = payments.get(payment_id)
        if kind == "pay" and payment is not None and payment["capturing"] == "automatic":
            kind = "capture"
        truths[payment_id][kind] += order.ask.minor * order.times
    for line in evidence.book.tellings.values():
        if line["type"] == "payment.captured":
            truths[line["payment"]]["capture"] += line["minor"]
    for event in evidence.export.events:
        if event["body"].get("step") == "record" and event["object_id"] in payments:
            truths[event["object_id"]]["capture"] += event["body"].get("minor") or 0
    for payment_id, minor in disputed(evidence).items():
        truths[payment_id]["chargeback"] += minor
    return truths


def check_truth(payment: Row, truth: Counter[str]) -> Iterator[Finding]:
    for name, kind in (
        ("captured", "capture"),
        ("refunded", "refund"),
        ("charged_back", "chargeback"),
    ):
        if payment[name] != truth[kind]:
            text = f"{name} should be {truth[kind]} by the bank's book: {payment}"
            yield Finding(UNBALANCED, text)
    gone = truth["refund"] + truth["chargeback"]
    if gone > truth["capture"] + payment["excess"]:
        yield Finding(OVER, f"{gone} have left, {truth['capture']} had come: {payment}")


# Facts.


def disputed(evidence: Evidence) -> Counter[str]:
    """What is charged back in the end, by payment."""
    minor = Counter[str]()
    for line in evidence.book.tellings.values():
        sign = {"chargeback.opened": 1, "chargeback.won": -1}.get(line["type"], 0)
        minor[line["payment"]] += sign * line["minor"]
    return minor


def check_disputes(evidence: Evidence) -> Iterator[Finding]:
    """What is booked was told by the bank, and nothing else was."""
    told: dict[tuple[str, str], set[str]] = {}
    for event, line in evidence.book.tellings.items():
        subject, _, name = event.partition(".")
        if subject == "chargeback":
            state, _, reference = name.partition("_")
            told.setdefault((line["payment"], f"chargeback_{reference}"), set()).add(state)
    booked = {
        (fact["payment_id"], name.rpartition("/")[2]): fact["state"]
        for name, fact in evidence.export.facts.items()
        if fact["kind"] == "chargeback"
    }
    for case in sorted({*told, *booked}):
        ended = told.get(case, set()) - {"opened"}
        state = ended.pop() if ended else "opened"
        if booked.get(case) != state:
            text = f"the bank told {told.get(case)} of {case}, booked is {booked.get(case)}"
            yield Finding(UNBALANCED, text)
    for name, fact in evidence.export.facts.items():
        if fact["kind"] == "refund_elsewhere":
            yield Finding(UNBALANCED, f"the bank never told {name}: {fact}")


# Requests.


def check_admissions(export: Export) -> Iterator[Finding]:
    """In the order of the events: no refund was accepted beyond what was there at that time."""
    captured, gone = Counter[str](), Counter[str]()
    for event in export.events:
        body = event["body"]
        payment, step, minor = body.get("payment", ""), body.get("step", ""), body.get("minor") or 0
        if body.get("kind") == "refund":
            if step in ("request", "hold"):
                gone[payment] += minor
                if gone[payment] > captured[payment]:
                    text = f"{gone[payment]} of {captured[payment]} after {event}"
                    yield Finding(OVER, text)
            elif step in GIVES_BACK or step == "bounce":
                gone[payment] -= minor
            elif step == "effect":
                gone[payment] += minor
        elif event["object_id"] == payment and step in ("record", "capture"):
            captured[payment] += minor
        elif event["object_id"] == payment and not step:
            gone[payment] += minor  # A fact took it, or gave it back.


# Accounts.


def check_accounts(export: Export) -> Iterator[Finding]:
    sums = Counter[tuple[str, str]]()
    for entry in export.entries:
        sums[entry["debit"], entry["currency"]] += entry["minor"]
        sums[entry["credit"], entry["currency"]] -= entry["minor"]
    balances = Counter[tuple[str, str]]()
    for row in export.balances:
        balances[row["account"], row["currency"]] += row["balance"]
    owed = owed_by(export)
    for account in sorted({*sums, *balances, *owed}):
        found = {sums[account], balances[account], owed[account]}
        if len(found) > 1:
            text = (
                f"{account}: its entries sum to {sums[account]}, its balance is"
                f" {balances[account]}, by its payments it should be {owed[account]}"
            )
            yield Finding(UNBALANCED, text)


def owed_by(export: Export) -> Counter[tuple[str, str]]:
    """What every account should be, from the payments alone."""
    owed = Counter[tuple[str, str]]()
    for payment in export.payments.values():
        tenant = payment["payment_id"].partition("/")[0]
        place, currency = f"{tenant}/{payment['channel']}", payment["currency"]
        left = payment["refunded"] + payment["charged_back"]
        shares = {
            "refunds.in_flight": -payment["reserved"],
            "loss.over_reversal": payment["excess"],
            "channel.receivable": payment["captured"] - left,
        }
        for account, minor in shares.items():
            owed[f"{place}/{account}", currency] += minor
            owed[f"{place}/merchant.payable", currency] -= minor
    return owed
