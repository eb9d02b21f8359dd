"""Writing to the log as anybody who reaches the broker could."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition


class Forged(NamedTuple):
    """A record for a topic; without a partition it goes to that of its key, as the client has it."""

    key: bytes | None
    value: bytes | None
    partition: int | None = None


def produce(address: str, topic: str, records: Iterable[Forged]) -> None:
    asyncio.run(_produce(address, topic, list(records)))


def first_value(address: str, topic: str, partition: int) -> bytes:
    """The value of the first record of a partition."""
    return asyncio.run(_first_value(address, TopicPartition(topic, partition)))


async def _produce(address: str, topic: str, records: list[Forged]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=address, acks="all", max_request_size=1_000_000) as producer:
        for key, value, partition in records:
            await producer.send_and_wait(topic, value, key=key, partition=partition)


async def _first_value(address: str, target: TopicPartition) -> bytes:
    async with AIOKafkaConsumer(bootstrap_servers=address, enable_auto_commit=False) as consumer, asyncio.timeout(20):
        consumer.assign([target])
        await consumer.seek_to_beginning(target)
        return bytes((await consumer.getone()).value)
