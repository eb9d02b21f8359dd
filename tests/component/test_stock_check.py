"""The example on a real broker: answered, silent and broken, and a member that is killed in between."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from examples.stock_check.__main__ import ANSWERS, ATTEMPTS, ORDERS, PARTITIONS, QUESTIONS, RESULTS, TOPICS
from tests.support.brokers import Broker
from tests.support.service_processes import WITHIN_S, Service
from tests.support.source import ROOT, modules

PATIENCE_S = 0.5
ANSWERED = {b"%d" % number: b"yes" if number % 3 else b"no" for number in range(30)}
SILENT = {b"%d" % number for number in range(30, 36)}
LETTERS = f"{ANSWERS}.dlq"


@pytest.fixture
async def producer(embedded: Broker) -> AsyncIterator[AIOKafkaProducer]:
    admin = AIOKafkaAdminClient(bootstrap_servers=embedded.address)
    await admin.start()
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in (*TOPICS, f"{ORDERS}.dlq", LETTERS)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=embedded.address, acks="all")
    await producer.start()
    yield producer
    await producer.stop()


class Topic:
    """All that a topic holds so far, read from its start."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.records: list[tuple[bytes, bytes, int]] = []
        self.consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest", group_id=None)
        self.consumer.assign([TopicPartition(name, number) for number in range(PARTITIONS)])

    async def more(self) -> list[tuple[bytes, bytes, int]]:
        batches = (await self.consumer.getmany(timeout_ms=100)).values()
        found = [(one.key, one.value, one.partition) for records in batches for one in records]
        self.records += found
        return found

    @property
    def values(self) -> dict[bytes, set[bytes]]:
        return {key: {value for other, value, _ in self.records if other == key} for key, _, _ in self.records}


@asynccontextmanager
async def topic(broker: Broker, name: str) -> AsyncIterator[Topic]:
    topic = Topic(broker, name)
    await topic.consumer.start()
    try:
        yield topic
    finally:
        await topic.consumer.stop()


async def answer_all(questions: Topic, producer: AIOKafkaProducer) -> None:
    while True:
        for key, _, partition in await questions.more():
            if key in ANSWERED:
                await producer.send_and_wait(ANSWERS, ANSWERED[key], key=key, partition=partition)


@pytest.mark.slow(reason="a killed member keeps its partitions until its session times out")
@pytest.mark.slow(reason="the partitions of a killed member are given away only after its session")
async def test_every_order_gets_its_result_although_the_member_is_killed(embedded: Broker, producer, tmp_path):
    def start() -> Service:
        return Service("stock_check", tmp_path, **embedded.settings, patience_s=PATIENCE_S)

    member = start()
    try:
        await member.ready()
        for number, key in enumerate([*ANSWERED, *SILENT]):
            await producer.send_and_wait(ORDERS, b"{}", key=key, partition=number % PARTITIONS)
        await member.wait_until(lambda health: health["open"] == len(ANSWERED) + len(SILENT))
        member.kill()
        await producer.send_and_wait(ANSWERS, b"perhaps", key=b"0", partition=0)
        member = start()
        async with (
            topic(embedded, QUESTIONS) as questions,
            topic(embedded, RESULTS) as results,
            topic(embedded, LETTERS) as letters,
        ):
            answering = asyncio.create_task(answer_all(questions, producer))
            async with asyncio.timeout(WITHIN_S):
                while len(results.values) < len(ANSWERED) + len(SILENT) or not letters.records:
                    await results.more()
                    await letters.more()
            await member.wait_until(lambda health: health["open"] == 0)
            answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering
        assert {key: values - {b"unknown"} for key, values in results.values.items()} == {
            **{key: {value} for key, value in ANSWERED.items()},
            **{key: set() for key in SILENT},
        }
        assert {len(questions.values[key]) for key in SILENT} == {ATTEMPTS}
        assert letters.values == {b"0": {b"perhaps"}}
    finally:
        member.kill()


def test_of_the_contracts_the_kernel_needs_what_the_readme_names():
    needed = {
        module
        for path in modules("runtime")
        for module in re.findall(
            r"^\s*(?:from|import) ((?:contracts|domain|services)\S*)", path.read_text("utf-8"), re.MULTILINE
        )
    }
    readme = (ROOT / "examples/stock_check/README.md").read_text("utf-8")
    assert {f"`{module.replace('.', '/')}.py`" for module in needed} == set(re.findall(r"`contracts/\w+\.py`", readme))
    assert needed == {"contracts.errors"}
