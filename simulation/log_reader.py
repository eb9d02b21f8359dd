"""Reading a log from its start to its end as it is now, partition by partition."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.topics import dead_letter_topics
from simulation.checkers import Letter, LoggedRecord

MAX_RECORDS = 5_000
# An idle fetch returns after this time and tells the high-water mark of an empty partition.
FETCH_WAIT_MS = 50


class LogReader:
    """Reads partitions of a log outside any group; an async context manager.

    Raises:
        aiokafka.errors.KafkaError: on entering, when the broker does not answer.

    """

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._consumer: Any = None

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers.split(","),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def batches(self, topic: str, partition: int) -> AsyncIterator[Sequence[Any]]:
        """Yield the consumer records of one partition from the log's start to the high-water mark."""
        target = TopicPartition(topic, partition)
        self._consumer.assign([target])
        await self._consumer.seek_to_beginning(target)
        while True:
            for records in (await self._consumer.getmany(target, timeout_ms=200, max_records=MAX_RECORDS)).values():
                yield records
            mark = self._consumer.highwater(target)
            if mark is not None and await self._consumer.position(target) >= mark:
                return

    async def records(self, topic: str, partition: int) -> list[LoggedRecord]:
        """Return all records of one partition."""
        return [
            LoggedRecord(partition, record.offset, record.key, record.value)
            async for batch in self.batches(topic, partition)
            for record in batch
        ]

    async def letters(self, partition: int) -> list[Letter]:
        """Return the dead letters of one partition of every topic."""
        found = []
        for name, source in dead_letter_topics():
            async for batch in self.batches(name, partition):
                for record in batch:
                    headers = dict(record.headers)
                    offset = int(headers.get("dlq_offset", b"-1"))
                    reason = headers.get("dlq_reason", b"unknown").decode()
                    found.append(Letter(source.name, partition, offset, reason))
        return found
