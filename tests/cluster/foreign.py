"""What other clients write: plain records, transactions, and batches that no client can unpack."""

from collections.abc import Callable

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from tests.cluster.partition_log import TRANSACTIONAL, PartitionLog, with_attributes


def batch(key: bytes | None, value: bytes, timestamp_ms: int, producer: int = -1) -> bytes:
    """Return a batch of one record; `producer` is the id of one that is known to the brokers, -1: none."""
    number = 0 if producer >= 0 else -1
    builder = DefaultRecordBatchBuilder(2, 0, 0, producer, number, number, 65_536)
    builder.append(0, timestamp_ms, key, value, [])
    return bytes(builder.build())


def transaction(log: PartitionLog, producer: int, timestamp_ms: int, *, aborted: bool) -> None:
    """Write a transaction; a committed one has no records, since readers would be given them."""
    if aborted:
        log.append(with_attributes(batch(b"foreign", b"{}", timestamp_ms, producer), TRANSACTIONAL))
    log.end_transaction(producer, timestamp_ms, aborted=aborted)


def unreadable(fault: str, records: int, timestamp_ms: int) -> bytes:
    """Return a batch of records with one of the faults of `UNREADABLE`."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 65_536)
    for number in range(records):
        builder.append(number, timestamp_ms, b"key", b"{}", [("a-name", b"")])
    return UNREADABLE[fault](bytes(builder.build()))


UNREADABLE: dict[str, Callable[[bytes], bytes]] = {
    "a header name that is not UTF-8": lambda data: with_attributes(data.replace(b"a-name", b"\xff\xfename"), 0),
    "a codec that nobody has": lambda data: with_attributes(data, 0x07),
    "a check sum that is wrong": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
}
