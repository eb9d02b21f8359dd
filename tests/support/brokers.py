"""A broker as component tests know it, whichever it is."""

import asyncio
from dataclasses import dataclass
from typing import Self

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from paperless.local.broker import EmbeddedBroker
from paperless.local.broker_kinds import KFAKE, BrokerKind, Capabilities, kfake_is_built
from runtime.settings import KafkaAccess


def need_broker(kind: BrokerKind) -> None:
    """Skip what asks for kfake where no Go could be had to build it; CI, which sees to that, ends before the tests."""
    if kind is KFAKE and not kfake_is_built():
        pytest.skip("kfake was not built, see `python -m paperless.local.kfake`")


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker without topics: `kafka`, or the name of an embedded one; `capabilities` as the services must be told."""

    name: str
    address: str
    capabilities: Capabilities

    @classmethod
    def embedded(cls, broker: EmbeddedBroker) -> Self:
        return cls(broker.kind.name, broker.address, broker.kind.capabilities)

    @property
    def access(self) -> KafkaAccess:
        return KafkaAccess(kafka_servers=self.address)

    @property
    def settings(self) -> dict[str, object]:
        """What a service is told about it; members that were killed are not waited for any longer than they must."""
        return {
            "kafka_servers": self.address,
            "idempotent_producer": self.capabilities.idempotent_producer,
            "end_offsets_reliable": self.capabilities.end_offsets_reliable,
            "fetch_max_wait_ms": self.capabilities.fetch_max_wait_ms,
            "session_timeout_ms": 2_000,
        }

    async def read(self, topic: str, count: int, *, partitions: int, within_s: float) -> list[ConsumerRecord]:
        """Return at least so many records of a topic, from its start, outside any group."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.address, auto_offset_reset="earliest", group_id=None)
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
            records: list[ConsumerRecord] = []
            async with asyncio.timeout(within_s):
                while len(records) < count:
                    for fetched in (await consumer.getmany(timeout_ms=100)).values():
                        records += fetched
            return records
        finally:
            await consumer.stop()
