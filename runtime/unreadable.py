"""Records that the client cannot unpack: a header name that is not UTF-8, a codec unknown to it, damaged bytes.

aiokafka raises before there is a record, drops what it had unpacked of the same answer, and fetches the same bytes
again, and so on. Here such records are handed out in their places, without key and value, so that each becomes a dead
letter by its position, and what stands around them is read as always.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import aiokafka.consumer.fetcher
import structlog
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import KafkaError

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


class _Batches:
    """The batches of a fetch, as aiokafka's `MemoryRecords`; `last` is the one that was handed out last."""

    def __init__(self, records: Any) -> None:
        self.last: Any = None
        self.has_next, self._next_batch = records.has_next, records.next_batch

    def next_batch(self) -> Any:
        self.last = None
        self.last = self._next_batch()
        return self.last


class EveryRecord(PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    """Unpacks the records of one partition's fetch, with an `UnreadableRecord` for each that cannot be.

    The client cannot go on in a batch after a record that it could not unpack, so all that follow in that batch count
    as unreadable too.
    """

    def _unpack_records(self) -> Iterator[Any]:
        batches = _Batches(self._records)  # type: ignore[has-type]
        self._records = batches
        while True:
            try:
                yield from super()._unpack_records()
            except Exception as error:  # noqa: BLE001  whatever it is: it came of these bytes, and would come again
                yield from self._rest_of(batches.last, repr(error))
                if batches.last is None:
                    return
            else:
                return

    def _rest_of(self, batch: Any, why: str) -> Iterator[UnreadableRecord]:
        """Yield what of a batch was not unpacked; without a batch, its first offset is all that is known."""
        # Between what was read and the batch may lie offsets that no record has.
        first: int = max(self.next_fetch_offset, getattr(batch, "base_offset", 0))  # type: ignore[has-type]
        end = first + 1 if batch is None else batch.next_offset
        tp: TopicPartition = self._tp
        log.warning("records cannot be unpacked", place=f"{tp.topic}/{tp.partition}", first=first, end=end, error=why)
        timestamp_ms = getattr(batch, "max_timestamp", None) or 0
        for offset in range(first, end):
            self.next_fetch_offset = offset + 1
            yield UnreadableRecord(tp.topic, tp.partition, offset, timestamp_ms, why)
        # What fails behind its last record leaves nothing unread.
        self.next_fetch_offset = max(first, end)


# The client makes it by this name, and takes no other from its callers.
aiokafka.consumer.fetcher.PartitionRecords = EveryRecord


def parted(records: Sequence[Any]) -> Iterable[tuple[bool, Sequence[Any]]]:
    """Return records in order, in parts that are readable or are not."""
    # Some 20 ns a record, a thousandth of what its handler takes.
    if UnreadableRecord not in map(type, records):
        return [(True, records)]
    return [
        (readable, list(part)) for readable, part in groupby(records, lambda each: type(each) is not UnreadableRecord)
    ]


async def read(
    consumer: Any, *places: TopicPartition, timeout_ms: int, max_records: int
) -> dict[TopicPartition, list[Any]]:
    """Return records by partition as the consumer's `getmany` does, with those that it cannot unpack in their places.

    Raises:
        aiokafka.errors.KafkaError: as `getmany`; it is logged, since who called may not.

    """
    try:
        records: dict[TopicPartition, list[Any]] = await consumer.getmany(
            *places, timeout_ms=timeout_ms, max_records=max_records
        )
    except KafkaError as error:
        log.warning("no records can be fetched, trying again", error=repr(error))
        raise
    return records
