"""What a process counts of its own door, in the form of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from contraflow.engine.parts import Parts

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(slots=True)
class Gauges:
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    answers: Counter = field(init=False)
    seconds: Histogram = field(init=False)

    def __post_init__(self) -> None:
        self.answers = Counter(
            "contraflow_answers",
            "Answers of the door, by operation and status.",
            ("operation", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "contraflow_answer_seconds",
            "From a whole head to the answer, the wait for an end included.",
            ("operation",),
            buckets=SECONDS,
            registry=self.registry,
        )

    def watch(self, parts: Parts) -> None:
        self.registry.register(EngineCollector(parts))


@dataclass(frozen=True, slots=True, eq=False)
class EngineCollector(Collector):
    """Read at the moment it is asked for."""

    parts: Parts

    def collect(self) -> Iterator[Metric]:
        intake = self.parts.intake
        waiting = GaugeMetricFamily(
            "contraflow_waiting", "Commands that wait for a batch.", labels=["queue"]
        )
        waiting.add_metric(["requests"], len(intake.requests))
        waiting.add_metric(["facts"], len(intake.first))
        yield waiting
        busy = GaugeMetricFamily("contraflow_calls", "Calls in flight.", labels=["channel"])
        for name, gate in self.parts.gates.items():
            busy.add_metric([name], len(gate.busy))
        yield busy
        troubles = CounterMetricFamily(
            "contraflow_troubles", "What went wrong outside of the rules.", labels=["kind"]
        )
        for kind, count in sorted(self.parts.counts.items()):
            troubles.add_metric([kind], count)
        yield troubles
