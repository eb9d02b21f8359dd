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
        self._counted: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        kinds = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
        self._metrics: Mapping[str, Counter | Gauge | Histogram] = {
            metric.name: kinds[metric.kind](
                metric.name, metric.help, metric.labels, namespace=service, registry=self.registry
            )
            for metric in declared
        }

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter. The sum reaches the registry when it is scraped: a record costs one dictionary entry.

        Raises:
            KeyError: the name is not declared.

        """
        key = (name, tuple(labels.items()))
        counted = self._counted.get(key)
        if counted is None:
            self._child(name, labels)
            counted = 0
        self._counted[key] = counted + amount

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge; see `count` for errors."""
        self._child(name, labels).set(value)  # type: ignore[union-attr]

    def observe(self, name: str, seconds: float) -> None:
        """Add one observation to a histogram; see `count` for errors."""
        self._metrics[name].observe(seconds)  # type: ignore[union-attr]

    def exposition(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        for (name, labels), amount in self._counted.items():
            self._child(name, dict(labels)).inc(amount)  # type: ignore[union-attr]
            self._counted[name, labels] = 0
        return generate_latest(self.registry)

    def _child(self, name: str, labels: Mapping[str, str]) -> Counter | Gauge | Histogram:
        metric = self._metrics[name]
        return metric.labels(**labels) if labels else metric
