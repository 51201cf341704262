"""How well and how fast: the success rates and delays, and what a monitoring system asks for."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from contraflow.api.desk import Desk
from contraflow.api.operation import Answer, Call, Operation
from contraflow.api.problem import Problem
from contraflow.api.queries import Moment, ms_of
from contraflow.engine.figures import Figures, figures_of
from contraflow.engine.metrics import measure
from contraflow.errors import DoorCode
from contraflow.requests.scopes import Scope
from contraflow.requests.words import Currency, OptionalName
from contraflow.store import Finished, Sent, Window

DAY_MS = 24 * 3_600_000


class FiguresQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    since: Moment | UnsetType = UNSET  # Else a day ago.
    until: Moment | UnsetType = UNSET  # Not included; else now.
    channel: OptionalName = ""
    currency: Currency | UnsetType = UNSET


async def measure_reversals(desk: Desk, call: Call) -> Answer:
    """Of the channels of the key's mode."""
    query: FiguresQuery = call.query
    owner = call.caller.owner
    if owner.merchant:
        raise Problem(403, DoorCode.FORBIDDEN, "the figures are of the whole tenant")
    now = desk.parts.store.now()
    until, since = ms_of(query.until), ms_of(query.since)
    until = now + 1 if until is None else max(0, until)
    since = max(0, until - DAY_MS if since is None else since)
    channels = owner.channels & {query.channel} if query.channel else owner.channels
    sent: list[Sent] = []
    finished: list[Finished] = []
    window = Window(
        since=since,
        until=until,
        channel=query.channel,
        currency=query.currency or "",
        tenant=call.tenant,
    )
    async with desk.measuring:
        for channel in sorted(channels):
            own = Window(
                since=since,
                until=until,
                channel=channel,
                currency=window.currency,
                tenant=call.tenant,
            )
            sent += await desk.views.sent(own)
            finished += await desk.views.finished(own)
    return Answer(200, figures_of(window, measure(sent, finished)))


async def expose(desk: Desk, _: Call) -> Answer:
    return Answer(200, generate_latest(desk.gauges.registry), media_type=CONTENT_TYPE_LATEST)


OPERATIONS = (
    Operation(
        name="get_reversal_metrics",
        method="GET",
        path="/v1/metrics/reversals",
        act=measure_reversals,
        about="How many cancels and refunds succeed (SR, RR), and how much longer that takes.",
        scope=Scope.METRICS_READ,
        query=FiguresQuery,
        answers={200: Figures},
    ),
    Operation(
        name="get_metrics",
        method="GET",
        path="/metrics",
        act=expose,
        about="What this process has done, for Prometheus.",
        scope=Scope.METRICS_READ,
        answers={200: str},
        gives=CONTENT_TYPE_LATEST,
    ),
)
