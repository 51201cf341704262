"""What was booked because it happened; kept by its own id, so that telling it twice books once."""

from __future__ import annotations

from msgspec import Struct

from contraflow.domain.word import Word


class FactKind(Word):
    CAPTURE = "capture"
    CHARGEBACK = "chargeback"
    REFUND_ELSEWHERE = "refund_elsewhere"
    NOTICE = "notice"  # A notice that was applied; the others have their own ids.


class FactState(Word):
    BOOKED = "booked"
    OPENED = "opened"  # A dispute; then won or lost.
    WON = "won"
    LOST = "lost"


class BookedFact(Struct, frozen=True, gc=False):
    fact_id: str  # `payment_id/kind/the channel's id`, or `notice/channel/event id`.
    kind: FactKind
    payment_id: str
    minor: int
    currency: str
    state: FactState
    booked_at: int


def fact_id_for(payment_id: str, kind: FactKind, name: str) -> str:
    return f"{payment_id}/{kind}/{name}"


def notice_id_for(*, channel: str, event_id: str) -> str:
    return f"{FactKind.NOTICE}/{channel}/{event_id}"
