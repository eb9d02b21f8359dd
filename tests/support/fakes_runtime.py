"""In-memory twins of the log, the client and the clock: what the kernel sees of Kafka, without Kafka."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from contracts.errors import Reject
from contracts.records import Headers
from runtime.dead_letters import DeadLetterLimit
from runtime.messages import NOTHING, Effects, HandlerResult, Message, PendingRecord, Record, RecordHandler, State
from runtime.metrics import KERNEL_METRICS, SHARED_PREFIX, Metrics
from runtime.partition_state import PartitionState, PendingOptions
from runtime.processor import StreamProcessor
from runtime.publisher import Publisher
from runtime.resources import ProcessResources
from runtime.settings import ServiceSettings

OPENS, ANSWERS, OUT = "asked", "answered", "out"
PATIENCE_S = 4.0


class ManualClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def now(self) -> float:
        return self.at

    def wall_ms(self) -> int:
        return 1_760_000_000_000 + round(self.at * 1000)

    def advance(self, seconds: float) -> None:
        self.at += seconds


class Stored(NamedTuple):
    """A record as the log holds it; it is a `Record`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def stored(offset: int, value: bytes = b"", *, topic: str = OPENS, partition: int = 0, key: bytes = b"") -> Stored:
    return Stored(topic, partition, offset, 1_760_000_000_000, key or b"k%d" % offset, value)


def polled(records: Iterable[Stored]) -> dict[TopicPartition, list[Stored]]:
    """Return records as a poll hands them over."""
    found: dict[TopicPartition, list[Stored]] = {}
    for record in records:
        found.setdefault(TopicPartition(record.topic, record.partition), []).append(record)
    return found


class MemoryLog:
    """Topics and partitions as lists; an offset is a place in the list."""

    def __init__(self) -> None:
        self.records: defaultdict[tuple[str, int], list[Stored]] = defaultdict(list)

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Any = ()) -> Stored:
        records = self.records[topic, partition]
        record = Stored(topic, partition, len(records), 1_760_000_000_000, key, value, tuple(headers))
        records.append(record)
        return record

    def end(self, topic: str, partition: int) -> int:
        return len(self.records[topic, partition])

    def read(self, topic: str, partition: int, start: int, count: int) -> list[Stored]:
        return self.records[topic, partition][start : start + count]

    def all_of(self, topic: str) -> list[Stored]:
        return [record for (name, _), records in sorted(self.records.items()) if name == topic for record in records]


class FakeBatch:
    """aiokafka's batch builder: `append` returns None once it is full; the first message always fits."""

    def __init__(self, capacity: int) -> None:
        self.messages: list[tuple[bytes | None, bytes | None, Any]] = []
        self.closed = False
        self._capacity = capacity

    def append(self, *, key: bytes | None, value: bytes | None, timestamp: int | None, headers: Any) -> object | None:
        assert not self.closed
        assert isinstance(headers, list), "aiokafka refuses a tuple of headers"
        if len(self.messages) >= self._capacity:
            return None
        self.messages.append((key, value, headers))
        return object()

    def close(self) -> None:
        self.closed = True


class FakeProducer:
    """Stores closed batches in a log; `errors` are raised first, one per call.

    `stored_but_failed` stores the batch and fails all the same: a time-out whose request had arrived.
    """

    def __init__(self, log: MemoryLog, *, capacity: int = 1_000) -> None:
        self.log = log
        self.errors: list[Exception] = []
        self.stored_but_failed: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._capacity = capacity

    def create_batch(self) -> FakeBatch:
        return FakeBatch(self._capacity)

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> asyncio.Future[Any]:
        assert batch.closed
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        for key, value, headers in batch.messages:
            self.log.append(topic, partition, key, value, headers)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.stored_but_failed:
            future.set_exception(self.stored_but_failed.pop(0))
        else:
            future.set_result(None)
        return future


class FakeConnection:
    """A connection of aiokafka's client: open or not, with the questions that wait for an answer."""

    def __init__(self) -> None:
        self.open = True
        self._requests: deque[tuple[int, object, object]] = deque()

    def connected(self) -> bool:
        return self.open

    def ask(self) -> None:
        self._requests.append((0, None, object()))

    def answer(self) -> None:
        self._requests.popleft()


class FakeClient:
    """The part of aiokafka's client that finds brokers: those of its last metadata, or the bootstrap servers."""

    def __init__(self, *, known_answer: bool = True, refusals: int = 0) -> None:
        self._conns = {0: FakeConnection()}
        self.known_answer, self.refusals = known_answer, refusals
        self.asked = self.bootstraps = 0

    async def force_metadata_update(self) -> bool:
        self.asked += 1
        return self.known_answer

    async def bootstrap(self) -> None:
        self.bootstraps += 1
        if self.bootstraps <= self.refusals:
            raise KafkaConnectionError
        self.known_answer = True


class FakeConsumer:
    """The part of aiokafka's consumer that the kernel asks."""

    def __init__(self, clock: ManualClock) -> None:
        self._client = FakeClient()
        self.offsets: dict[TopicPartition, int] = {}
        self.first: defaultdict[TopicPartition, int] = defaultdict(int)
        self.end: defaultdict[TopicPartition, int] = defaultdict(lambda: 10**9)
        self.positions: defaultdict[TopicPartition, int] = defaultdict(int)
        self.commits: list[dict[TopicPartition, int]] = []
        self.commit_errors: list[Exception] = []
        self.offset_errors: list[Exception] = []
        self.seeks: list[tuple[TopicPartition, int]] = []
        self.marks: dict[TopicPartition, int] = {}
        self.polled: dict[TopicPartition, int] = {}
        self._assigned: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()
        self._clock = clock

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self._assigned = set(partitions)

    def fetched(self, topic: str, partition: int, mark: int) -> None:
        """A fetch of this partition came back now, with this high-water mark."""
        tp = TopicPartition(topic, partition)
        self.marks[tp], self.polled[tp] = mark, self._clock.wall_ms()

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if self.offset_errors:
            raise self.offset_errors.pop(0)
        return {tp: self.first[tp] for tp in partitions}

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self.end[tp] for tp in partitions}

    async def committed(self, tp: TopicPartition) -> int | None:
        return self.offsets.get(tp)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.commit_errors:
            raise self.commit_errors.pop(0)
        self.commits.append(dict(offsets))
        self.offsets |= offsets

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.seeks.append((tp, offset))

    def assignment(self) -> set[TopicPartition]:
        return self._assigned

    def paused(self) -> set[TopicPartition]:
        return set(self._paused)

    def pause(self, *partitions: TopicPartition) -> None:
        assert set(partitions) <= self._assigned
        self._paused |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self._paused -= set(partitions)

    def highwater(self, tp: TopicPartition) -> int | None:
        return self.marks.get(tp)

    async def position(self, tp: TopicPartition) -> int:
        return self.positions[tp]

    def last_stable_offset(self, tp: TopicPartition) -> int | None:
        return self.marks.get(tp)

    def last_poll_timestamp(self, tp: TopicPartition) -> int | None:
        return self.polled.get(tp)


class AskHandler:
    """A small `RecordHandler`: a question stays open until its answer comes; silence asks again some `retries` times.

    A question's value may be `bad` (rejected), `bug` (raises each time), `flaky` (raises once) or anything else.
    """

    def __init__(self, *, retries: int = 0) -> None:
        self.retries = retries
        self.calls: list[bytes] = []
        self._stumbled: set[bytes] = set()

    def on_record(self, record: Record, pending: Mapping[bytes, State]) -> Effects:
        key, value = record.key or b"", record.value or b""
        self.calls.append(value)
        if value == b"bad":
            raise Reject("not_json", "value: bad")
        if value == b"bug" or (value == b"flaky" and key not in self._stumbled):
            self._stumbled.add(key)
            raise ZeroDivisionError("our own bug")
        if record.topic == ANSWERS:
            return Effects(publish=(said(key, b"decided"),), close=key)
        if key in pending:
            return NOTHING
        return Effects(publish=(said(key, b"request"),), open=PendingRecord(key, PATIENCE_S, (0,)))

    def on_deadline(self, key: bytes, state: State) -> Effects:
        (tries,) = state
        assert isinstance(tries, int)
        if tries >= self.retries:
            return Effects(publish=(said(key, b"presumed"),), close=key)
        again = PendingRecord(key, PATIENCE_S, (tries + 1,))
        return Effects(publish=(said(key, b"again"),), rearm=again, retry=True)


class Sent(NamedTuple):
    """A message with names."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def effects_of(handled: HandlerResult) -> Effects:
    return handled if type(handled) is Effects else Effects((handled,))


def take(state: PartitionState, record: Record, handler: RecordHandler, now: float) -> tuple[Message, ...]:
    """Handle one record as the kernel does, and return what it publishes."""
    messages = state.apply(handler.on_record(record, state.pending), record.offset, now)
    state.read_past(record)
    return messages


def said(key: bytes, value: bytes) -> Message:
    return (OUT, key, value, [])


class Bench:
    """A kernel on fakes: no network, no waiting."""

    def __init__(
        self,
        handler: Any = None,
        *,
        limit: DeadLetterLimit | None = None,
        capacity: int = 1_000,
        before_batch: Callable[[Any], None] = lambda _: None,
        **pending: Any,
    ) -> None:
        self.clock = ManualClock()
        self.log = MemoryLog()
        self.producer = FakeProducer(self.log, capacity=capacity)
        self.consumer = FakeConsumer(self.clock)
        self.metrics = Metrics("bench", KERNEL_METRICS)
        self.stops: list[str] = []
        self.kernel = StreamProcessor(
            handler or AskHandler(),
            ProcessResources(
                settings=ServiceSettings(),
                publisher=Publisher(lambda: self.producer),
                clock=self.clock,
                metrics=self.metrics,
                on_fatal=lambda: self.stops.append("stop"),
            ),
            topics=[OPENS, ANSWERS],
            pending=PendingOptions(**{"opens": OPENS, "answered_on": ANSWERS, **pending}),
            dead_letter_topic=lambda topic: f"{topic}.dlq",
            limit=limit,
            before_batch=before_batch,
        )
        self.kernel._subscriber = SimpleNamespace(consumer=self.consumer)

    async def assign(self, *numbers: int) -> None:
        partitions = {TopicPartition(topic, number) for topic in (OPENS, ANSWERS) for number in numbers or (0,)}
        self.consumer.assign(partitions)
        await self.kernel.on_partitions_assigned(partitions)

    async def revoke(self) -> None:
        await self.kernel.on_partitions_revoked(set(self.consumer.assignment()))
        self.consumer.assign(set())

    async def take(self, *records: Stored) -> None:
        """Let a batch be handled; what it causes is on its way."""
        await self.kernel._on_batch(polled(records))

    async def batch(self, *records: Stored) -> None:
        """Let a batch be handled, and what it causes arrive."""
        await self.take(*records)
        await self.kernel.publisher.flush()

    async def tick(self) -> None:
        async with self.kernel._lock:
            await self.kernel._tick()
        await self.kernel.publisher.flush()

    async def commit(self) -> dict[tuple[str, int], int]:
        """Commit, and return everything the group has committed so far, by topic and partition."""
        async with self.kernel._lock:
            await self.kernel._commit()
        return {(tp.topic, tp.partition): offset for tp, offset in self.consumer.offsets.items()}

    def values(self, topic: str = OUT, partition: int = 0) -> list[bytes | None]:
        return [record.value for record in self.log.records[topic, partition]]

    def counted(self, name: str, **labels: str) -> float:
        # Sums reach the registry when it is scraped.
        self.metrics.exposition()
        return self.metrics.registry.get_sample_value(f"{SHARED_PREFIX}_{name}", labels) or 0.0


async def eventually(holds: Callable[[], bool], *, turns: int = 100_000) -> None:
    """Let the loop turn until something holds; bounded by turns, not by time."""
    for _ in range(turns):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")


class BrokerDownError(KafkaError):  # type: ignore[misc]  # aiokafka is untyped
    """Stands for any error of the broker that trying again may cure."""


async def started(*numbers: int, **options) -> Bench:
    bench = Bench(**options)
    await bench.assign(*numbers)
    return bench


def answer(offset: int, key: bytes, *, partition: int = 0):
    return stored(offset, b"a", topic=ANSWERS, key=key, partition=partition)


async def silence(bench: Bench, *, mark: int = 0, partition: int = 0) -> None:
    """Let a deadline pass and two fetches come back after it."""
    bench.clock.advance(PATIENCE_S + 1)
    for _ in range(2):
        bench.clock.advance(0.1)
        bench.consumer.fetched(ANSWERS, partition, mark)
        await bench.tick()
