"""The idempotent producer on Apache Kafka: what ends it for good is survived."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError, OutOfOrderSequenceNumber

from paperless.testing.kafka import KafkaContainer
from runtime.broker import RestartableProducer, open_producer
from runtime.publisher import Publisher
from runtime.settings import KafkaAccess

pytestmark = [pytest.mark.container, pytest.mark.timeout(180)]


@pytest.fixture
def access(kafka: KafkaContainer) -> KafkaAccess:
    return KafkaAccess(kafka_servers=kafka.address())


@asynccontextmanager
async def producer_on(access: KafkaAccess) -> AsyncIterator[RestartableProducer]:
    producer = RestartableProducer(lambda: open_producer(access, client_id="test", idempotent=True))
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def new_topic(access: KafkaAccess, **configs: str) -> str:
    name = f"producer.{uuid.uuid4().hex[:8]}"
    settings = {key.replace("_", "."): value for key, value in configs.items()}
    admin = AIOKafkaAdminClient(**access.client_options())
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=settings)])
    finally:
        await admin.close()
    return name


async def values(access: KafkaAccess, topic: str) -> list[bytes]:
    place = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(**access.client_options(), auto_offset_reset="earliest") as consumer:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        found: list[bytes] = []
        async with asyncio.timeout(20):
            while await consumer.position(place) < end:
                found += [one.value for one in (await consumer.getmany(place, timeout_ms=100)).get(place, [])]
        return found


def batch_of(producer: RestartableProducer, value: bytes) -> object:
    batch = producer().create_batch()
    batch.append(key=b"k", value=value, timestamp=None, headers=[])
    batch.close()
    return batch


async def test_a_producer_whose_sequence_is_broken_is_replaced_and_nothing_is_lost(access: KafkaAccess):
    topic = await new_topic(access, max_message_bytes="2000")
    async with producer_on(access) as producer:
        renewed = []

        async def renew() -> None:
            renewed.append(producer())
            await producer.renew()

        publisher = Publisher(producer, renew)
        publisher.add([(topic, b"k", b"first", [])], 0)
        await publisher.flush()
        # A batch that the broker refuses for good uses up its sequence numbers all the same.
        with pytest.raises(MessageSizeTooLargeError):
            await (await producer().send_batch(batch_of(producer, b"x" * 5_000), topic, partition=0))
        with pytest.raises(OutOfOrderSequenceNumber):
            await (await producer().send_batch(batch_of(producer, b"never"), topic, partition=0))
        publisher.add([(topic, b"k", b"second", [])], 0)
        await publisher.flush()
    assert await values(access, topic) == [b"first", b"second"]
    assert len(renewed) == 1
