"""What every Kafka must do with a log: offsets, batches, producers' numbers, fetches, transactions, deleted records."""

import asyncio
import time
from functools import partial
from itertools import pairwise

from aiokafka import ConsumerRecord, TopicPartition

from tests.cluster import wire
from tests.cluster.partition_log import HEADER, TRANSACTIONAL, split
from tests.component.kafka_under_test import KafkaUnderTest
from tests.component.raw_kafka import (
    EARLIEST,
    INVALID_EPOCH,
    LATEST,
    NO_ERROR,
    OUT_OF_ORDER,
    OUT_OF_RANGE,
    UNKNOWN_TOPIC,
    WITHIN_S,
    batch_of,
    until,
)

# From a batch's check sum on, its bytes are the producer's.
CHECKED_FROM = 17
A, B, C = b"a", b"b", b"c"


async def read(kafka: KafkaUnderTest, topic: str, count: int, **options: str) -> list[tuple[int, bytes | None]]:
    """Return offset and value of the next records that a consumer of the first partition is given."""
    consumer = await kafka.consumer(group_id=None, **options)
    consumer.assign([TopicPartition(topic, 0)])
    records: list[ConsumerRecord] = []
    async with asyncio.timeout(WITHIN_S):
        while len(records) < count:
            for fetched in (await consumer.getmany(timeout_ms=100)).values():
                records += fetched
    return [(record.offset, record.value) for record in records]


def bounds(data: bytes) -> list[tuple[int, int]]:
    """Return the first and the last offset of each batch in a fetch's answer."""
    headers = [HEADER.unpack_from(batch) for batch in split(data)]
    return [(header[0], header[0] + header[6]) for header in headers]


class LogContract:
    async def test_every_version_that_the_simulation_speaks_is_announced(self, kafka: KafkaUnderTest):
        announced = (await kafka.connect()).versions
        spoken = wire.api_versions()
        assert [key for key, low, high in spoken if not announced[key][0] <= low <= high <= announced[key][1]] == []

    async def test_each_partition_counts_its_own_offsets_in_the_order_of_sending(self, kafka: KafkaUnderTest):
        topic = await kafka.topic(partitions=2)
        producer = await kafka.producer()
        sent = [await producer.send_and_wait(topic, b"%d" % n, partition=n % 2) for n in range(6)]
        assert [(each.partition, each.offset) for each in sent] == [(n % 2, n // 2) for n in range(6)]
        assert await read(kafka, topic, 3) == [(0, b"0"), (1, b"2"), (2, b"4")]

    async def test_keys_headers_and_times_arrive_as_they_were_sent(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        producer = await kafka.producer()
        headers = [("ce_id", b"1"), ("ce_id", b"2")]
        await producer.send_and_wait(topic, A, key=b"k", partition=0, headers=headers, timestamp_ms=1_760_000_000_123)
        consumer = await kafka.consumer(group_id=None)
        consumer.assign([TopicPartition(topic, 0)])
        record = await asyncio.wait_for(consumer.getone(), WITHIN_S)
        assert (record.key, record.headers) == (b"k", tuple(headers))
        assert (record.timestamp, record.timestamp_type) == (1_760_000_000_123, 0)

    async def test_a_batch_takes_an_offset_for_each_record_and_its_first_is_told(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        assert await connection.produce(topic, batch_of([A, B, C])) == (NO_ERROR, 0)
        assert await connection.produce(topic, batch_of([A])) == (NO_ERROR, 3)

    async def test_a_partition_that_does_not_exist_is_refused_alone(self, kafka: KafkaUnderTest):
        topic = await kafka.topic(partitions=1)
        connection = await kafka.connect()
        answers = await connection.produce_all(topic, [(0, batch_of([A])), (7, batch_of([B]))])
        assert answers == [(NO_ERROR, 0), (UNKNOWN_TOPIC, -1)]
        assert (await connection.fetch(topic, 0, partition=7)).error == UNKNOWN_TOPIC
        assert (await connection.offset(topic, LATEST, partition=7))[0] == UNKNOWN_TOPIC

    async def test_a_topic_is_described_with_its_partitions(self, kafka: KafkaUnderTest):
        topic = await kafka.topic(partitions=3)
        connection = await kafka.connect()
        assert await connection.described(topic) == (NO_ERROR, [0, 1, 2])
        assert await connection.described("unheard-of") == (UNKNOWN_TOPIC, [])

    # A producer's numbers.

    async def test_every_producer_is_given_an_id_of_its_own(self, kafka: KafkaUnderTest):
        connection = await kafka.connect()
        assert await connection.producer_id() != await connection.producer_id()

    async def test_a_batch_that_is_sent_again_is_stored_once_and_gets_the_same_answer(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        producer = await connection.producer_id()
        batches = [batch_of([A, B], producer=producer, epoch=0, sequence=2 * n) for n in range(5)]
        first = [await connection.produce(topic, batch) for batch in batches]
        again = [await connection.produce(topic, batch) for batch in batches]
        assert first == again == [(NO_ERROR, 2 * n) for n in range(5)]
        assert await connection.offset(topic, LATEST) == (NO_ERROR, 10)

    async def test_a_batch_older_than_a_producers_last_five_is_not_recognised(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        producer = await connection.producer_id()
        batches = [batch_of([A], producer=producer, epoch=0, sequence=n) for n in range(6)]
        for batch in batches:
            await connection.produce(topic, batch)
        assert await connection.produce(topic, batches[0]) == (OUT_OF_ORDER, -1)
        assert await connection.offset(topic, LATEST) == (NO_ERROR, 6)

    async def test_a_gap_in_a_producers_numbers_is_refused(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        producer = await connection.producer_id()
        await connection.produce(topic, batch_of([A], producer=producer, epoch=0, sequence=0))
        gap = await connection.produce(topic, batch_of([C], producer=producer, epoch=0, sequence=2))
        assert gap == (OUT_OF_ORDER, -1)
        assert await connection.produce(topic, batch_of([B], producer=producer, epoch=0, sequence=1)) == (NO_ERROR, 1)

    async def test_each_partition_has_its_own_numbers_of_a_producer(self, kafka: KafkaUnderTest):
        topic = await kafka.topic(partitions=2)
        connection = await kafka.connect()
        batch = batch_of([A], producer=await connection.producer_id(), epoch=0, sequence=0)
        assert await connection.produce(topic, batch, partition=0) == (NO_ERROR, 0)
        assert await connection.produce(topic, batch, partition=1) == (NO_ERROR, 0)

    async def test_a_producer_that_the_partition_does_not_know_may_begin_with_any_number(self, kafka: KafkaUnderTest):
        """Its earlier records may have been deleted, and all memory of it with them."""
        topic = await kafka.topic()
        connection = await kafka.connect()
        producer = await connection.producer_id()
        assert await connection.produce(topic, batch_of([A], producer=producer, epoch=0, sequence=7)) == (NO_ERROR, 0)
        late = await connection.produce(topic, batch_of([B], producer=producer, epoch=0, sequence=0))
        assert late == (OUT_OF_ORDER, -1)

    async def test_a_new_epoch_begins_at_nought_and_ends_the_old_one(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        producer = await connection.producer_id()
        answers = [
            await connection.produce(topic, batch_of([A], producer=producer, epoch=epoch, sequence=sequence))
            for epoch, sequence in ((0, 0), (1, 1), (1, 0), (0, 1))
        ]
        assert answers == [(NO_ERROR, 0), (OUT_OF_ORDER, -1), (NO_ERROR, 1), (INVALID_EPOCH, -1)]

    # Fetches.

    async def test_a_fetch_gives_whole_batches_from_the_one_that_holds_the_offset(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        for _ in range(3):
            await connection.produce(topic, batch_of([A, B, C]))
        fetched = await connection.fetch(topic, 4)
        assert (fetched.error, fetched.mark) == (NO_ERROR, 9)
        batches = bounds(fetched.data)
        assert batches[0] == (3, 5)
        assert all(last + 1 == first for (_, last), (first, _) in pairwise(batches))

    async def test_a_batch_above_the_limit_arrives_whole_all_the_same(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        large = batch_of([A * 1_000])
        for _ in range(2):
            await connection.produce(topic, large)
        fetched = await connection.fetch(topic, 0, limit=100)
        # But for what the broker writes itself: the offset, and the leader's epoch.
        assert fetched.data[CHECKED_FROM : len(large)] == large[CHECKED_FROM:]

    async def test_a_fetch_at_the_end_waits_as_long_as_it_may(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        began = time.monotonic()
        fetched = await connection.fetch(topic, 0, max_wait_ms=400)
        assert (fetched.error, fetched.mark, fetched.data) == (NO_ERROR, 0, b"")
        assert 0.39 <= time.monotonic() - began < 2

    async def test_a_waiting_fetch_is_answered_when_something_is_written(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        reader, writer = await kafka.connect(), await kafka.connect()
        waiting = asyncio.create_task(reader.fetch(topic, 0, max_wait_ms=4_000))
        await asyncio.sleep(0.2)
        await writer.produce(topic, batch_of([A]))
        written = time.monotonic()
        assert bounds((await waiting).data) == [(0, 0)]
        assert time.monotonic() - written < 1

    async def test_a_fetch_outside_the_log_is_refused_at_once(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        await connection.produce(topic, batch_of([A]))
        began = time.monotonic()
        fetched = await connection.fetch(topic, 2, max_wait_ms=2_000)
        assert (fetched.error, fetched.data) == (OUT_OF_RANGE, b"")
        assert time.monotonic() - began < 1

    async def test_deleted_records_move_the_start_even_into_a_batch(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        for _ in range(2):
            await connection.produce(topic, batch_of([A, B, C]))
        await kafka.backend.delete_before(topic, 4)
        assert await connection.offset(topic, EARLIEST) == (NO_ERROR, 4)
        assert await connection.offset(topic, LATEST) == (NO_ERROR, 6)
        assert (await connection.fetch(topic, 3)).error == OUT_OF_RANGE
        assert bounds((await connection.fetch(topic, 4)).data) == [(3, 5)]
        assert await read(kafka, topic, 2) == [(4, B), (5, C)]

    # Transactions.

    async def test_a_committed_transaction_is_read_and_its_marker_takes_an_offset(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        transaction = await kafka.transaction(topic)
        await transaction.write([A, B])
        await transaction.end(aborted=False)
        await _marked(kafka, topic, 3)
        assert await connection.produce(topic, batch_of([C])) == (NO_ERROR, 3)
        for isolation in ("read_committed", "read_uncommitted"):
            assert await read(kafka, topic, 3, isolation_level=isolation) == [(0, A), (1, B), (3, C)]

    async def test_an_aborted_transaction_is_read_by_those_who_ask_for_it_only(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        transaction = await kafka.transaction(topic)
        await transaction.write([A])
        await transaction.end(aborted=True)
        await _marked(kafka, topic, 2)
        await connection.produce(topic, batch_of([C]))
        assert await read(kafka, topic, 1, isolation_level="read_committed") == [(2, C)]
        assert await read(kafka, topic, 2, isolation_level="read_uncommitted") == [(0, A), (2, C)]

    async def test_a_fetch_of_the_committed_names_the_aborted_transactions(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        await connection.produce(topic, batch_of([C]))
        transaction = await kafka.transaction(topic)
        await transaction.write([A])
        await transaction.end(aborted=True)
        await _marked(kafka, topic, 3)
        fetched = await connection.fetch(topic, 1, committed=True)
        (_, _, _, _, _, attributes, _, _, _, producer, *_) = HEADER.unpack_from(fetched.data)
        assert attributes & TRANSACTIONAL
        assert fetched.aborted == [(producer, 1)]
        assert not (await connection.fetch(topic, 1)).aborted

    async def test_what_follows_an_open_transaction_is_not_committed_yet(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        await connection.produce(topic, batch_of([A]))
        transaction = await kafka.transaction(topic)
        await transaction.write([B])
        await connection.produce(topic, batch_of([C]))
        stable = [await connection.offset(topic, LATEST, committed=committed) for committed in (True, False)]
        assert stable == [(NO_ERROR, 1), (NO_ERROR, 3)]
        fetched = await connection.fetch(topic, 1, committed=True, max_wait_ms=200)
        assert (fetched.data, fetched.mark, fetched.stable) == (b"", 3, 1)
        assert await read(kafka, topic, 3, isolation_level="read_uncommitted") == [(0, A), (1, B), (2, C)]
        await transaction.end(aborted=False)
        assert await read(kafka, topic, 3, isolation_level="read_committed") == [(0, A), (1, B), (2, C)]

    async def test_a_waiting_reader_of_the_committed_is_woken_by_the_marker(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        connection = await kafka.connect()
        transaction = await kafka.transaction(topic)
        await transaction.write([A])
        waiting = asyncio.create_task(connection.fetch(topic, 0, committed=True, max_wait_ms=10_000))
        await asyncio.sleep(0.2)
        await transaction.end(aborted=False)
        ended = time.monotonic()
        assert bounds((await waiting).data)[0] == (0, 0)
        assert time.monotonic() - ended < 5

    async def test_an_idempotent_client_begins_and_writes(self, kafka: KafkaUnderTest):
        topic = await kafka.topic()
        producer = await kafka.producer(enable_idempotence=True)
        sent = [await producer.send_and_wait(topic, value, partition=0) for value in (A, B, C)]
        assert [each.offset for each in sent] == [0, 1, 2]


async def _marked(kafka: KafkaUnderTest, topic: str, end: int) -> None:
    """Wait for a transaction's marker, which the coordinator writes after it has answered."""
    connection = await kafka.connect()
    await until(partial(connection.offset, topic, LATEST, committed=True), (NO_ERROR, end))
