"""A subscription to topics as one group member that is handed raw batches of records."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from runtime.messages import Record
from runtime.settings import ServiceSettings
from runtime.unreadable import read

# One fetch of one partition; a backlog of one topic must not keep the other's records waiting for long.
MAX_FETCH_BYTES = 1024 * 1024
# Answers to a member that joins are held back until the others have joined too, so this must be the shorter one; and
# long enough for the last commit before partitions are given away (`LAST_COMMIT_TIMEOUT_S`).
REBALANCE_TIMEOUT_MS = 10_000
# Only how often an idle member turns round; records end the wait at once.
POLL_TIMEOUT_MS = 1_000
# At a thousand records a second, batches of two or three would take all the processor time there is, and what waits
# for a processor waits longer than this.
BATCHES_APART_S = 0.008


# What one poll hands over: some records of each partition that has any, in offset order.
ConsumerRecords = Mapping[TopicPartition, Sequence[Record]]


def subscribe(
    broker: KafkaBroker,
    *topics: str,
    settings: ServiceSettings,
    listener: ConsumerRebalanceListener,
    taken: Callable[[bool], None] = lambda _: None,
) -> Any:
    """Subscribe to topics as one group member that gets raw `ConsumerRecords`; commits and offsets are the caller's.

    Range assignment gives partition n of every topic to the same member. `taken` is told whether the client has passed
    records that the handler has still to get.
    """

    async def parse(records: ConsumerRecords) -> KafkaMessage:
        # FastStream looks into the raw message for a topic to log.
        return KafkaMessage(body=records, raw_message=next(iter(records.values())), consumer=subscriber.consumer)

    subscriber: Any = broker.subscriber(
        *topics,
        group_id=settings.group_id,
        group_instance_id=settings.group_instance_id,
        batch=True,
        max_records=settings.max_records,
        no_reply=True,
        ack_policy=AckPolicy.MANUAL,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        partition_assignment_strategy=(RangePartitionAssignor,),
        listener=listener,
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=min(1_000, settings.session_timeout_ms // 3),
        rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
        max_poll_interval_ms=300_000,
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
        max_partition_fetch_bytes=MAX_FETCH_BYTES,
        parser=parse,
        decoder=_records,
    )

    subscriber.get_msg = _paced(settings.max_records, taken)
    return subscriber


def _paced(max_records: int, taken: Callable[[bool], None]) -> Callable[[Any], Awaitable[ConsumerRecords]]:
    """Return how a consumer's records are asked for: as soon as there are any, but not all the time."""
    earliest = 0.0

    async def get_msg(consumer: Any) -> ConsumerRecords:
        nonlocal earliest
        now = asyncio.get_running_loop().time
        if (early := earliest - now()) > 0:
            await asyncio.sleep(early)
        # FastStream's own sleeps after an empty poll, and a record that comes then waits for the sleep's end.
        records: ConsumerRecords = await read(consumer, timeout_ms=POLL_TIMEOUT_MS, max_records=max_records)
        taken(bool(records))
        earliest = now() + BATCHES_APART_S
        return records

    return get_msg


async def _records(message: KafkaMessage) -> Any:
    return message.body
