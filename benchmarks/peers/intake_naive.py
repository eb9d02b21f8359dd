"""Intake on FastStream as its first page shows it: a handler per message that calls the same core and publishes.

The broker's own defaults (`AckPolicy.ACK_FIRST`), so a crash can lose applications; nothing is pending, so silence is
never noticed and each reply is decided from its context. Each is less work than the kernel's intake does.
"""

import asyncio
from typing import Any

from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage

from benchmarks.peers.job import Job, Meter
from benchmarks.workload import handlers, published
from contracts.topics import APPLICATIONS_SUBMITTED, DOCUMENTS_PROVIDED


async def main(job: Job) -> None:
    """Take what is in the log of submissions or of replies."""
    broker = KafkaBroker(job.servers, logger=None)
    handler = handlers()
    done, meter = 0, Meter(job.records)

    @broker.subscriber(APPLICATIONS_SUBMITTED.name, DOCUMENTS_PROVIDED.name, **job.subscription)
    async def take(message: KafkaMessage) -> None:
        nonlocal done
        meter.begin()
        record: Any = message.raw_message
        for topic, key, value, attributes in published(handler.on_record(record, {})):
            headers = {name: attribute.decode() for name, attribute in attributes}
            await broker.publish(value, topic, key=key, partition=record.partition, headers=headers)
            done += 1

    await meter.run(broker, lambda: done)


if __name__ == "__main__":
    asyncio.run(main(Job.from_command_line()))
