"""Fetched bytes that cannot be unpacked: what is handed out for them, and for what stands around them."""

import struct

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record import util
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from runtime.unreadable import EveryRecord, UnreadableRecord

READ_COMMITTED = 1


def batch(first: int, *, broken: int | None = None, records: int = 3) -> bytes:
    """Return a batch from an offset on; the record `broken` has a header name that is not UTF-8."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 65_536)
    for number in range(records):
        builder.append(number, 1, b"k", b"v", [("a-name" if number == broken else "b-name", b"")])
    data = bytearray(bytes(builder.build()).replace(b"a-name", b"\xff\xfename"))
    struct.pack_into(">q", data, 0, first)
    struct.pack_into(">I", data, 17, util.calc_crc32c(bytes(data[21:])))
    return bytes(data)


def unpacked(data: bytes, at: int) -> tuple[list[tuple[int, bool]], int]:
    """Return offsets, with whether each was readable, and where the next fetch begins."""
    place = TopicPartition("topic", 0)
    records = EveryRecord(place, MemoryRecords(data), [], at, None, None, True, READ_COMMITTED)
    given = [(record.offset, not isinstance(record, UnreadableRecord)) for record in records]
    return given, records.next_fetch_offset


def test_the_client_unpacks_by_it():
    assert fetcher.PartitionRecords is EveryRecord


def test_what_stands_around_is_read_from_the_same_answer():
    given, following = unpacked(batch(0) + batch(3, broken=1) + batch(6), 0)
    assert given == [
        (0, True),
        (1, True),
        (2, True),
        (3, True),
        (4, False),
        (5, False),
        *[(n, True) for n in (6, 7, 8)],
    ]
    assert following == 9


def test_offsets_that_no_record_has_are_no_unreadable_records():
    assert unpacked(batch(0) + batch(5, broken=0, records=1), 0) == ([(0, True), (1, True), (2, True), (5, False)], 6)


def test_who_begins_within_a_broken_batch_is_given_its_rest():
    assert unpacked(batch(0, broken=0), 1) == ([(1, False), (2, False)], 3)


def test_bytes_that_are_no_batch_end_the_answer():
    given, following = unpacked(batch(0) + struct.pack(">qi", 3, 1) + b"x", 0)
    assert (given, following) == ([(0, True), (1, True), (2, True), (3, False)], 4)
