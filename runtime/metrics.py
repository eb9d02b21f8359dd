"""Metrics with a closed set of names: an undeclared name raises, so a dashboard never waits for a misspelt one."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest


class Metric(NamedTuple):
    """One declared metric; the unit ends the name (Prometheus convention)."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    labels: tuple[str, ...] = ()


TOPIC, PLACE = ("topic",), ("topic", "partition")
# From a record handled at once to one that waited for an outage to end.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
# Amounts by the values of a counter's labels, in their declared order.
Tally = defaultdict[tuple[str, ...], float]
# Services share these under one name; the scrape's job says whose they are.
SHARED_PREFIX = "paperless"
BUILD_INFO = Metric("gauge", "build_info", "Always 1; the labels say what runs.", ("service", "version"))
KERNEL_METRICS: Sequence[Metric] = (
    Metric("counter", "records_consumed_total", "Records handled, repeats included.", TOPIC),
    Metric("counter", "records_published_total", "Records the broker acknowledged."),
    Metric("counter", "records_redelivered_total", "Records read again below the next offset; skipped.", TOPIC),
    Metric("counter", "dead_letters_total", "Records sent to a dead-letter topic.", ("topic", "reason")),
    Metric("counter", "deadlines_passed_total", "Deadlines of open records that passed."),
    Metric("counter", "commits_total", "Offset commits, by result.", ("result",)),
    Metric("counter", "rebalances_total", "Assignments of partitions to this member."),
    Metric("gauge", "consumer_lag_records", "Records not handled yet, of a partition of this member.", PLACE),
    Metric("gauge", "window_open_records", "Open records of a partition.", ("partition",)),
    Metric("gauge", "window_oldest_seconds", "Age of a partition's oldest open record; 0: none.", ("partition",)),
    Metric("gauge", "partitions_assigned", "Partition numbers that this member owns."),
    Metric("gauge", "partitions_paused", "Partitions paused because their window is full."),
    Metric("gauge", "member_ready", "1 when /health says ready, else 0."),
    Metric("gauge", "publishing_failing", "1 while the broker does not take records, else 0."),
    Metric("histogram", "batch_seconds", "Handling time of one batch, publishing included."),
    Metric("histogram", "record_delay_seconds", "From a record's timestamp to its handling; the last of a run.", TOPIC),
)


def metric_name(metric: Metric, service: str) -> str:
    """Return a metric's full name."""
    return f"{SHARED_PREFIX if metric in {BUILD_INFO, *KERNEL_METRICS} else service}_{metric.name}"


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self, service: str, declared: Sequence[Metric]) -> None:
        self.registry = CollectorRegistry()
        self._labels = {metric.name: metric.labels for metric in declared}
        self._tallies: dict[str, Tally] = {}
        kinds: Any = {"counter": Counter, "gauge": Gauge, "histogram": partial(Histogram, buckets=BUCKETS)}
        self._metrics: Mapping[str, Counter | Gauge | Histogram] = {
            metric.name: kinds[metric.kind](
                metric_name(metric, service), metric.help, metric.labels, registry=self.registry
            )
            for metric in (BUILD_INFO, *declared)
        }
        ProcessCollector(registry=self.registry)
        self.gauge(BUILD_INFO.name, 1, service=service, version=version("paperless"))

    def tally(self, name: str) -> Tally:
        """Return a counter's amounts by label values, for what is counted per record: a dictionary entry each.

        They reach the registry when it is scraped. See `count` for errors.
        """
        self._metrics[name]
        return self._tallies.setdefault(name, defaultdict(float))

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter.

        Raises:
            KeyError: the name is not declared, or a label of it is missing.

        """
        tally = self.tally(name)
        tally[tuple([labels[label] for label in self._labels[name]])] += amount

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge; see `count` for errors."""
        self._child(name, labels).set(value)  # type: ignore[union-attr]

    def clear(self, *names: str) -> None:
        """Forget all values of gauges whose labels come and go; see `count` for errors."""
        for name in names:
            self._metrics[name].clear()

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add one observation to a histogram; see `count` for errors."""
        self._child(name, labels).observe(seconds)  # type: ignore[union-attr]

    def exposition(self, names: Collection[str] = ()) -> bytes:
        """Return the text that Prometheus scrapes; with `names`, that of these metrics only."""
        for name, tally in self._tallies.items():
            for values, amount in tally.items():
                self._child(name, dict(zip(self._labels[name], values, strict=True))).inc(amount)  # type: ignore[union-attr]
                tally[values] = 0
        return generate_latest(self.registry.restricted_registry(names) if names else self.registry)

    def _child(self, name: str, labels: Mapping[str, str]) -> Counter | Gauge | Histogram:
        metric = self._metrics[name]
        return metric.labels(**labels) if labels else metric
