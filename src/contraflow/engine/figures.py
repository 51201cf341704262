"""The metrics as they are shown: each figure beside the counts that it was made of."""

from __future__ import annotations

from msgspec import Struct

from contraflow.engine.metrics import Delay, Metrics, Rate, Stages, shown
from contraflow.engine.views import time_text
from contraflow.store import Window


class WindowFigure(Struct, frozen=True, kw_only=True):
    since: str
    until: str
    channel: str | None
    currency: str | None


class RateFigure(Struct, frozen=True, kw_only=True):
    value: float | None  # None where nothing was sent.
    succeeded: int
    sent: int
    open: int


class DelayFigure(Struct, frozen=True, kw_only=True):
    value: float | None
    succeeded: int
    succeeded_mean_ms: float | None
    final: int
    final_mean_ms: float | None
    open: int


class Figures(Struct, frozen=True, kw_only=True):
    """SR, RR: how many cancels and refunds succeed. DL, RL: how much longer that takes."""

    window: WindowFigure
    SR: RateFigure
    RR: RateFigure
    DL: DelayFigure
    RL: DelayFigure
    cancel_command_success_rate: RateFigure
    stages_ms: dict[str, Stages]


def figures_of(window: Window, measured: Metrics) -> Figures:
    return Figures(
        window=WindowFigure(
            since=time_text(window.since),
            until=time_text(window.until),
            channel=window.channel or None,
            currency=window.currency or None,
        ),
        SR=_rate(measured.cancel_success),
        RR=_rate(measured.refund_success),
        DL=_delay(measured.cancel_delay, measured.cancel_command_success),
        RL=_delay(measured.refund_delay, measured.refund_success),
        cancel_command_success_rate=_rate(measured.cancel_command_success),
        stages_ms=measured.stages,
    )


def _rate(rate: Rate) -> RateFigure:
    return RateFigure(
        value=shown(rate.value), succeeded=rate.succeeded, sent=rate.sent, open=rate.open
    )


def _delay(delay: Delay, rate: Rate) -> DelayFigure:
    return DelayFigure(
        value=shown(delay.value),
        succeeded=delay.succeeded,
        succeeded_mean_ms=shown(delay.succeeded_mean),
        final=delay.final,
        final_mean_ms=shown(delay.final_mean),
        open=rate.open,
    )
