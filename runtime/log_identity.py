"""The identity of a log: one record in a topic of its own, written once, which a store asks whether it belongs here."""

from aiokafka import AIOKafkaConsumer, TopicPartition

from runtime.errors import FatalError
from runtime.settings import KafkaAccess

READ_TIMEOUT_MS = 10_000


async def read_log_identity(access: KafkaAccess, topic: str) -> str:
    """Return the log's id.

    Raises:
        FatalError: the topic is empty, so the log was not set up by `paperless topics`.

    """
    consumer = AIOKafkaConsumer(**access.client_options(), group_id=None, enable_auto_commit=False)
    try:
        await consumer.start()
        tp = TopicPartition(topic, 0)
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        found = await consumer.getmany(tp, timeout_ms=READ_TIMEOUT_MS, max_records=1)
    finally:
        await consumer.stop()
    for records in found.values():
        return bytes(records[0].value).decode()
    msg = f"topic {topic} is empty: the log has no identity; run `paperless topics`"
    raise FatalError(msg)
