"""A broker of one's own for one round, and the log that its variants read: written before anything is timed."""

import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.workload import PARTITIONS, ByPartition
from paperless.local.broker import EmbeddedBroker
from paperless.local.ports import Ports
from runtime.broker import MAX_BATCH_BYTES
from runtime.publisher import Publisher

# The publisher keeps what it is given until the broker has it.
AT_ONCE = 20_000
POLL_MS = 200


@asynccontextmanager
async def embedded_broker() -> AsyncIterator[str]:
    """Run an empty embedded broker; yields its address."""
    with tempfile.TemporaryDirectory() as folder:
        broker = EmbeddedBroker(Ports().take("broker"), Path(folder) / "broker.log")
        await broker.start()
        try:
            yield broker.address
        finally:
            await broker.stop()


async def create_topics(servers: str, names: Iterable[str]) -> None:
    """Create topics with the log's partition count."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    finally:
        await admin.close()


async def write(servers: str, log: ByPartition) -> None:
    """Append messages to their topics, each on its partition, in order."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", max_batch_size=MAX_BATCH_BYTES)
    await producer.start()
    publisher = Publisher(lambda: producer)
    try:
        for partition, messages in log.items():
            for start in range(0, len(messages), AT_ONCE):
                publisher.add(messages[start : start + AT_ONCE], partition)
                await publisher.flush()
    finally:
        await producer.stop()


async def read(servers: str, topic: str, records: int) -> dict[int, list[ConsumerRecord]]:
    """Return a topic's first records by partition; waits for as many as are asked for."""
    if not records:
        return {}
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    records_by_partition: defaultdict[int, list[ConsumerRecord]] = defaultdict(list)
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        while sum(map(len, records_by_partition.values())) < records:
            for place, rows in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                records_by_partition[place.partition] += rows
    finally:
        await consumer.stop()
    return dict(records_by_partition)
