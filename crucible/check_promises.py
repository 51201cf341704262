"""Was everything kept that somebody was told? Receipts, notices, ends, and the feed."""

from __future__ import annotations

from collections.abc import Iterator

from crucible.evidence import FINAL, Evidence, Export, Finding, Row

LOST = "lost"
DIFFERING = "replays_differing"
DOUBLE = "double_effects"


def check_promises(evidence: Evidence) -> Iterator[Finding]:
    yield from check_receipts(evidence)
    yield from check_what_was_left(evidence)
    yield from check_notices(evidence)
    yield from check_ends(evidence.export)
    yield from check_sequences(evidence.export)
    if evidence.feed is not None:
        yield from check_feed(evidence.export, evidence.feed)


def check_receipts(evidence: Evidence) -> Iterator[Finding]:
    """What was acknowledged is stored, and it was the same at every telling."""
    for key, told in evidence.told.receipts.items():
        stored = evidence.export.receipts.get(key)
        if stored is None:
            yield Finding(LOST, f"{key} was acknowledged, and is not stored: {told[0]!r}")
            continue
        for receipt in sorted({*told} - {stored}):
            yield Finding(DIFFERING, f"{key}: told {receipt!r}, stored {stored!r}")
    for key, codes in evidence.told.refusals.items():
        if "key_reused" in codes:
            yield Finding(DIFFERING, f"{key}: the same bytes were taken for another request")
        elif key in evidence.told.receipts:
            yield Finding(DIFFERING, f"{key}: acknowledged once, and refused once by {codes}")


def check_what_was_left(evidence: Evidence) -> Iterator[Finding]:
    """Where it was said that nothing is stored, nothing is: the wish may go by another key."""
    for key in sorted(evidence.told.left):
        stored = evidence.export.receipts.get(key)
        if stored is not None:
            text = f"{key}: it was said that nothing is stored, and there is {stored!r}"
            yield Finding(DOUBLE, text)


def check_notices(evidence: Evidence) -> Iterator[Finding]:
    """A notice that a door took is stored, and no forged one is."""
    stored = {
        name.rpartition("/")[2]
        for name, fact in evidence.export.facts.items()
        if fact["kind"] == "notice"
    }
    for event, line in evidence.book.tellings.items():
        if event in evidence.book.untaken:
            yield Finding(LOST, f"no door has taken the notice {line}")
        elif event not in stored:
            yield Finding(LOST, f"a door took a notice, and it is not stored: {line}")
    for line in evidence.book.forged:
        if line["status"] in (200, 202, 204) or line["event"] in stored:
            yield Finding("unbalanced", f"a forged notice was taken: {line}")
    for line in evidence.book.refused:
        yield Finding(LOST, f"a notice of the bank was called forged: {line}")


def check_ends(export: Export) -> Iterator[Finding]:
    """At rest everything that was accepted has ended, or a person knows of it."""
    with_person = {case["object_id"] for case in export.cases if case["closed_at"] is None}
    for name, row in export.instructions.items():
        is_known = row["state"] == "attention" or {name, row["payment_id"]} & with_person
        if row["state"] not in FINAL and not is_known:
            yield Finding(LOST, f"it has no end: {row}")


def check_sequences(export: Export) -> Iterator[Finding]:
    """Every object has its events, numbered without a gap up to its row."""
    latest: dict[str, int] = {}
    for event in export.events:
        name, sequence = event["object_id"], event["sequence"]
        if sequence != latest.get(name, 0) + 1:
            yield Finding(LOST, f"{name} has event {sequence} after {latest.get(name, 0)}")
        latest[name] = sequence
    for name, row in {**export.instructions, **export.payments}.items():
        if latest.get(name) != row["sequence"]:
            yield Finding(LOST, f"{latest.get(name)} events of {row}")


def check_feed(export: Export, feed: list[Row]) -> Iterator[Finding]:
    """Each event reached the sink, in one order; again only after it was reached."""
    given: dict[int, Row] = {}
    last = 0
    for line in feed:
        position = line["position"]
        if position not in given and position <= last:
            yield Finding(LOST, f"the feed goes back from {last} to {position}")
        if given.setdefault(position, line["event"]) != line["event"]:
            yield Finding(LOST, f"the feed has two events at {position}")
        last = max(last, position)
    bodies = {(body["id"], body["sequence"]): body for body in given.values()}
    if len(bodies) < len(given):
        yield Finding(LOST, "the feed has the same event at several positions")
    for event in export.events:
        told = bodies.get((event["object_id"], event["sequence"]))
        if told is None:
            yield Finding(LOST, f"the feed lacks {event}")
        elif told != event["body"]:
            yield Finding(LOST, f"the feed has {told}, stored is {event}")
