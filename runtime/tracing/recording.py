"""Spans across the broker: a W3C `traceparent` header on the records of sampled applications, by OpenTelemetry's SDK.

The head of the flow samples applications by a trace id that is a hash of the record's key: the choice is the same every
time, and what is sent again continues its trace. From there on a record is traced if, and only if, it carries a sampled
`traceparent`, and what it causes carries it on; a malformed header is as good as none. Names and attributes are those
of the semantic conventions for messaging and databases. Of a record only its place and its key are told.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from socket import gethostname
from threading import Thread

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, get_current_span, set_span_in_context, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from runtime.messages import Effects, HandlerResult, Message, Record, RecordHandler, State
from runtime.publisher import Publisher
from runtime.tracing import Sends, Traces, Tracing

HEADER = "traceparent"
# A viewer that does not answer must not hold up a stop.
STOP_WITHIN_S = 2.0

log = structlog.get_logger(__name__)
_propagator = TraceContextTextMapPropagator()


def contexts_of(records: Iterable[Record]) -> dict[int, Context]:
    """Return, by `id` of the record, what the traced ones' traces go on from."""
    # The only thing that is done for every record: 0.2 µs.
    marked = [(record, value) for record in records for name, value in record.headers if name == HEADER]
    contexts = {}
    for record, value in marked:
        context = _propagator.extract({HEADER: (value or b"").decode("ascii", "replace")})
        if get_current_span(context).get_span_context().trace_flags.sampled:
            contexts[id(record)] = context
    return contexts


def head_bound() -> int:
    """Return below which low half of its id a trace is sampled, as `OTEL_TRACES_SAMPLER` says; unset: each one is."""
    sampler = os.environ.get("OTEL_TRACES_SAMPLER", "").removeprefix("parentbased_")
    share = {"always_off": "0", "traceidratio": os.environ.get("OTEL_TRACES_SAMPLER_ARG", "1")}.get(sampler, "1")
    try:
        return TraceIdRatioBased(float(share)).bound
    except ValueError:
        log.warning("OTEL_TRACES_SAMPLER_ARG is no share from 0 to 1: every application is traced", given=share)
        return TraceIdRatioBased(1.0).bound


class Recording(Tracing):
    """Records the spans of one process and hands them to a span processor.

    `OTEL_TRACES_SAMPLER` chooses at the head of the flow, and only there: a trace is whole or not at all.
    """

    def __init__(self, service: str, processor: SpanProcessor) -> None:
        self._bound = head_bound()
        self._contexts: dict[int, Context] = {}
        self._ids = _Ids()
        name = os.environ.get("OTEL_SERVICE_NAME", service)
        resource = Resource.create({"service.name": name, "service.instance.id": f"{gethostname()}:{os.getpid()}"})
        self._provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=self._ids)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("paperless")

    @staticmethod
    def exporting(service: str) -> "Recording":
        """Return what exports over OTLP/HTTP, as the `OTEL_*` variables say."""
        return Recording(service, BatchSpanProcessor(OTLPSpanExporter()))

    def begin(self, message: Message, publisher: Sends) -> Message:
        _, key, _, _ = message
        trace_id = int.from_bytes(blake2b(key or b"", digest_size=16, person=HEADER.encode()).digest())
        if trace_id & TraceIdRatioBased.TRACE_ID_LIMIT >= self._bound:
            return message
        self._ids.given = trace_id
        return self.sent(message, Context(), publisher)

    def sent(self, message: Message, context: Context, publisher: Sends) -> Message:
        """Return a message with its header; its span ends when the broker has it."""
        topic, key, _, _ = message
        span = self._start("send", topic, key, context, SpanKind.PRODUCER)
        publisher.when_sent.append(span.end)
        return carrying(message, set_span_in_context(span))

    def processing(self, record: Record, context: Context) -> Span:
        """Start the span of handling a record."""
        span = self._start("process", record.topic, record.key, context, SpanKind.CONSUMER)
        span.set_attribute("messaging.destination.partition.id", str(record.partition))
        span.set_attribute("messaging.kafka.offset", record.offset)
        return span

    def _start(self, operation: str, topic: str, key: bytes | None, context: Context, kind: SpanKind) -> Span:
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.type": operation,
            "messaging.operation.name": operation,
            "messaging.destination.name": topic,
            "messaging.kafka.message.key": (key or b"").decode("utf-8", "replace"),
        }
        return self._tracer.start_span(f"{operation} {topic}", context, kind, attributes)

    def around(self, handler: RecordHandler, traces: Traces, publisher: Publisher) -> RecordHandler:
        return _TracedHandler(self, handler, traces, publisher) if traces or self._contexts else handler

    def context_of(self, record: Record) -> Context | None:
        """Return what a record of this batch goes on from, None when it is not traced."""
        return self._contexts.get(id(record))

    @contextmanager
    def batch(self, records: Iterable[Record]) -> Iterator[None]:
        """Bound a batch: a trace of its own, with links to what its traced records go on from; none without any."""
        self._contexts = contexts_of(records)
        if not self._contexts:
            yield
            return
        links = [Link(get_current_span(context).get_span_context()) for context in self._contexts.values()]
        attributes = {"messaging.system": "kafka", "messaging.operation.type": "process"}
        with current(self._tracer.start_span("process batch", Context(), SpanKind.CONSUMER, attributes, links)):
            yield

    @contextmanager
    def together(self, name: str, records: Iterable[Record], attributes: Mapping[str, str | int]) -> Iterator[None]:
        of = self._contexts
        spans = [self.processing(record, of[id(record)]) for record in records if id(record) in of] if of else []
        with ExitStack() as stack:
            for span in spans:
                stack.enter_context(ended(span))
            if spans:
                stack.enter_context(current(self._tracer.start_span(name, None, SpanKind.CLIENT, attributes)))
            yield

    @contextmanager
    def deadline(self, context: Context) -> Iterator[Context]:
        """Bound what the deadline of an open entry causes."""
        span = self._tracer.start_span("deadline", context)
        with current(span):
            yield set_span_in_context(span)

    def stop(self) -> None:
        last = Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(STOP_WITHIN_S)


class _Ids(RandomIdGenerator):
    """Random ids, except for the next trace when its id is given."""

    given = 0

    def generate_trace_id(self) -> int:
        given, self.given = self.given, 0
        return given or super().generate_trace_id()


class _TracedHandler:
    """A `RecordHandler` whose messages go on with the trace of the record, or of the open entry, that caused them."""

    def __init__(self, recording: Recording, handler: RecordHandler, traces: Traces, publisher: Publisher) -> None:
        self._recording, self._handler, self._traces, self._publisher = recording, handler, traces, publisher

    def on_record(self, record: Record, pending: Mapping[bytes, State]) -> HandlerResult:
        context = self._recording.context_of(record)
        if context is None:
            handled = self._handler.on_record(record, pending)
            return self._of_untraced(handled) if self._traces and isinstance(handled, Effects) else handled
        span = self._recording.processing(record, context)
        with current(span):
            handled = self._handler.on_record(record, pending)
            effects = handled if type(handled) is Effects else Effects((handled,))
            return self._onward(effects, set_span_in_context(span))

    def on_deadline(self, key: bytes, state: State) -> Effects:
        context = self._traces.get(key)
        if context is None:
            return self._handler.on_deadline(key, state)
        with self._recording.deadline(context) as deadline:
            return self._onward(self._handler.on_deadline(key, state), deadline)

    def _of_untraced(self, effects: Effects) -> Effects:
        """Go on with an entry's trace although the reply to it brings none: its sender does not know of traces."""
        key = effects.close or (effects.rearm.key if effects.rearm else b"")
        return self._onward(effects, self._traces[key]) if key in self._traces else effects

    def _onward(self, effects: Effects, context: Context) -> Effects:
        for pending in (effects.open, effects.rearm):
            if pending is not None:
                self._traces[pending.key] = context
        if effects.close is not None:
            self._traces.pop(effects.close, None)
        return effects._replace(publish=tuple([self._sent(message, effects, context) for message in effects.publish]))

    def _sent(self, message: Message, effects: Effects, context: Context) -> Message:
        # A retry may lack budget and not be sent after all: no span claims that it was, the deadline's own goes on.
        return carrying(message, context) if effects.retry else self._recording.sent(message, context, self._publisher)


def carrying(message: Message, context: Context) -> Message:
    """Return a message with the headers of a context."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, context)
    topic, key, value, headers = message
    return topic, key, value, [*headers, *((name, text.encode()) for name, text in carrier.items())]


@contextmanager
def ended(span: Span) -> Iterator[None]:
    """End a span; of an error its kind is told, never its text, which might repeat a record."""
    try:
        yield
    except Exception as error:
        span.set_attribute("error.type", str(getattr(error, "reason", type(error).__qualname__)))
        span.set_status(StatusCode.ERROR)
        raise
    finally:
        span.end()


@contextmanager
def current(span: Span) -> Iterator[None]:
    """End a span; until then the lines of the log carry its ids."""
    with use_span(span, record_exception=False, set_status_on_exception=False), ended(span):
        yield
