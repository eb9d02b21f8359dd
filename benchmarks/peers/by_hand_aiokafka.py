"""Hand-written on aiokafka: many records at once, closed batches out by partition, commits on a timer.

At least once, as the kernel: offsets are committed after the broker has the copies. While it stores one batch, the next
one is copied. What the kernel does beside that is left out: dead letters, rebalances, gaps, backoff, health, metrics.
The ceiling of everything on this client.
"""

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from benchmarks.peers.copying import COMMIT_S, MAX_RECORDS, decoded, encoded, headers
from benchmarks.peers.job import Job, Meter
from runtime.broker import MAX_BATCH_BYTES
from runtime.garbage_collector import tune_garbage_collector
from runtime.subscription import MAX_FETCH_BYTES


async def main(job: Job) -> None:
    """Copy the log."""
    consumer = AIOKafkaConsumer(
        job.source,
        bootstrap_servers=job.servers,
        enable_auto_commit=False,
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=MAX_FETCH_BYTES,
        partition_assignment_strategy=(RangePartitionAssignor,),
        **job.subscription,
    )
    producer = AIOKafkaProducer(bootstrap_servers=job.servers, acks="all", max_batch_size=MAX_BATCH_BYTES, linger_ms=0)
    await consumer.start()
    await producer.start()
    meter = Meter(job.records)
    try:
        await copy_all(consumer, producer, job.target, meter)
    finally:
        await consumer.stop()
        await producer.stop()
    meter.report()


async def copy_all(consumer: Any, producer: Any, target: str, meter: Meter) -> None:
    """Read, copy, wait for the batch before; commit now and then, and at the end."""
    positions: dict[TopicPartition, int] = {}
    published, commit_at = 0, time.monotonic() + COMMIT_S
    flight: list[asyncio.Future[Any]] = []
    before: dict[TopicPartition, list[Any]] = {}
    tune_garbage_collector()
    while not meter.finished:
        fetched = await consumer.getmany(timeout_ms=20, max_records=MAX_RECORDS)
        if fetched:
            meter.begin()
        sent = [future for tp, rows in fetched.items() for future in await copy(producer, target, tp.partition, rows)]
        await asyncio.gather(*flight)
        for tp, rows in before.items():
            positions[tp] = rows[-1].offset + 1
            published += len(rows)
        flight, before = sent, fetched
        meter.reached(published)
        if positions and time.monotonic() >= commit_at:
            await consumer.commit(positions)
            commit_at = time.monotonic() + COMMIT_S
    await asyncio.gather(*flight)
    await consumer.commit({**positions, **{tp: rows[-1].offset + 1 for tp, rows in before.items()}})


async def copy(producer: Any, target: str, partition: int, rows: list[Any]) -> list[asyncio.Future[Any]]:
    """Hand one partition's rows to the producer in closed batches; the futures end when the broker has them."""
    futures = []
    batch = producer.create_batch()
    for row in rows:
        hop = decoded(row.value)
        value, made = encoded(hop), headers(hop.key)
        if batch.append(key=row.key, value=value, timestamp=None, headers=made) is None:
            batch.close()
            futures.append(await producer.send_batch(batch, target, partition=partition))
            batch = producer.create_batch()
            batch.append(key=row.key, value=value, timestamp=None, headers=made)
    batch.close()
    futures.append(await producer.send_batch(batch, target, partition=partition))
    return futures


if __name__ == "__main__":
    asyncio.run(main(Job.from_command_line()))
