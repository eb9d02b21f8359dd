"""Metrics with a closed set of names: an undeclared name raises, so a dashboard never waits for a misspelt one."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metric(NamedTuple):
    """One declared metric; the unit ends the name (Prometheus convention)."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    labels: tuple[str, ...] = ()


KERNEL_METRICS: Sequence[Metric] = (
    Metric("counter", "records_consumed_total", "Records handled, repeats included.", ("topic",)),
    Metric("counter", "records_published_total", "Records the broker acknowledged."),
    Metric("counter", "records_redelivered_total", "Records read again below the next offset; skipped.", ("topic",)),
    Metric("counter", "dead_letters_total", "Records sent to a dead-letter topic.", ("topic", "reason")),
    Metric("counter", "deadlines_passed_total", "Deadlines of open records that passed."),
    Metric("counter", "commits_total", "Offset commits, by result.", ("result",)),
    Metric("counter", "rebalances_total", "Assignments of partitions to this member."),
    Metric("gauge", "window_open_records", "Open records of this member."),
    Metric("gauge", "consumer_lag_records", "Records between next offset and high-water mark.", ("topic",)),
    Metric("gauge", "partitions_paused", "Partitions paused because their window is full."),
    Metric("histogram", "batch_seconds", "Handling time of one batch, publishing included."),
)


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self, service: str, declared: Sequence[Metric]) -> None:
        self.registry = CollectorRegistry()
        kinds = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
        self._metrics: Mapping[str, Counter | Gauge | Histogram] = {
            metric.name: kinds[metric.kind](
                metric.name, metric.help, metric.labels, namespace=service, registry=self.registry
            )
            for metric in declared
        }

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter.

        Raises:
            KeyError: the name is not declared.

        """
        metric = self._metrics[name]
        (metric.labels(**labels) if labels else metric).inc(amount)  # type: ignore[union-attr]

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge; see `count` for errors."""
        metric = self._metrics[name]
        (metric.labels(**labels) if labels else metric).set(value)  # type: ignore[union-attr]

    def observe(self, name: str, seconds: float) -> None:
        """Add one observation to a histogram; see `count` for errors."""
        self._metrics[name].observe(seconds)  # type: ignore[union-attr]

    def exposition(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        return generate_latest(self.registry)
