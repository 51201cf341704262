"""The metrics of the mission, over any window, channel and currency."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated

import typer
from msgspec.structs import asdict

from contraflow import wiring
from contraflow.cli import paper
from contraflow.cli import parameters as p
from contraflow.cli.place import look, place_of
from contraflow.domain.money import exponent_of
from contraflow.engine.figures import figures_of
from contraflow.engine.metrics import Metrics, Stages, measure, shown
from contraflow.engine.views import time_text
from contraflow.requests import fields
from contraflow.store import Views, Window

Since = Annotated[str, typer.Option(metavar="TIME", help="2026-11-24T08:00:00Z, or 24h: ago.")]
Until = Annotated[str, typer.Option(metavar="TIME", help="Not included; else now.")]
OneChannel = Annotated[str, typer.Option(help="Only of this channel.")]
OneCurrency = Annotated[str, typer.Option(help="Only of this currency.")]
BEGINNING = "1970-01-01T00:00:00Z"


def metrics(
    *,
    since: Since = BEGINNING,
    until: Until = "",
    channel: OneChannel = "",
    currency: OneCurrency = "",
    db: p.Database = None,
    settings: p.SettingsFile = None,
    tenant: p.Tenant = None,
    as_json: p.AsJson = False,
) -> None:
    """SR, RR, DL and RL: how many cancels and refunds succeed, and how much longer that takes."""
    place = place_of(db=db, settings_file=settings, tenant=tenant, as_json=as_json)
    now = wiring.now_ms()
    if currency and exponent_of(currency) is None:
        raise fields.FieldInvalid("currency", "not a currency of ISO 4217")
    window = Window(
        since=fields.moment("since", since, now=now),
        until=fields.moment("until", until, now=now) if until else now + 1,
        channel=fields.optional_name("channel", channel),
        currency=currency,
        tenant=place.tenant,
    )
    if window.until <= window.since:
        raise fields.FieldInvalid("until", "not after --since")
    with paper.progress("reading", total=None, is_quiet=as_json):
        measured = look(place, lambda views: measured_in(views, window))
    if as_json:
        paper.print_json(figures_of(window, measured))
    else:
        print_metrics(window, measured)


async def measured_in(views: Views, window: Window) -> Metrics:
    return measure(await views.sent(window), await views.finished(window))


def print_metrics(window: Window, measured: Metrics) -> None:
    paper.print_line(f"from {time_text(window.since)} until {time_text(window.until)}")
    rates = (
        ("SR  cancelled payment commands", measured.cancel_success),
        ("RR  successful refunds", measured.refund_success),
        ("    successful cancel commands", measured.cancel_command_success),
    )
    rows = [(says, figure(r.value), r.succeeded, r.sent, r.open) for says, r in rates]
    paper.print_table("success", ("rate", "value", "succeeded", "sent", "open"), rows)
    delays = (("DL  cancels", measured.cancel_delay), ("RL  refunds", measured.refund_delay))
    rows_of_delays = [
        (
            *(says, figure(d.value), d.succeeded, figure(d.succeeded_mean)),
            *(d.final, figure(d.final_mean)),
        )
        for says, d in delays
    ]
    heads = ("delay", "value", "succeeded", "their mean ms", "final", "their mean ms")
    paper.print_table("delay", heads, rows_of_delays)
    print_stages(measured.stages)


def figure(value: Fraction | None) -> str:
    return "-" if value is None else f"{shown(value):g}"


def print_stages(stages: Mapping[str, Stages]) -> None:
    rows = [
        (group, stage.replace("_", " "), spread.count, spread.p50, spread.p95, spread.p99)
        for group, of in stages.items()
        for stage, spread in asdict(of).items()
        if spread.count
    ]
    heads = ("of", "stage", "count", "p50 ms", "p95 ms", "p99 ms")
    paper.print_table("stages of what is final", heads, rows)
