"""The whole flow on fakes, each service with the spans it records: driver, intake, mock and the writer of the store."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from contracts.topics import (
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    CORRECTIONS_REQUESTED,
    DOCUMENTS_PROVIDED,
    DOCUMENTS_REQUESTED,
)
from runtime.consumer import PartitionConsumer
from runtime.metrics import Metrics
from runtime.partition_state import PendingOptions
from runtime.processor import StreamProcessor
from runtime.publisher import Publisher
from runtime.resources import ProcessResources
from runtime.settings import ServiceSettings
from runtime.tracing import Tracing
from runtime.tracing.recording import Recording
from services.intake.app import METRICS as INTAKE_METRICS
from services.intake.handlers import IntakeHandlers
from services.scoring.app import METRICS as SCORING_METRICS
from services.scoring.handlers import StoreWriter
from services.scoring.store.store import Store
from services.vneid_mock.app import METRICS as MOCK_METRICS
from services.vneid_mock.control import PlanState
from services.vneid_mock.faults import FaultPlan
from services.vneid_mock.handlers import VneidHandlers
from tests.support.fakes_runtime import FakeConsumer, FakeProducer, ManualClock, MemoryLog, polled
from tests.support.filings import Submitted, book, registry

SUBMITTED, REQUESTED = APPLICATIONS_SUBMITTED.name, DOCUMENTS_REQUESTED.name
PROVIDED, DECIDED = DOCUMENTS_PROVIDED.name, APPLICATIONS_DECIDED.name
CORRECTED = CORRECTIONS_REQUESTED.name
PATIENCE_S = 4.0


class Member:
    """One service on the log; `restart` loses all but the commit."""

    def __init__(self, flow: "TracedFlow", topics: Iterable[str], make: Any, metrics: Any, tracing: Tracing) -> None:
        self.flow, self.topics, self._make, self._metrics, self._tracing = flow, list(topics), make, metrics, tracing
        self.consumer = FakeConsumer(flow.clock)
        self.runner: PartitionConsumer

    async def start(self) -> None:
        resources = ProcessResources(
            settings=ServiceSettings(),
            publisher=Publisher(lambda: FakeProducer(self.flow.log)),
            clock=self.flow.clock,
            metrics=Metrics("bench", self._metrics),
            tracing=self._tracing,
        )
        self.runner = self._make(resources)
        self.runner._subscriber = SimpleNamespace(consumer=self.consumer)
        partitions = {TopicPartition(topic, 0) for topic in self.topics}
        self.consumer.assign(partitions)
        await self.runner.on_partitions_assigned(partitions)

    async def read(self) -> None:
        """Handle all that is in the log, topic by topic."""
        for topic in self.topics:
            start = self.runner.partitions[0].next_offsets[topic]
            records = self.flow.log.read(topic, 0, start, 1_000)
            if records:
                await self.runner._on_batch(polled(records))
                await self.runner.publisher.flush()
            assert self.runner.fatal is None, self.runner.fatal

    async def tick(self) -> None:
        """Fetch to the end twice, and let pass what is due."""
        for _ in range(3):
            self.flow.clock.advance(0.1)
            for topic in self.topics:
                self.consumer.fetched(topic, 0, self.flow.log.end(topic, 0))
            async with self.runner._lock:
                await self.runner._tick()
                await self.runner.publisher.flush()

    async def restart(self) -> None:
        async with self.runner._lock:
            await self.runner._commit()
        await self.start()


class TracedFlow:
    """One partition of everything; `untraced` names services that do not know of traces."""

    def __init__(self, url: str, plan: FaultPlan, *, untraced: Iterable[str] = ()) -> None:
        self.log, self.clock, self.exporter = MemoryLog(), ManualClock(), InMemorySpanExporter()
        self._untraced = set(untraced)
        self.store = Store(url)
        self.driver = self._tracing("driver")
        self.publisher = Publisher(lambda: FakeProducer(self.log))
        asks = IntakeHandlers(book(), key=b"a signing key", partitions=1, patience_s=PATIENCE_S)
        knows = VneidHandlers(registry(), PlanState(plan, 7), partitions=1)
        patience = PendingOptions(opens=SUBMITTED, answered_on=PROVIDED)
        self.intake = Member(
            self,
            (SUBMITTED, PROVIDED),
            lambda resources: _kernel(asks, resources, (SUBMITTED, PROVIDED), patience),
            INTAKE_METRICS,
            self._tracing("intake"),
        )
        self.mock = Member(
            self,
            (REQUESTED, CORRECTED),
            lambda resources: _kernel(knows, resources, (REQUESTED, CORRECTED), PendingOptions(opens=REQUESTED)),
            MOCK_METRICS,
            self._tracing("vneid_mock"),
        )
        self.scoring = Member(
            self,
            (DECIDED,),
            lambda resources: StoreWriter(self.store, resources, identity=lambda: "log-1", partitions=1),
            SCORING_METRICS,
            self._tracing("scoring"),
        )

    def _tracing(self, service: str) -> Tracing:
        return Tracing() if service in self._untraced else Recording(service, SimpleSpanProcessor(self.exporter))

    async def start(self) -> "TracedFlow":
        for member in (self.intake, self.mock, self.scoring):
            await member.start()
        return self

    async def submit(self, *submitted: Submitted) -> None:
        for one in submitted:
            message = (SUBMITTED, one.key, one.value, [("ce_id", b"1")])
            self.publisher.add([self.driver.begin(message, self.publisher)], 0)
        await self.publisher.flush()

    async def play(self, *members: Member) -> None:
        for member in members:
            await member.read()

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans() if name_of(span) == name]

    def edges(self) -> set[tuple[str, str]]:
        """Parent and child by name, of all spans; the parent of a trace's first span is `-`."""
        by_id = {span.context.span_id: name_of(span) for span in self.spans() if span.context}
        return {
            ("-" if span.parent is None else by_id.get(span.parent.span_id, "lost"), name_of(span))
            for span in self.spans()
        }

    def traces(self, *names: str) -> set[int]:
        return {span.context.trace_id for span in self.spans() if span.context and name_of(span) in names}


def name_of(span: ReadableSpan) -> str:
    service = str(span.resource.attributes["service.name"])
    return f"{service}: {span.name}"


def _kernel(
    handler: Any, resources: ProcessResources, topics: tuple[str, ...], pending: PendingOptions
) -> StreamProcessor:
    return StreamProcessor(
        handler, resources, topics=topics, pending=pending, dead_letter_topic=lambda topic: f"{topic}.dlq"
    )
