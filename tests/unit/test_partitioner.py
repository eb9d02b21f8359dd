"""An application lives where Kafka's clients put its key by default, whichever way that is computed."""

from collections import Counter
from uuid import UUID

import pytest
from aiokafka.partitioner import DefaultPartitioner, murmur2
from hypothesis import given
from hypothesis import strategies as st

from contracts.records import partition_of, partitions_of
from contracts.topics import DEFAULT_PARTITIONS

WHOLE = 2**31
application_ids = st.integers(0, 2**128 - 1).map(lambda number: str(UUID(int=number)).encode())


# What `org.apache.kafka.common.utils.Utils.murmur2` gives, from the Java client's own test.
@pytest.mark.parametrize(
    ("key", "murmur"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_a_key_lives_where_the_java_client_puts_it(key: bytes, murmur: int):
    assert partition_of(key, WHOLE) == murmur & 0x7FFFFFFF
    assert partition_of(key, DEFAULT_PARTITIONS) == (murmur & 0x7FFFFFFF) % DEFAULT_PARTITIONS


@given(st.binary(max_size=80), st.integers(1, 1000))
def test_any_key_lives_where_aiokafka_puts_it(key: bytes, partitions: int):
    numbers = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, numbers, numbers)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 255, 256, 257, 259, 1_200])
def test_blocks_of_any_size_are_whole(count: int):
    keys = [str(UUID(int=number * 2**90 + 7)).encode() for number in range(count)]
    assert partitions_of(keys, WHOLE) == [partition_of(key, WHOLE) for key in keys]


@given(st.lists(application_ids, max_size=300), st.sampled_from([1, 2, 6, 7, WHOLE]))
def test_many_ids_live_where_each_of_them_does(keys: list[bytes], partitions: int):
    assert partitions_of(keys, partitions) == [(murmur2(key) & 0x7FFFFFFF) % partitions for key in keys]


@given(st.lists(application_ids | st.binary(max_size=40), max_size=20))
def test_keys_that_are_no_ids_may_be_among_them(keys: list[bytes]):
    assert partitions_of(keys, 6) == [partition_of(key, 6) for key in keys]


def test_partitions_share_the_applications_evenly():
    keys = [f"0199bd6a-0000-7000-8000-{number:012x}".encode() for number in range(6_000)]
    shares = Counter(partitions_of(keys, DEFAULT_PARTITIONS))
    assert set(shares) == set(range(DEFAULT_PARTITIONS))
    assert all(count == pytest.approx(1_000, rel=0.15) for count in shares.values())
