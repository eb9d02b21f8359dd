"""FastStream with batches both ways: `batch=True` and `publish_batch`, typed by the event, committed after each batch.

At least once: `AckPolicy.ACK` commits when the handler is done, and the handler waits for the broker. As good as the
default parser allows; headers are those of the batch, since `publish_batch` has none per message.
"""

import asyncio
from collections import defaultdict

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaPublishMessage
from faststream.kafka.annotations import KafkaMessage

from benchmarks.peers.copying import MAX_RECORDS, Hop
from benchmarks.peers.job import Job, Meter
from runtime.broker import MAX_BATCH_BYTES
from runtime.subscription import MAX_FETCH_BYTES

# Records of this size that surely fit a batch; `publish_batch` raises where they do not.
CHUNK = 500


async def main(job: Job) -> None:
    """Copy the log."""
    broker = KafkaBroker(job.servers, logger=None, acks="all", max_batch_size=MAX_BATCH_BYTES)
    published, meter = 0, Meter(job.records)

    @broker.subscriber(
        job.source,
        batch=True,
        max_records=MAX_RECORDS,
        batch_timeout_ms=20,
        ack_policy=AckPolicy.ACK,
        max_partition_fetch_bytes=MAX_FETCH_BYTES,
        **job.subscription,
    )
    async def copy(hops: list[Hop], message: KafkaMessage) -> None:
        nonlocal published
        meter.begin()
        by_partition: defaultdict[int, list[KafkaPublishMessage]] = defaultdict(list)
        for hop, record in zip(hops, message.raw_message, strict=True):
            by_partition[record.partition].append(KafkaPublishMessage(hop, key=record.key))
        sending = [
            broker.publish_batch(*copies[start : start + CHUNK], topic=job.target, partition=partition)
            for partition, copies in by_partition.items()
            for start in range(0, len(copies), CHUNK)
        ]
        await asyncio.gather(*sending)
        published += len(hops)

    await meter.run(broker, lambda: published)


if __name__ == "__main__":
    asyncio.run(main(Job.from_command_line()))
