"""FastStream as its first page shows it: a handler per message, typed by the event, that publishes one message.

The broker's own defaults: `AckPolicy.ACK_FIRST`, which is a commit on a timer whether the handler is done or not. So a
crash can lose records: it promises less than the kernel.
"""

import asyncio

from faststream.kafka import KafkaBroker

from benchmarks.peers.copying import Hop, headers
from benchmarks.peers.job import Job, Meter
from contracts.records import partition_of


async def main(job: Job) -> None:
    """Copy the log."""
    # A line of log per message would be the default; it is left out, in its favour.
    broker = KafkaBroker(job.servers, logger=None)
    published, meter = 0, Meter(job.records)

    @broker.subscriber(job.source, **job.subscription)
    async def copy(hop: Hop) -> None:
        nonlocal published
        meter.begin()
        named = {name: value.decode() for name, value in headers(hop.key)}
        key = hop.key.encode()
        # Keys stay where they are, as this log's contract wants it.
        partition = partition_of(key, job.partitions)
        await broker.publish(hop, job.target, key=key, partition=partition, headers=named)
        published += 1

    await meter.run(broker, lambda: published)


if __name__ == "__main__":
    asyncio.run(main(Job.from_command_line()))
