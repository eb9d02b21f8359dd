"""One partition of a simulated topic: batches as bytes, offsets, marks, and what the broker remembers of producers."""

import struct
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords
from aiokafka.record import util
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord

# The header of a batch (KIP-98): first offset, length, leader epoch, magic, check sum, attributes, last offset's
# distance, first and last timestamp, producer's id and epoch, first sequence number, record count.
HEADER = struct.Struct(">qiibIhiqqqhii")
_FIRST_OFFSET = struct.Struct(">q")
_CHECKED_FROM = 21
TRANSACTIONAL, CONTROL = 0x10, 0x20
# Kafka's error codes.
NO_ERROR, OUT_OF_ORDER, INVALID_EPOCH = 0, 45, 47
# How many batches of a producer the broker remembers.
_REMEMBERED = 5


class Batch(NamedTuple):
    """Stored records; `readable` is false where no client can unpack them."""

    first: int
    last: int
    data: bytes
    producer: int
    attributes: int
    readable: bool = True


class Written(NamedTuple):
    """The broker's answer to one batch: Kafka's error code, and the offset that its first record has."""

    error: int
    offset: int


@dataclass(slots=True)
class _Producer:
    epoch: int
    batches: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))


class PartitionLog:
    """A log that no broker loses: what it accepts is on all replicas.

    Attributes:
        start: the first offset that is still there.
        end: the offset that the next record gets.
        mark: the high-water mark; readers see what is below it.

    """

    def __init__(self, topic: str, number: int) -> None:
        self.topic, self.number = topic, number
        self.start = self.end = self.mark = 0
        self.batches: list[Batch] = []
        self.aborted: list[tuple[int, int, int]] = []
        self._open: dict[int, int] = {}
        self._producers: dict[int, _Producer] = {}
        self.waiting: dict[Callable[[], None], None] = {}
        self._marks: list[tuple[int, float]] = []

    def append(self, data: bytes, *, readable: bool = True) -> Written:
        """Store one batch as a leader does: a producer's repeat is recognised, a gap in its numbers refused."""
        (_, _, _, _, _, attributes, distance, _, _, producer, epoch, sequence, _) = HEADER.unpack_from(data)
        if producer >= 0:
            known = self._refused_or_repeated(producer, epoch, None if attributes & CONTROL else sequence, distance)
            if known is not None:
                return known
        first, last = self.end, self.end + distance
        self.batches.append(
            Batch(first, last, _FIRST_OFFSET.pack(first) + data[_FIRST_OFFSET.size :], producer, attributes, readable)
        )
        self.end = last + 1
        if producer >= 0 and not attributes & CONTROL:
            self._producers[producer].batches.append((sequence, sequence + distance, first))
        if attributes & TRANSACTIONAL and not attributes & CONTROL:
            self._open.setdefault(producer, first)
        return Written(NO_ERROR, first)

    def end_transaction(self, producer: int, timestamp_ms: int, *, aborted: bool) -> None:
        """Write a transaction's marker, a record that takes an offset and that no reader is given."""
        known = self._producers.get(producer)
        written = self.append(_marker(producer, known.epoch if known else 0, timestamp_ms, aborted=aborted))
        first = self._open.pop(producer, None)
        if aborted and first is not None:
            self.aborted.append((producer, first, written.offset))

    def skip(self, offsets: int) -> None:
        """Leave a gap, as compaction and markers do."""
        self.end += offsets

    def _refused_or_repeated(self, producer: int, epoch: int, sequence: int | None, distance: int) -> Written | None:
        """Return the answer to a batch that is not to be stored; a marker has no sequence number."""
        known = self._producers.get(producer)
        if known is None or epoch > known.epoch:
            if known is not None and sequence:
                return Written(OUT_OF_ORDER, -1)
            # Who is not known may begin with any number: what was known of it may have been deleted.
            self._producers[producer] = _Producer(epoch)
            return None
        if epoch < known.epoch:
            return Written(INVALID_EPOCH, -1)
        if sequence is None:
            return None
        for first, last, offset in known.batches:
            if first == sequence and last == sequence + distance:
                return Written(NO_ERROR, offset)
        expected = known.batches[-1][1] + 1 if known.batches else 0
        return None if sequence == expected else Written(OUT_OF_ORDER, -1)

    @property
    def stable(self) -> int:
        """The last stable offset: below it no transaction is open."""
        return min([self.mark, *self._open.values()])

    def show(self, now: float = 0.0) -> None:
        """Move the high-water mark to the end: all replicas have what was written; whoever waits for it is told."""
        self.mark = self.end
        self._marks.append((self.end, now))
        waiting, self.waiting = self.waiting, {}
        for tell in waiting:
            tell()

    def shown_at(self, offset: int) -> float:
        """Return when the mark passed an offset."""
        return next(now for mark, now in self._marks if mark > offset)

    def truncate(self, before: int) -> None:
        """Delete what lies before an offset, whole batches only."""
        self.start = max(self.start, min(before, self.mark))
        self.batches = [batch for batch in self.batches if batch.last >= self.start]

    def read(self, offset: int, *, committed: bool, batches: int) -> tuple[bytes, tuple[tuple[int, int], ...]]:
        """Return up to so many batches from the one that holds `offset`, and the aborted transactions in them."""
        limit = self.stable if committed else self.mark
        chosen = [batch for batch in self.batches if batch.last >= offset and batch.first < limit][:batches]
        if not chosen:
            return b"", ()
        last = chosen[-1].last
        aborted = tuple((producer, first) for producer, first, end in self.aborted if end >= offset and first <= last)
        return b"".join(batch.data for batch in chosen), aborted if committed else ()

    def unreadable(self) -> list[int]:
        """Return the offsets of records that no client can unpack."""
        batches = [batch for batch in self.batches if not batch.readable]
        return [offset for batch in batches for offset in range(batch.first, batch.last + 1)]

    def records(self) -> Iterator[ConsumerRecord]:
        """Yield what a reader of committed records is given, from the start."""
        _, aborted = self.read(self.start, committed=True, batches=len(self.batches))
        data = b"".join(batch.data for batch in self.batches if batch.readable and batch.first < self.stable)
        if data:
            transactions = [_Aborted(*pair) for pair in aborted]
            place = TopicPartition(self.topic, self.number)
            yield from PartitionRecords(
                place,
                MemoryRecords(data),
                transactions,
                self.start,
                None,
                None,
                True,
                _READ_COMMITTED,
            )


def _marker(producer: int, epoch: int, timestamp_ms: int, *, aborted: bool) -> bytes:
    """Return the batch of a control record: key is version and type (0 aborts, 1 commits), value the coordinator's."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, producer, epoch, 0, 65_536)
    builder.append(0, timestamp_ms, struct.pack(">hh", 0, not aborted), bytes(6), [])
    return with_attributes(bytes(builder.build()), TRANSACTIONAL | CONTROL)


class _Aborted(NamedTuple):
    producer_id: int
    first_offset: int


_READ_COMMITTED = READ_UNCOMMITTED + 1


def split(data: bytes) -> Iterator[bytes]:
    """Yield the batches of a produce request's message set."""
    place = 0
    while place < len(data):
        _, length = struct.unpack_from(">qi", data, place)
        yield data[place : place + 12 + length]
        place += 12 + length


def with_attributes(data: bytes, added: int) -> bytes:
    """Return a batch with further attribute bits, and the check sum that belongs to them."""
    changed = bytearray(data)
    (attributes,) = struct.unpack_from(">h", changed, _CHECKED_FROM)
    struct.pack_into(">h", changed, _CHECKED_FROM, attributes | added)
    struct.pack_into(">I", changed, _CHECKED_FROM - 4, util.calc_crc32c_py(bytes(changed[_CHECKED_FROM:])))
    return bytes(changed)
