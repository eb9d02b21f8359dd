"""The kernel on a real broker: what the in-memory twins cannot show about fetches, groups and large records."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from runtime.broker import open_broker
from runtime.messages import Effects, Message, PendingRecord
from runtime.metrics import KERNEL_METRICS
from runtime.partition_state import PendingOptions
from runtime.processor import StreamProcessor
from runtime.resources import ProcessResources
from runtime.settings import ServiceSettings
from tests.support.brokers import Broker
from tests.support.fakes_runtime import AskHandler

PARTITIONS = 2
WITHIN_S = 25


class Topics(NamedTuple):
    """Names of one test's topics; `group` reads them."""

    asked: str
    answered: str
    out: str
    group: str

    def dead_letter(self, topic: str) -> str:
        return f"{topic}.dlq"


class Asking(AskHandler):
    """`AskHandler` on one test's topics."""

    def __init__(self, topics: Topics, *, patience_s: float) -> None:
        super().__init__()
        self._topics, self._patience_s = topics, patience_s

    def on_record(self, record: Any, pending: Any) -> Effects:
        if record.topic == self._topics.answered:
            return Effects(publish=(self._said(record.key, b"decided"),), close=record.key)
        effects = super().on_record(record, pending)
        opened = PendingRecord(record.key, self._patience_s, (0,)) if effects.open else None
        return Effects(publish=tuple(self._said(key, value) for _, key, value, _ in effects.publish), open=opened)

    def on_deadline(self, key: bytes, state: Any) -> Effects:
        return Effects(publish=(self._said(key, b"presumed"),), close=key)

    def _said(self, key: bytes | None, value: bytes | None) -> Message:
        return (self._topics.out, key, value, [])


@pytest.fixture
async def topics(broker: Broker) -> Topics:
    mark = uuid.uuid4().hex[:8]
    topics = Topics(f"asked.{mark}", f"answered.{mark}", f"out.{mark}", f"group-{mark}")
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    names = [topics.asked, topics.answered, topics.out, topics.dead_letter(topics.asked)]
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    await admin.close()
    return topics


@pytest.fixture
async def producer(broker: Broker) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all")
    await producer.start()
    yield producer
    await producer.stop()


def settings_of(broker: Broker, topics: Topics) -> ServiceSettings:
    return ServiceSettings.model_validate({**broker.settings, "group_id": topics.group})


@asynccontextmanager
async def member(
    broker: Broker, topics: Topics, *, patience_s: float = 60.0, **pending: Any
) -> AsyncIterator[StreamProcessor]:
    """One running member of the group, wired as a service wires it; it leaves by draining."""
    settings = settings_of(broker, topics)
    resources = ProcessResources.of("kernel", settings, KERNEL_METRICS, lambda: None)
    kernel = StreamProcessor(
        Asking(topics, patience_s=patience_s),
        resources,
        topics=[topics.asked, topics.answered],
        pending=PendingOptions(opens=topics.asked, answered_on=topics.answered, **pending),
        dead_letter_topic=topics.dead_letter,
    )
    consuming = open_broker(settings)
    kernel.attach(consuming)
    await resources.producer.start()
    await consuming.start()
    await kernel.start()
    try:
        yield kernel
    finally:
        await kernel.drain()
        await consuming.stop()
        await resources.producer.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():  # noqa: ASYNC110  another process's state
            await asyncio.sleep(0.02)


async def read(broker: Broker, topic: str, count: int) -> list[ConsumerRecord]:
    return await broker.read(topic, count, partitions=PARTITIONS, within_s=WITHIN_S)


async def committed(broker: Broker, topics: Topics, topic: str, partition: int = 0) -> int | None:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, group_id=topics.group, enable_auto_commit=False)
    await consumer.start()
    try:
        offset: int | None = await consumer.committed(TopicPartition(topic, partition))
        return offset
    finally:
        await consumer.stop()


async def send(producer: AIOKafkaProducer, topic: str, *keys: bytes, partition: int = 0, value: bytes = b"q") -> None:
    for key in keys:
        await producer.send_and_wait(topic, value, key=key, partition=partition)


async def test_outputs_stay_on_their_partition_number(broker: Broker, topics, producer):
    await send(producer, topics.asked, b"a", partition=0)
    await send(producer, topics.asked, b"b", partition=1)
    async with member(broker, topics):
        found = await read(broker, topics.out, 2)
    assert {(record.partition, record.key) for record in found} == {(0, b"a"), (1, b"b")}


async def test_what_was_open_is_read_again_after_a_restart(broker: Broker, topics, producer):
    await send(producer, topics.asked, b"a", b"b", b"c")
    async with member(broker, topics):
        await read(broker, topics.out, 3)
        await send(producer, topics.answered, b"a")
        await read(broker, topics.out, 4)
    assert (await committed(broker, topics, topics.asked), await committed(broker, topics, topics.answered)) == (1, 1)
    async with member(broker, topics):
        found = await read(broker, topics.out, 6)
    assert sorted(record.key for record in found if record.value == b"request") == [b"a", b"b", b"b", b"c", b"c"]


async def test_silence_of_an_idle_topic_becomes_certain(broker: Broker, topics, producer):
    await send(producer, topics.asked, b"a")
    async with member(broker, topics, patience_s=0.3) as kernel:
        found = await read(broker, topics.out, 2)
        await until(lambda: kernel.open_records() == 0)
    assert [record.value for record in found] == [b"request", b"presumed"]


async def test_a_full_window_lets_replies_through(broker: Broker, topics, producer):
    keys = [b"%d" % number for number in range(30)]
    await send(producer, topics.asked, *keys)
    async with member(broker, topics, max_open=10) as kernel:
        await read(broker, topics.out, 10)
        await send(producer, topics.answered, *keys)
        await read(broker, topics.out, 60)
        await until(lambda: kernel.open_records() == 0)
        assert kernel.consumer.paused() == set()
    assert await committed(broker, topics, topics.asked) == 30


async def test_poison_is_kept_with_its_headers_and_passed_over(broker: Broker, topics, producer):
    await producer.send_and_wait(topics.asked, b"bad", key=b"a", partition=0, headers=[("h", b"\xff\xfe")])
    await send(producer, topics.asked, b"b", value=b"bug")
    await send(producer, topics.asked, b"c")
    async with member(broker, topics):
        letters = await read(broker, topics.dead_letter(topics.asked), 2)
        found = await read(broker, topics.out, 1)
    reasons = {record.key: dict(record.headers)["dlq_reason"] for record in letters}
    assert reasons == {b"a": b"not_json", b"b": b"handler_error"}
    assert dict(letters[0].headers)["h"] == b"\xff\xfe"
    assert [record.key for record in found] == [b"c"]


async def test_members_share_partitions_and_hand_them_over(broker: Broker, topics, producer):
    # A question that is read again after its answer finds silence.
    async with member(broker, topics, patience_s=2.0) as first:
        await until(lambda: sorted(first.partitions) == [0, 1])
        for number in range(40):
            await send(producer, topics.asked, b"%d" % number, partition=number % 2)
        async with member(broker, topics, patience_s=2.0) as second:
            await until(lambda: len(first.partitions) == len(second.partitions) == 1)
            assert first.partitions.keys() != second.partitions.keys()
            for number in range(40):
                await send(producer, topics.answered, b"%d" % number, partition=number % 2)
        await until(lambda: sorted(first.partitions) == [0, 1])
        await until(lambda: first.open_records() == 0 and first.lag() == {topics.asked: 0, topics.answered: 0})
    decided = {record.key for record in await read(broker, topics.out, 80) if record.value == b"decided"}
    assert decided == {b"%d" % number for number in range(40)}
    assert await committed(broker, topics, topics.asked) == 20
