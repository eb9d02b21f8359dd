"""Records that the client cannot unpack: a header name that is not UTF-8, a codec unknown to it, damaged bytes.

aiokafka raises before there is a record, then fetches the same bytes again, and so on. Here such a record is handed out
as one without key and value, so that it becomes a dead letter by its position and its partition goes on.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    CorruptRecordException,
    IllegalStateError,
    KafkaError,
    UnsupportedCodecError,
)

from contracts.errors import UNREADABLE, Reject

log = structlog.get_logger(__name__)


class UnreadableRecord(NamedTuple):
    """The position of a record that cannot be unpacked, and why; it has what the kernel reads of a record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    why: str
    key: None = None
    value: None = None
    headers: tuple[()] = ()

    @property
    def refusal(self) -> Reject:
        """Why it is refused, whatever a handler would say of a record without key and value."""
        return Reject(UNREADABLE, self.why)


def _of_the_record(error: Exception) -> bool:
    """Tell whether an error lies in the bytes of a record, rather than in the broker or the client's state."""
    if isinstance(error, CorruptRecordException | UnsupportedCodecError):
        return True
    return not isinstance(error, KafkaError | ConsumerStoppedError | IllegalStateError | OSError | TimeoutError)


async def read(
    consumer: Any,
    *places: TopicPartition,
    timeout_ms: int,
    max_records: int,
    next_offsets: Callable[[], Mapping[TopicPartition, int]],
    failing: Callable[[], None] = lambda: None,
) -> dict[TopicPartition, Any]:
    """Return records by partition as the consumer's `getmany` does, with those that it cannot unpack in their places.

    Args:
        consumer: aiokafka's.
        places: whose records; none means all that are assigned.
        timeout_ms: as in `getmany`.
        max_records: as in `getmany`.
        next_offsets: returns what the caller expects next, by partition. When the client fails, it has passed records
            of this partition and of others that it never handed out.
        failing: is called when the client fails, before anything else is awaited: from then on its positions are ahead
            of what the caller gets, until this returns.

    Raises:
        aiokafka.errors.KafkaError: as `getmany`; it is logged, since who called may not.

    """
    try:
        records: dict[TopicPartition, Any] = await consumer.getmany(
            *places, timeout_ms=timeout_ms, max_records=max_records
        )
    except Exception as error:
        if not _of_the_record(error):
            if isinstance(error, KafkaError):
                log.warning("no records can be fetched, trying again", error=repr(error))
            raise
        failing()
        # Which partition's it was, the client does not say: each is asked by itself.
        return await _read_one_by_one(consumer, places or tuple(consumer.assignment()), timeout_ms, next_offsets())
    return records


async def _read_one_by_one(
    consumer: Any, places: Iterable[TopicPartition], timeout_ms: int, next_offsets: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Any]:
    """Return one record of each partition that has any."""
    records: dict[TopicPartition, Any] = {}
    # Who is given a partition meanwhile begins where its owner left off; one that is given away has no position.
    wanted = {tp: next_offsets[tp] for tp in sorted(places) if tp in next_offsets}
    for tp, offset in wanted.items():
        with contextlib.suppress(IllegalStateError):
            consumer.seek(tp, offset)
    for tp in sorted(wanted.keys() - consumer.paused()):
        with contextlib.suppress(IllegalStateError):
            records |= await _read_one(consumer, tp, wanted[tp], timeout_ms)
    return records


async def _read_one(consumer: Any, tp: TopicPartition, position: int, timeout_ms: int) -> dict[TopicPartition, Any]:
    mark = consumer.highwater(tp)
    if mark is not None and position >= mark:
        return {}
    try:
        records: dict[TopicPartition, Any] = await consumer.getmany(tp, timeout_ms=timeout_ms, max_records=1)
    except Exception as error:
        if not _of_the_record(error):
            raise
        log.warning("record cannot be unpacked", place=f"{tp.topic}/{tp.partition}/{position}", error=repr(error))
        consumer.seek(tp, position + 1)
        now_ms = int(time.time() * 1000)
        return {tp: [UnreadableRecord(tp.topic, tp.partition, position, now_ms, repr(error))]}
    return records
