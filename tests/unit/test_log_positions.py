"""Where a member reads on: start offsets, repeats, gaps, and the markers of other clients' transactions."""

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    KafkaTimeoutError,
)

from runtime import log_positions
from runtime.errors import FatalError
from tests.support.fakes_runtime import (
    ANSWERS,
    OPENS,
    Bench,
    BrokerDownError,
    started,
    stored,
)


async def test_reading_starts_at_the_committed_offset():
    bench = Bench()
    bench.consumer.offsets[TopicPartition(OPENS, 0)] = 5
    bench.consumer.first[TopicPartition(ANSWERS, 0)] = 3
    await bench.assign()
    assert set(bench.consumer.seeks) == {(TopicPartition(OPENS, 0), 5), (TopicPartition(ANSWERS, 0), 3)}
    await bench.batch(stored(5, b"q"))
    assert bench.values() == [b"request"]


async def test_records_deleted_unread_stop_the_line_at_start():
    bench = Bench()
    bench.consumer.offsets[TopicPartition(OPENS, 0)] = 2
    bench.consumer.first[TopicPartition(OPENS, 0)] = 7
    await bench.assign()
    assert "asked/0: offset 2 is outside the log, which is 7 to 1000000000; send" in (bench.kernel.fatal or "")
    assert (bench.stops, bench.consumer.seeks) == (["stop"], [])


async def test_a_log_shorter_than_the_commit_stops_the_line():
    bench = Bench()
    bench.consumer.offsets[TopicPartition(OPENS, 0)] = 9
    bench.consumer.end[TopicPartition(OPENS, 0)] = 8
    await bench.assign()
    assert "asked/0: offset 9 is outside the log, which is 0 to 8" in (bench.kernel.fatal or "")
    assert (bench.stops, bench.consumer.seeks) == (["stop"], [])


@pytest.mark.parametrize(
    "error",
    [
        KafkaTimeoutError("failed to get offsets in 40000 ms"),
        # What aiokafka makes of a coordinator that is away.
        KafkaError("GroupCoordinatorNotAvailableError()"),
        BrokerDownError("no answer"),
    ],
)
async def test_start_offsets_that_no_broker_tells_in_time_are_asked_for_again(error):
    bench = Bench()
    bench.consumer.offsets[TopicPartition(OPENS, 0)] = 3
    bench.consumer.offset_errors = [error]
    await bench.assign()
    assert (bench.kernel.fatal, bench.stops) == (None, [])
    assert (TopicPartition(OPENS, 0), 3) in bench.consumer.seeks


async def test_unknown_start_offsets_stop_the_line(monkeypatch):
    bench = Bench()

    async def fails(_):
        raise GroupAuthorizationFailedError("intake")

    monkeypatch.setattr(bench.consumer, "committed", fails)
    await bench.assign()
    assert "start offsets are not known" in (bench.kernel.fatal or "")


async def test_a_member_that_reads_on_while_offsets_are_asked_for_makes_no_foreign_log(monkeypatch):
    """The log's end was asked for first once, and another member's commit, made meanwhile, lay beyond it."""
    bench, place = Bench(), TopicPartition(OPENS, 0)
    bench.consumer.end[place] = 4

    async def committed(tp):
        bench.consumer.end[place] = 9
        return 7 if tp == place else None

    monkeypatch.setattr(bench.consumer, "committed", committed)
    await bench.assign()
    assert (bench.kernel.fatal, bench.stops) == (None, [])
    assert (place, 7) in bench.consumer.seeks


async def test_repeats_are_read_over():
    bench = await started()
    await bench.batch(stored(0, b"q"), stored(1, b"q"))
    await bench.batch(stored(1, b"q"), stored(2, b"q"))
    await bench.batch(stored(0, b"q"))
    assert bench.values() == [b"request"] * 3
    assert bench.counted("records_redelivered_total", topic=OPENS) == 2


async def test_a_gap_is_asked_for_once_more():
    bench = await started()
    bench.consumer.seeks.clear()
    await bench.batch(stored(3, b"q"))
    assert (bench.values(), bench.kernel.fatal) == ([], None)
    assert bench.consumer.seeks == [(TopicPartition(OPENS, 0), 0)]
    await bench.batch(stored(0, b"q"), stored(1, b"q"))
    assert bench.values() == [b"request"] * 2


async def test_a_gap_that_the_log_has_is_read_over():
    bench = await started()
    await bench.batch(stored(3, b"q"))
    await bench.batch(stored(3, b"q"), stored(4, b"q"))
    assert (bench.values(), bench.kernel.fatal) == ([b"request"] * 2, None)


async def test_a_gap_that_was_filled_does_not_vouch_for_a_later_one():
    bench = await started()
    await bench.batch(stored(3, b"q"))
    await bench.batch(stored(0, b"q"), stored(1, b"q"))
    await bench.batch(stored(5, b"q"))
    assert bench.values() == [b"request"] * 2
    assert bench.consumer.seeks[-1] == (TopicPartition(OPENS, 0), 2)


async def test_repeats_after_a_gap_are_read_over():
    bench = await started()
    await bench.batch(stored(0, b"q"), stored(1, b"q"))
    await bench.batch(stored(5, b"q"))
    await bench.batch(stored(1, b"q"), stored(2, b"q"))
    assert bench.values() == [b"request"] * 3
    assert bench.counted("records_redelivered_total", topic=OPENS) == 1


async def test_markers_at_the_end_of_a_log_are_read_over_and_committed():
    bench, place = await started(), TopicPartition(OPENS, 0)
    await bench.batch(stored(0, b"q", key=b"a"), stored(1, b"answer", topic=ANSWERS, key=b"a"))
    bench.consumer.fetched(OPENS, 0, 3)
    bench.consumer.positions[place] = 3
    await bench.kernel._pass_markers()
    assert bench.kernel.partitions[0].next_offsets[OPENS] == 3


async def test_what_the_client_has_handed_out_is_not_taken_for_markers():
    bench, place = await started(), TopicPartition(OPENS, 0)
    bench.consumer.fetched(OPENS, 0, 3)
    bench.consumer.positions[place] = 3
    bench.kernel._take(True)
    await bench.kernel._pass_markers()
    assert bench.kernel.partitions[0].next_offsets[OPENS] == 0


async def test_what_was_deleted_unread_is_not_taken_for_markers():
    """Out of the log's range, the client begins again at its start, and hands out nothing when nothing is there."""
    bench, place = await started(), TopicPartition(OPENS, 0)
    bench.consumer.fetched(OPENS, 0, 3)
    bench.consumer.positions[place] = bench.consumer.first[place] = 3
    with pytest.raises(FatalError, match="asked/0: offsets 0 to 2 are gone from the log, unread"):
        await bench.kernel._pass_markers()


async def test_a_gap_that_stays_stops_the_line():
    bench = await started()
    bench.consumer.first[TopicPartition(OPENS, 0)] = 3
    await bench.batch(stored(3, b"q"))
    await bench.batch(stored(3, b"q"))
    assert "asked/0: offsets 0 to 2 are gone from the log, unread; send" in (bench.kernel.fatal or "")
    assert (bench.values(), bench.stops) == ([], ["stop"])


async def test_a_member_that_was_overtaken_waits_until_it_is_told(monkeypatch):
    """It lost the partition while nobody reached it; another member read on, and what that committed is deleted."""
    monkeypatch.setattr(log_positions, "OVERTAKEN_S", 0)
    bench, place = await started(), TopicPartition(OPENS, 0)
    bench.consumer.first[place] = bench.consumer.offsets[place] = 3
    await bench.batch(stored(3, b"q"))
    await bench.batch(stored(3, b"q"))
    assert (bench.kernel.fatal, bench.values()) == (None, [])
    assert bench.kernel.partitions[0].next_offsets[OPENS] == 0


async def test_another_member_that_did_not_come_so_far_is_no_excuse():
    bench, place = await started(), TopicPartition(OPENS, 0)
    bench.consumer.first[place], bench.consumer.offsets[place] = 3, 2
    await bench.batch(stored(3, b"q"))
    await bench.batch(stored(3, b"q"))
    assert "asked/0: offsets 0 to 2 are gone from the log, unread; send" in (bench.kernel.fatal or "")


async def test_a_gap_of_one_partition_leaves_the_others_alone():
    bench = await started(0, 1)
    await bench.batch(stored(3, b"q"), stored(0, b"q", partition=1))
    assert (bench.values(), bench.values(partition=1)) == ([], [b"request"])
