"""The identity of a log: one record in a topic of its own, written once, which a store asks whether it belongs here."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from runtime.settings import KafkaAccess

READ_TIMEOUT_MS = 10_000
_POLL_MS = 100


async def read_log_identity(access: KafkaAccess, topic: str) -> str | None:
    """Return the log's id; None where the topic that holds it is empty.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer, or does not say within 10 s what the topic holds.

    """
    consumer = AIOKafkaConsumer(**access.client_options(), group_id=None, enable_auto_commit=False)
    tp = TopicPartition(topic, 0)
    try:
        await consumer.start()
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        for _ in range(READ_TIMEOUT_MS // _POLL_MS):
            for records in (await consumer.getmany(tp, timeout_ms=_POLL_MS, max_records=1)).values():
                return bytes(records[0].value).decode()
            # The mark is known once a fetch has come back.
            if consumer.highwater(tp) is not None and await consumer.position(tp) >= consumer.highwater(tp):
                return None
    finally:
        # Gathered: a fetch that waits to try again, and is cancelled by this, would cancel who stops the consumer, too.
        await asyncio.gather(consumer.stop(), return_exceptions=True)
    # Silence says nothing about the log: who took it for an empty topic would stop for good.
    raise KafkaTimeoutError(f"no answer from {topic} within {READ_TIMEOUT_MS // 1_000} s")
