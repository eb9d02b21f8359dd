"""A broker in memory and in virtual time: the same code makes the same requests, on every machine.

It stands for aiokafka's producer and consumer, and for FastStream's subscriber, to the services' own code. A batch is
built and parsed by aiokafka; the network is a fixed time per request, and a record handled costs a fixed time too.
"""

import asyncio
import struct
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from benchmarks.virtual_time import VirtualClock
from runtime.broker import MAX_BATCH_BYTES
from runtime.subscription import ConsumerRecords

# One request there and back.
REQUEST_S = 0.005
# What handling a record costs the process that does it.
RECORD_S = 0.00002
# Records of one partition that one fetch brings at most.
FETCH_RECORDS = 500


class Log:
    """All topics; `requests` counts what clients ask for, by client and kind."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.records: defaultdict[tuple[str, int], list[ConsumerRecord]] = defaultdict(list)
        self.requests: Counter[str] = Counter()

    def append(self, topic: str, partition: int, data: bytearray) -> None:
        """Store a batch as the broker does: offsets and time are its own."""
        stored = self.records[topic, partition]
        # The first offset is outside the check sum.
        struct.pack_into(">q", data, 0, len(stored))
        place, batch, check_crcs = TopicPartition(topic, partition), MemoryRecords(bytes(data)), True
        stored.extend(PartitionRecords(place, batch, [], len(stored), None, None, check_crcs, READ_UNCOMMITTED))

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
        self._log, self._name = log, client

    def create_batch(self) -> Any:
        """Return an empty batch."""
        return BatchBuilder(MAX_BATCH_BYTES, 0)

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[None]":
        """Store the batch after the time of a request."""
        self._log.requests[f"{self._name}.produced_batches"] += 1
        return asyncio.ensure_future(self._stored(batch, topic, partition))

    async def _stored(self, batch: Any, topic: str, partition: int) -> None:
        await asyncio.sleep(REQUEST_S)
        self._log.append(topic, partition, batch._build())  # noqa: SLF001  what aiokafka's own sender calls


class Connected:
    """The part of aiokafka's client that the watch over the broker uses: it has nothing open, and always an answer."""

    def __init__(self) -> None:
        self._conns: Mapping[Any, Any] = {}

    async def force_metadata_update(self) -> bool:
        """Say that a broker answered."""
        return True


class Consumer:
    """The part of aiokafka's consumer that the kernel and FastStream use; it has all partitions of its topics."""

    def __init__(self, log: Log, client: str, topics: Sequence[str], clock: VirtualClock) -> None:
        self._log, self._name, self._clock = log, client, clock
        self._client = Connected()
        self._places = {TopicPartition(topic, number) for topic in topics for number in range(log.partitions)}
        self._positions = dict.fromkeys(self._places, 0)
        self._polled_at: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self.offsets: dict[TopicPartition, int] = {}

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Return what is there after the time of a request, or nothing after the time-out."""
        until = self._clock.now() + timeout_ms / 1000
        fetched: dict[TopicPartition, list[ConsumerRecord]] = {}
        while not fetched and self._clock.now() < until:
            await asyncio.sleep(REQUEST_S)
            fetched = self._fetched(max_records)
        if fetched:
            self._log.requests[f"{self._name}.fetches"] += 1
        return fetched

    def _fetched(self, max_records: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        fetched = {}
        room = max_records
        for place in sorted(self._places - self._paused):
            self._polled_at[place] = self._clock.wall_ms()
            start = self._positions[place]
            records = self._log.records[place][start : start + min(FETCH_RECORDS, room)]
            if records:
                fetched[place] = records
                room -= len(records)
                self._positions[place] = start + len(records)
        return fetched

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Remember the group's offsets."""
        self._log.requests[f"{self._name}.commits"] += 1
        self._log.requests[f"{self._name}.committed_offsets"] += len(offsets)
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
        self._log.requests[f"{self._name}.pauses"] += 1
        self._paused |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        """Fetch these again."""
        self._paused -= set(places)

    def highwater(self, place: TopicPartition) -> int:
        """Return the end of a partition."""
        return len(self._log.records[place])

    def last_stable_offset(self, place: TopicPartition) -> int:
        """Return the end of a partition: nobody has a transaction open."""
        return self.highwater(place)

    async def position(self, place: TopicPartition) -> int:
        """Return the offset that is read next."""
        return self._positions[place]

    def last_poll_timestamp(self, place: TopicPartition) -> int | None:
        """Return when a partition was last fetched, in milliseconds since the epoch."""
        return self._polled_at.get(place)


class Subscriber:
    """Stands for FastStream's broker and a service's one subscriber on it; keeps the batches that it handed over."""

    def __init__(self, log: Log, client: str, clock: VirtualClock) -> None:
        self._log, self._name, self._clock = log, client, clock
        self._handler: Callable[[Any], Awaitable[None]] | None = None
        self._options: dict[str, Any] = {}
        self.consumer: Any = None
        self.batches: list[ConsumerRecords] = []
        # As on FastStream's subscriber: whoever subscribes replaces it.
        self.get_msg: Callable[[Any], Awaitable[Any]] = lambda consumer: consumer.getone()

    def subscriber(self, *topics: str, **options: Any) -> "Subscriber":
        """Take the subscription."""
        self._options = options
        self.consumer = Consumer(self._log, self._name, topics, self._clock)
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
                self.batches.append(records)
                await self.handle(records)
                await asyncio.sleep(sum(map(len, records.values())) * RECORD_S)
