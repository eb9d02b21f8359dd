"""What a consumer works with: made once per process, handed around as one value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runtime.broker import RestartableProducer, open_producer
from runtime.clock import Clock, SystemClock
from runtime.metrics import Metric, Metrics
from runtime.publisher import Publisher
from runtime.settings import ServiceSettings
from runtime.tracing import Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessResources:
    """Settings, time, metrics, traces and the way out of one process; `on_fatal` asks the process to stop."""

    settings: ServiceSettings
    clock: Clock
    metrics: Metrics
    publisher: Publisher
    producer: RestartableProducer = field(default_factory=RestartableProducer)
    tracing: Tracing = field(default_factory=Tracing)
    on_fatal: Callable[[], None] = lambda: None

    @staticmethod
    def of(
        service: str,
        settings: ServiceSettings,
        metrics: Sequence[Metric],
        on_fatal: Callable[[], None],
        clock: Clock | None = None,
        *,
        tracing: Tracing | None = None,
    ) -> "ProcessResources":
        """Make the resources of a service; nothing connects before its app starts."""
        producer = RestartableProducer(
            lambda: open_producer(settings, client_id=settings.client_id, idempotent=settings.idempotent_producer)
        )
        declared = Metrics(service, metrics)
        return ProcessResources(
            settings=settings,
            clock=clock or SystemClock(),
            metrics=declared,
            publisher=Publisher(producer, producer.renew, declared.tally("records_published_total")),
            producer=producer,
            tracing=tracing or Tracing(),
            on_fatal=on_fatal,
        )
