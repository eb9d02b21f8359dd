"""A broker in memory on a clock that only waiting moves: the same code makes the same requests, on every machine.

It stands for aiokafka's producer and consumer, and for FastStream's subscriber, to the services' own code. A batch is
built and parsed by aiokafka; the network is a fixed time per request, and a record handled costs a fixed time too.
"""

import asyncio
import selectors
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder

from benchmarks.played import read_batch
from runtime.broker import MAX_BATCH_BYTES

# One request there and back.
REQUEST_S = 0.005
# What handling a record costs the process that does it.
RECORD_S = 0.00002
# Records of one partition that one fetch brings at most.
FETCH_RECORDS = 500
# 2025-10-08T00:00:00Z: record timestamps begin here.
_EPOCH_MS = 1_759_881_600_000

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time goes on only when everything waits, and then at once to the next timer.

    What should run in a thread runs in place, so that nothing depends on which is faster.
    """

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Leaping(self))

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self._now

    def leap(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def run_in_executor(
        self,
        executor: Executor | None,  # noqa: ARG002  the loop's signature
        func: Callable[[*Arguments], T],
        *args: *Arguments,
    ) -> asyncio.Future[T]:
        """Call the function in place."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  whoever waits gets it
            done.set_exception(error)
        return done


class _Leaping(selectors.DefaultSelector):  # type: ignore[misc,unused-ignore]  # chosen by the platform
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready; let the time-out pass at once when nothing is."""
        if timeout is None:
            raise RuntimeError("everything waits for something that will never happen")
        self._loop.leap(timeout)
        return super().select(0)


class VirtualClock:
    """The running loop's time, as `runtime.clock.Clock`."""

    def now(self) -> float:
        """Return virtual seconds."""
        return asyncio.get_running_loop().time()

    def wall_ms(self) -> int:
        """Return milliseconds since the Unix epoch, of a fixed day."""
        return _EPOCH_MS + int(self.now() * 1000)


class Log:
    """All topics; `requests` counts what clients ask for, by client and kind."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.records: defaultdict[tuple[str, int], list[ConsumerRecord]] = defaultdict(list)
        self.requests: Counter[str] = Counter()

    def append(self, topic: str, partition: int, data: bytearray) -> None:
        """Store a batch as the broker does: offsets and time are its own."""
        held = self.records[topic, partition]
        held += read_batch(data, topic, partition, len(held)).records

    def size(self) -> int:
        """Return how many records there are."""
        return sum(map(len, self.records.values()))

    def of_topic(self, topic: str) -> Iterable[ConsumerRecord]:
        """Return a topic's records, partition by partition."""
        for number in range(self.partitions):
            yield from self.records[topic, number]

    def topics(self) -> list[str]:
        """Return the topics that have records."""
        return sorted({topic for (topic, _), records in self.records.items() if records})


class Producer:
    """The part of aiokafka's producer that the publisher uses."""

    def __init__(self, log: Log, client: str) -> None:
        self._log, self._client = log, client

    def create_batch(self) -> Any:
        """Return an empty batch."""
        return BatchBuilder(MAX_BATCH_BYTES, 0)

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[None]":
        """Store the batch after the time of a request."""
        self._log.requests[f"{self._client}.produced_batches"] += 1
        return asyncio.ensure_future(self._stored(batch, topic, partition))

    async def _stored(self, batch: Any, topic: str, partition: int) -> None:
        await asyncio.sleep(REQUEST_S)
        self._log.append(topic, partition, batch._build())  # noqa: SLF001  what aiokafka's own sender calls


class Consumer:
    """The part of aiokafka's consumer that the kernel and FastStream use; it has all partitions of its topics."""

    def __init__(self, log: Log, client: str, topics: Sequence[str], clock: VirtualClock) -> None:
        self._log, self._client, self._clock = log, client, clock
        self._places = {TopicPartition(topic, number) for topic in topics for number in range(log.partitions)}
        self._positions = dict.fromkeys(self._places, 0)
        self._polled_at: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self.offsets: dict[TopicPartition, int] = {}

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Return what is there after the time of a request, or nothing after the time-out."""
        until = self._clock.now() + timeout_ms / 1000
        found: dict[TopicPartition, list[ConsumerRecord]] = {}
        while not found and self._clock.now() < until:
            await asyncio.sleep(REQUEST_S)
            found = self._fetched(max_records)
        if found:
            self._log.requests[f"{self._client}.fetches"] += 1
        return found

    def _fetched(self, max_records: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        found = {}
        room = max_records
        for place in sorted(self._places - self._paused):
            self._polled_at[place] = self._clock.wall_ms()
            start = self._positions[place]
            records = self._log.records[place][start : start + min(FETCH_RECORDS, room)]
            if records:
                found[place] = records
                room -= len(records)
                self._positions[place] = start + len(records)
        return found

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Remember the group's offsets."""
        self._log.requests[f"{self._client}.commits"] += 1
        self._log.requests[f"{self._client}.committed_offsets"] += len(offsets)
        await asyncio.sleep(REQUEST_S)
        self.offsets.update(offsets)

    async def committed(self, place: TopicPartition) -> int | None:
        """Return where the group left off."""
        return self.offsets.get(place)

    async def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where the log begins."""
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where the log ends."""
        return {place: len(self._log.records[place]) for place in places}

    def assignment(self) -> set[TopicPartition]:
        """Return this member's partitions."""
        return self._places

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Read on from another offset."""
        self._positions[place] = offset

    def paused(self) -> set[TopicPartition]:
        """Return what is not fetched for now."""
        return set(self._paused)

    def pause(self, *places: TopicPartition) -> None:
        """Fetch these no more."""
        self._log.requests[f"{self._client}.pauses"] += 1
        self._paused |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        """Fetch these again."""
        self._paused -= set(places)

    def highwater(self, place: TopicPartition) -> int:
        """Return the end of a partition."""
        return len(self._log.records[place])

    def last_poll_timestamp(self, place: TopicPartition) -> int | None:
        """Return when a partition was last fetched, in milliseconds since the epoch."""
        return self._polled_at.get(place)


class Subscribing:
    """Stands for FastStream's broker and the one subscriber that a service has on it."""

    def __init__(self, log: Log, client: str, clock: VirtualClock) -> None:
        self._log, self._client, self._clock = log, client, clock
        self._handler: Callable[[Any], Awaitable[None]] | None = None
        self._options: dict[str, Any] = {}
        self.consumer: Any = None
        # As on FastStream's subscriber: whoever subscribes replaces it.
        self.get_msg: Callable[[Any], Awaitable[Any]] = lambda consumer: consumer.getone()

    def subscriber(self, *topics: str, **options: Any) -> "Subscribing":
        """Take the subscription."""
        self._options = options
        self.consumer = Consumer(self._log, self._client, topics, self._clock)
        return self

    def __call__(self, handler: Callable[[Any], Awaitable[None]]) -> None:
        """Take the handler of its batches."""
        self._handler = handler

    async def assign(self) -> None:
        """Give the member all partitions."""
        await self._options["listener"].on_partitions_assigned(set(self.consumer.assignment()))

    async def handle(self, records: Any) -> None:
        """Hand a batch to the member."""
        if self._handler:
            await self._handler(records)

    async def poll_forever(self) -> None:
        """Hand batches over as FastStream's loop does; the next is fetched when one is handled."""
        while True:
            records = await self.get_msg(self.consumer)
            if records:
                await self.handle(records)
                await asyncio.sleep(sum(map(len, records.values())) * RECORD_S)


def run_virtually(main: Callable[[], Awaitable[None]]) -> None:
    """Run to the end on a loop of its own."""

    async def whole() -> None:
        await main()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(whole())
