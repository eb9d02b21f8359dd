"""What the embedded broker does and does not do, as the services and the driver rely on it."""

import asyncio
import platform
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from paperless.local.broker import EmbeddedBroker
from paperless.local.broker_kinds import KINDS, tansu_binary
from paperless.local.errors import BrokerError, UnsupportedPlatformError
from paperless.local.ports import Ports
from tests.support.brokers import need_broker

PARTITIONS = 6
WITHIN_S = 20


@pytest.fixture(scope="module", params=KINDS.values(), ids=list(KINDS))
def broker(request, tmp_path_factory) -> Iterator[EmbeddedBroker]:
    need_broker(request.param)
    log = tmp_path_factory.mktemp("broker") / "broker.log"
    broker = EmbeddedBroker(Ports().take("broker"), log, request.param)
    asyncio.run(broker.start())
    yield broker
    asyncio.run(broker.stop())


@pytest.fixture
async def admin(broker) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    yield admin
    await admin.close()


@pytest.fixture
async def topic(admin) -> str:
    name = f"applications.{uuid.uuid4().hex}"
    await admin.create_topics([NewTopic(name, num_partitions=PARTITIONS, replication_factor=1)])
    return name


@pytest.fixture
async def producer(broker) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all")
    await producer.start()
    yield producer
    await producer.stop()


def consumer_of(broker: EmbeddedBroker, *topics: str, group: str | None = None) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        *topics,
        bootstrap_servers=broker.address,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        # The first join takes half of this on Tansu.
        session_timeout_ms=2_000,
        heartbeat_interval_ms=500,
    )


async def send_batch(producer: AIOKafkaProducer, topic: str, *, partition: int, count: int) -> None:
    batch = producer.create_batch()
    for number in range(count):
        assert batch.append(key=b"k", value=b"%d" % number, timestamp=1_760_000_000_000 + number)
    batch.close()
    await (await producer.send_batch(batch, topic, partition=partition))


async def read(consumer: AIOKafkaConsumer, count: int) -> list[tuple[int, int, bytes | None]]:
    """The next records as (partition, offset, value)."""
    found: list[tuple[int, int, bytes | None]] = []
    async with asyncio.timeout(WITHIN_S):
        while len(found) < count:
            batches = await consumer.getmany(timeout_ms=100)
            found += [(r.partition, r.offset, r.value) for batch in batches.values() for r in batch]
    return found


async def test_a_topic_has_the_partitions_asked_for(admin, topic):
    [described] = await admin.describe_topics([topic])
    assert len(described["partitions"]) == PARTITIONS


async def test_a_topic_created_twice_is_refused_by_name(admin, topic):
    answer = await admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])
    [(name, code, *_)] = answer.topic_errors
    assert (name, for_code(code)) == (topic, TopicAlreadyExistsError)


async def test_records_keep_partition_order_key_and_headers(broker, topic, producer):
    for number in range(12):
        headers = [("ce_id", b"%d" % number)]
        partition = number % PARTITIONS
        sent = await producer.send_and_wait(topic, b"v%d" % number, key=b"k", partition=partition, headers=headers)
        assert (sent.partition, sent.offset) == (partition, number // PARTITIONS)
    consumer = consumer_of(broker, topic)
    async with consumer:
        async with asyncio.timeout(WITHIN_S):
            records = [await consumer.getone() for _ in range(12)]
    found = {(r.partition, r.offset, r.key, r.value, r.headers) for r in records}
    assert found == {(n % PARTITIONS, n // PARTITIONS, b"k", b"v%d" % n, (("ce_id", b"%d" % n),)) for n in range(12)}


async def test_a_whole_batch_arrives_with_timestamps(broker, topic, producer):
    await send_batch(producer, topic, partition=3, count=100)
    consumer = consumer_of(broker, topic)
    async with consumer, asyncio.timeout(WITHIN_S):
        records = [await consumer.getone() for _ in range(100)]
    assert [(r.partition, r.value) for r in records] == [(3, b"%d" % n) for n in range(100)]
    assert records[99].timestamp == 1_760_000_000_099


async def test_a_record_of_900_kb_arrives_whole(broker, topic, producer):
    value = bytes(range(250)) * 3_600
    await producer.send_and_wait(topic, value, partition=0)
    async with consumer_of(broker, topic) as consumer:
        [(_, _, found)] = await read(consumer, 1)
    assert found == value


async def test_a_group_goes_on_at_its_committed_offset(broker, topic, producer):
    group = f"intake-{uuid.uuid4().hex}"
    for number in range(10):
        await producer.send_and_wait(topic, b"%d" % number, partition=2)
    async with consumer_of(broker, topic, group=group) as consumer:
        await read(consumer, 10)
        await consumer.commit({TopicPartition(topic, 2): 4})
    async with consumer_of(broker, topic, group=group) as consumer:
        assert [offset for _, offset, _ in await read(consumer, 6)] == [4, 5, 6, 7, 8, 9]


async def test_the_highwater_of_a_reader_names_the_end(broker, topic, producer):
    await send_batch(producer, topic, partition=1, count=5)
    async with consumer_of(broker, topic) as consumer:
        await read(consumer, 5)
        assert consumer.highwater(TopicPartition(topic, 1)) == 5


async def test_end_offsets_name_the_logs_end(broker, topic, producer, request):
    if not broker.kind.capabilities.end_offsets_reliable:
        reason = "Tansu names one past the *first* record of the last batch"
        request.applymarker(pytest.mark.xfail(reason=reason))
    partition = TopicPartition(topic, 1)
    await send_batch(producer, topic, partition=1, count=5)
    async with consumer_of(broker, topic) as consumer:
        assert (await consumer.end_offsets([partition]))[partition] == 5


async def test_an_idempotent_producer_starts(broker, topic, request):
    if not broker.kind.capabilities.idempotent_producer:
        request.applymarker(pytest.mark.xfail(raises=KafkaError, reason="Tansu has no producer ids"))
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all", enable_idempotence=True)
    try:
        async with asyncio.timeout(WITHIN_S):
            await producer.start()
            await producer.send_and_wait(topic, b"once", partition=0)
    finally:
        await producer.stop()


async def test_a_port_that_is_taken_is_named(broker, tmp_path):
    port = int(broker.address.rpartition(":")[2])
    second = EmbeddedBroker(port, tmp_path / "broker.log")
    with pytest.raises(BrokerError, match=rf"{port}: the port is in use"):
        await second.start()
    assert second.child is None


async def test_a_broker_that_cannot_bind_shows_its_log(broker, tmp_path, monkeypatch):
    """The port was taken after we looked."""
    monkeypatch.setattr("paperless.local.broker.is_free", lambda _: True)
    monkeypatch.setattr(EmbeddedBroker, "_accepts", _never)
    second = EmbeddedBroker(int(broker.address.rpartition(":")[2]), tmp_path / "broker.log", broker.kind)
    with pytest.raises(BrokerError, match=r"(?s)ended with code .*broker\.log"):
        await second.start()


async def _never(_: EmbeddedBroker) -> bool:
    return False


async def test_stopping_twice_or_before_starting_is_harmless(tmp_path):
    broker = EmbeddedBroker(Ports().take("broker"), tmp_path / "broker.log")
    await broker.stop()
    await broker.start()
    await broker.stop()
    await broker.stop()
    assert broker.child is not None
    assert broker.child.poll() is not None


def test_a_platform_without_a_binary_is_pointed_to_kafka(monkeypatch, tmp_path):
    monkeypatch.setenv("CALF_TANSU_BIN", str(tmp_path / platform.machine()))
    with pytest.raises(UnsupportedPlatformError, match="Apache Kafka"):
        tansu_binary()
