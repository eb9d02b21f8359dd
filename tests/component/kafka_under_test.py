"""The three brokers that one contract holds for: the simulation, the embedded one, and Apache Kafka in a container."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from tests.cluster.kafka import KafkaCluster
from tests.cluster.partition_log import TRANSACTIONAL, with_attributes
from tests.component.raw_kafka import EARLIEST, NO_ERROR, GroupMember, RawConnection, batch_of, open_raw, until

# What a container is told is the least (tests/containers/kafka.py).
SESSION_MS = 1_000


class Transaction(Protocol):
    """A transaction of another client in the first partition of a topic."""

    async def write(self, values: Sequence[bytes]) -> None:
        """Write records, one batch."""

    async def end(self, *, aborted: bool) -> None:
        """Commit or abort; its marker is in the log then."""


class Backend(Protocol):
    """What Kafka's clients cannot ask for in the same way on all three.

    `patience_s` is how long an answer may take before a test gives up; a session of `long_ms` does not end within one.
    """

    @property
    def address(self) -> str: ...

    @property
    def patience_s(self) -> float: ...

    @property
    def long_ms(self) -> int: ...

    async def create(self, topic: str, partitions: int) -> None: ...

    async def delete_before(self, topic: str, offset: int) -> None: ...

    async def transaction(self, topic: str, stack: AsyncExitStack) -> Transaction: ...


@dataclass(slots=True)
class KafkaUnderTest:
    """A broker, with everything that a test opens closed at its end, in the order of Kafka's clients."""

    backend: Backend
    stack: AsyncExitStack
    group: str = field(default_factory=lambda: f"group-{uuid4().hex}")

    async def topic(self, partitions: int = 2) -> str:
        """Return a new topic that is ready."""
        name = f"topic-{uuid4().hex}"
        await self.backend.create(name, partitions)
        connection = await self.connect()
        for number in range(partitions):
            await until(partial(connection.offset, name, EARLIEST, partition=number), (NO_ERROR, 0))
        return name

    async def connect(self) -> RawConnection:
        host, _, port = self.backend.address.rpartition(":")
        return await open_raw(host, int(port), self.stack, self.backend.patience_s)

    async def member(self, *, session_ms: int | None = None, rebalance_ms: int | None = None) -> GroupMember:
        """Return somebody who may join the test's group; unless it is told, it has all the time that a test takes."""
        connection = await self.connect()
        await connection.until_coordinated(self.group)
        long_ms = self.backend.long_ms
        return GroupMember(
            connection, self.group, session_ms=session_ms or long_ms, rebalance_ms=rebalance_ms or long_ms
        )

    async def producer(self, **options: Any) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(bootstrap_servers=self.backend.address, acks="all", **options)
        return await self._started(producer)

    async def consumer(self, *topics: str, **options: Any) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            *topics,
            bootstrap_servers=self.backend.address,
            **{"auto_offset_reset": "earliest", "enable_auto_commit": False, **options},
        )
        return await self._started(consumer)

    async def _started(self, client: Any) -> Any:
        # Not as a context: one that cannot start must be stopped too.
        self.stack.push_async_callback(client.stop)
        await client.start()
        return client

    async def transaction(self, topic: str) -> Transaction:
        return await self.backend.transaction(topic, self.stack)


@dataclass(slots=True)
class RunningBroker:
    """A broker that listens on this machine, asked as any client asks it."""

    address: str
    patience_s: float
    # A session that does not end within a test.
    long_ms: int = 20_000

    async def create(self, topic: str, partitions: int) -> None:
        async with AsyncExitStack() as stack:
            admin = await self._admin(stack)
            await admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])

    async def delete_before(self, topic: str, offset: int) -> None:
        async with AsyncExitStack() as stack:
            admin = await self._admin(stack)
            await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})

    async def transaction(self, topic: str, stack: AsyncExitStack) -> Transaction:
        producer = AIOKafkaProducer(bootstrap_servers=self.address, transactional_id=f"transaction-{uuid4().hex}")
        stack.push_async_callback(self._stop, producer)
        async with asyncio.timeout(self.patience_s):
            await producer.start()
        await producer.begin_transaction()
        return _ClientsTransaction(topic, producer)

    async def _stop(self, producer: AIOKafkaProducer) -> None:
        # One that could not end its transaction would try for ever.
        async with asyncio.timeout(self.patience_s):
            await producer.stop()

    async def _admin(self, stack: AsyncExitStack) -> AIOKafkaAdminClient:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        stack.push_async_callback(admin.close)
        await admin.start()
        return admin


@dataclass(slots=True)
class _ClientsTransaction:
    topic: str
    producer: AIOKafkaProducer

    async def write(self, values: Sequence[bytes]) -> None:
        batch = self.producer.create_batch()
        for value in values:
            assert batch.append(key=None, value=value, timestamp=None)
        batch.close()
        await (await self.producer.send_batch(batch, self.topic, partition=0))

    async def end(self, *, aborted: bool) -> None:
        await (self.producer.abort_transaction() if aborted else self.producer.commit_transaction())


@dataclass(slots=True)
class Simulation:
    """The simulated cluster with one broker; transactions and deletions are made in its log."""

    cluster: KafkaCluster
    patience_s: float = 60.0
    long_ms: int = 20_000

    @property
    def address(self) -> str:
        return self.cluster.address

    async def create(self, topic: str, partitions: int) -> None:
        self.cluster.add_topic(topic, partitions)

    async def delete_before(self, topic: str, offset: int) -> None:
        self.cluster.logs[topic, 0].truncate(offset)

    async def transaction(self, topic: str, _: AsyncExitStack) -> Transaction:
        self.cluster.producers += 1
        return _WrittenTransaction(self.cluster, topic, self.cluster.producers)


@dataclass(slots=True)
class _WrittenTransaction:
    cluster: KafkaCluster
    topic: str
    producer: int
    written: int = 0

    async def write(self, values: Sequence[bytes]) -> None:
        batch = batch_of(values, producer=self.producer, epoch=0, sequence=self.written)
        self.cluster.append(self.topic, 0, with_attributes(batch, TRANSACTIONAL))
        self.written += len(values)

    async def end(self, *, aborted: bool) -> None:
        log = self.cluster.logs[self.topic, 0]
        log.end_transaction(self.producer, self.cluster.wall_ms(), aborted=aborted)
        log.show(self.cluster.loop.time())
