"""Rebalances, stops and health of the kernel: what several tasks do to each other."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from runtime import consumer as consumer_module
from runtime.health import BUSY_LIMIT_S, POLL_LIMIT_S, PROGRESS_LIMIT_S, positions, unready_reasons
from tests.support.fakes_runtime import (
    ANSWERS,
    OPENS,
    AskHandler,
    Bench,
    BrokerDownError,
    answer,
    eventually,
    silence,
    started,
    stored,
)


@pytest.fixture(autouse=True)
def quick_ticks(monkeypatch):
    monkeypatch.setattr(consumer_module, "TICK_S", 0.0)
    monkeypatch.setattr(consumer_module, "TAKEN_BATCH_GRACE_S", 0.0)


async def test_the_ticker_commits_by_itself():
    bench = await started()
    await bench.kernel.start()
    await bench.batch(stored(0, b"q"), answer(0, b"k0"))
    bench.clock.advance(1.0)
    await eventually(lambda: bench.consumer.offsets.get(TopicPartition(OPENS, 0)) == 1)
    await bench.kernel.drain()


async def test_what_could_not_be_published_is_not_committed():
    bench = await started()
    bench.producer.gate.clear()
    bench.producer.errors = [TypeError("headers")]
    await bench.take(stored(0, b"bad"))
    await bench.kernel.start()
    for _ in range(5):
        await asyncio.sleep(0)
    bench.producer.gate.set()
    bench.clock.advance(60)
    await eventually(lambda: bench.kernel.fatal is not None)
    assert "TypeError" in (bench.kernel.fatal or "")
    assert bench.consumer.commits == []
    await bench.kernel.drain()


async def test_a_ticker_that_waited_does_not_commit_a_failed_batch():
    bench = await started()
    bench.producer.gate.clear()
    bench.producer.errors = [TypeError("headers")]
    await bench.take(stored(0, b"bad"))
    batch = asyncio.create_task(bench.take(stored(1, b"bad")))
    await eventually(bench.kernel._lock.locked)
    await bench.kernel.start()
    for _ in range(5):
        await asyncio.sleep(0)
    bench.producer.gate.set()
    await batch
    bench.clock.advance(60)
    for _ in range(20):
        await asyncio.sleep(0)
    assert "TypeError" in (bench.kernel.fatal or "")
    assert bench.consumer.commits == []
    await bench.kernel.drain()


async def test_the_next_batch_is_decided_while_one_is_on_its_way():
    bench = await started()
    bench.producer.gate.clear()
    await bench.take(stored(0, b"q"))
    second = asyncio.create_task(bench.take(stored(1, b"q")))
    await eventually(lambda: bench.kernel.open_records() == 2)
    assert (bench.values(), bench.consumer.commits) == ([], [])
    bench.producer.gate.set()
    await second
    await bench.commit()
    assert bench.values() == [b"request", b"request"]


async def test_no_commit_overtakes_what_is_on_its_way():
    bench = await started()
    bench.producer.gate.clear()
    await bench.take(stored(0, b"q"), answer(0, b"k0"))
    commit = asyncio.create_task(bench.commit())
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.consumer.commits == []
    bench.producer.gate.set()
    assert await commit == {(OPENS, 0): 1, (ANSWERS, 0): 1}
    assert bench.values() == [b"request", b"decided"]


async def test_a_bug_at_a_deadline_stops_the_line_uncommitted():
    class Broken(AskHandler):
        def on_deadline(self, key, state):
            raise ZeroDivisionError

    bench = await started(handler=Broken())
    await bench.batch(stored(0, b"q"))
    await bench.kernel.start()
    for _ in range(3):
        bench.clock.advance(5)
        bench.consumer.fetched(ANSWERS, 0, 0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await eventually(lambda: bench.kernel.fatal is not None)
    assert (bench.stops, bench.consumer.offsets.get(TopicPartition(OPENS, 0), 0)) == (["stop"], 0)
    await bench.kernel.drain()


async def test_a_stop_publishes_what_a_deadline_had_begun():
    bench = await started()
    await bench.batch(stored(0, b"q"))
    bench.producer.gate.clear()
    await bench.kernel.start()
    for _ in range(3):
        bench.clock.advance(5)
        bench.consumer.fetched(ANSWERS, 0, 0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await eventually(lambda: bench.kernel.open_records() == 0)
    stop = asyncio.create_task(bench.kernel.drain())
    await asyncio.sleep(0)
    bench.producer.gate.set()
    await stop
    assert bench.values() == [b"request", b"presumed"]
    assert bench.consumer.offsets[TopicPartition(OPENS, 0)] == 1


async def test_a_stop_commits_what_was_handled():
    bench = await started()
    await bench.batch(stored(0, b"q"), stored(1, b"q"), answer(0, b"k0"))
    await bench.kernel.drain()
    assert bench.consumer.offsets == {TopicPartition(OPENS, 0): 1, TopicPartition(ANSWERS, 0): 1}


async def test_records_after_a_stop_are_left_for_the_next_owner():
    bench = await started()
    await bench.kernel.drain()
    await bench.batch(stored(0, b"q"))
    assert bench.values() == []


async def test_a_stop_does_not_wait_for_a_broker_for_ever(monkeypatch):
    monkeypatch.setattr(consumer_module, "LAST_COMMIT_TIMEOUT_S", 0.0)
    bench = await started()
    bench.producer.gate.clear()
    await bench.take(stored(0, b"q"))
    batch = asyncio.create_task(bench.take(stored(1, b"q")))
    await eventually(bench.kernel._lock.locked)
    await bench.kernel.drain()
    assert bench.consumer.offsets == {}
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    await bench.revoke()
    assert bench.consumer.offsets == {}, "the batch was never published"


async def test_nothing_is_tried_any_more_after_a_stop(monkeypatch):
    monkeypatch.setattr(consumer_module, "LAST_COMMIT_TIMEOUT_S", 0.0)
    bench = await started()
    bench.producer.gate.clear()
    await bench.take(stored(0, b"q"))
    await bench.kernel.drain()
    bench.producer.gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.values() == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_stop_in_the_middle_of_a_rebalance_is_not_held_up():
    bench = await started()
    await bench.revoke()
    pending = asyncio.create_task(bench.batch(stored(0, b"q")))
    await asyncio.sleep(0)
    assert not pending.done()
    await bench.kernel.drain()
    await pending
    assert bench.values() == []


async def test_partitions_are_given_away_although_a_batch_hangs(monkeypatch):
    monkeypatch.setattr(consumer_module, "LAST_COMMIT_TIMEOUT_S", 0.0)
    bench = await started()
    bench.producer.gate.clear()
    await bench.take(stored(0, b"q"))
    batch = asyncio.create_task(bench.take(stored(1, b"q")))
    await eventually(bench.kernel._lock.locked)
    await bench.revoke()
    assert (bench.kernel.partitions, bench.consumer.offsets) == ({}, {})
    bench.producer.gate.set()
    await batch
    assert bench.kernel.fatal is None


async def test_a_batch_waits_until_its_partitions_are_assigned():
    bench = Bench()
    pending = asyncio.create_task(bench.batch(stored(0, b"q")))
    await asyncio.sleep(0)
    assert bench.values() == []
    await bench.assign()
    await pending
    assert bench.values() == [b"request"]


async def test_a_batch_is_published_once_the_broker_is_back():
    bench = await started()
    bench.producer.errors = [BrokerDownError(), BrokerDownError()]
    await bench.batch(stored(0, b"q"))
    assert (bench.values(), bench.kernel.publisher.failing) == ([b"request"], False)


def ticker(*, done: bool) -> Any:
    return SimpleNamespace(done=lambda: done)


async def healthy() -> Bench:
    bench = await started()
    for topic in (OPENS, ANSWERS):
        bench.consumer.fetched(topic, 0, 0)
    bench.kernel.ticker = ticker(done=False)
    return bench


async def test_a_member_at_work_is_ready():
    assert unready_reasons((await healthy()).kernel) == []


async def test_a_member_without_partitions_says_so():
    bench = await healthy()
    await bench.revoke()
    assert unready_reasons(bench.kernel) == ["no partition is assigned"]


async def test_a_stopped_line_tells_why():
    bench = await healthy()
    bench.consumer.first[TopicPartition(OPENS, 0)] = 9
    await bench.batch(stored(9, b"q"))
    await bench.batch(stored(9, b"q"))
    [reason] = unready_reasons(bench.kernel)
    assert reason.startswith("stopped: asked/0: offsets 0 to 8 are gone from the log, unread")


async def test_a_batch_that_takes_too_long_is_noticed():
    bench = await healthy()
    bench.producer.gate.clear()
    await bench.take(stored(0, b"q"))
    batch = asyncio.create_task(bench.take(stored(1, b"q")))
    await eventually(bench.kernel._lock.locked)
    bench.clock.advance(BUSY_LIMIT_S + 1)
    assert f"one batch is being handled for {BUSY_LIMIT_S + 1:.0f} s" in unready_reasons(bench.kernel)
    bench.producer.gate.set()
    await batch


async def test_a_batch_that_waits_for_another_is_noticed():
    """What holds the lock may wait for a broker or coordinator that is away, and nothing else is done meanwhile."""
    bench = await healthy()
    async with bench.kernel._lock:
        waiting = asyncio.create_task(bench.take(stored(0, b"q")))
        await eventually(lambda: bench.kernel.busy_since is not None)
        bench.clock.advance(BUSY_LIMIT_S + 1)
        assert f"one batch is being handled for {BUSY_LIMIT_S + 1:.0f} s" in unready_reasons(bench.kernel)
    await waiting


async def test_records_that_nobody_handles_are_noticed():
    """Whatever it is that keeps them from being handled: they are fetched, and that is all."""
    bench = await healthy()
    bench.consumer.fetched(OPENS, 0, 7)
    await bench.kernel._pass_markers()
    bench.clock.advance(PROGRESS_LIMIT_S + 1)
    bench.consumer.fetched(OPENS, 0, 7)
    bench.consumer.fetched(ANSWERS, 0, 0)
    assert unready_reasons(bench.kernel) == [f"records wait, and none was handled for {PROGRESS_LIMIT_S + 1:.0f} s"]


async def test_a_member_that_has_nothing_to_do_makes_progress():
    bench = await healthy()
    bench.clock.advance(PROGRESS_LIMIT_S + 1)
    bench.consumer.fetched(OPENS, 0, 0)
    bench.consumer.fetched(ANSWERS, 0, 0)
    await bench.kernel._pass_markers()
    assert unready_reasons(bench.kernel) == []


async def test_a_ticker_that_died_is_noticed():
    bench = await healthy()
    bench.kernel.ticker = ticker(done=True)
    assert unready_reasons(bench.kernel) == ["the ticker is not running"]


async def test_a_broker_that_takes_nothing_is_noticed():
    bench = await healthy()
    bench.kernel.publisher.failing = True
    assert unready_reasons(bench.kernel) == ["the broker does not take records"]


async def test_a_broker_that_is_away_is_named_until_it_is_back():
    bench = await healthy()
    connection = bench.consumer._client._conns[0]
    connection.open = False
    for _ in range(8):
        bench.kernel.contact.look(bench.consumer._client._conns)
    assert unready_reasons(bench.kernel) == ["broker unreachable"]
    connection.open = True
    bench.kernel.contact.look(bench.consumer._client._conns)
    assert unready_reasons(bench.kernel) == []


async def test_positions_are_told_by_topic_and_partition():
    bench = await healthy()
    await bench.batch(stored(0, b"q"), stored(1, b"q"))
    assert positions(bench.kernel) == {OPENS: {"0": 2}, ANSWERS: {"0": 0}}


async def test_a_partition_no_longer_fetched_is_noticed():
    bench = await healthy()
    bench.clock.advance(POLL_LIMIT_S + 1)
    bench.consumer.fetched(ANSWERS, 0, 0)
    assert unready_reasons(bench.kernel) == [f"asked/0 was not fetched for {POLL_LIMIT_S + 1:.0f} s"]


async def test_partitions_of_a_topic_that_are_not_fetched_are_one_reason():
    bench = await healthy()
    await bench.assign(0, 1, 2)
    for number in range(3):
        bench.consumer.fetched(OPENS, number, 0)
        bench.consumer.fetched(ANSWERS, number, 0)
    bench.clock.advance(POLL_LIMIT_S + 1)
    bench.consumer.fetched(OPENS, 1, 0)
    seconds = f"{POLL_LIMIT_S + 1:.0f} s"
    assert unready_reasons(bench.kernel) == [
        f"{ANSWERS}/0,1,2 was not fetched for {seconds}",
        f"{OPENS}/0,2 was not fetched for {seconds}",
    ]


async def test_what_a_broker_that_is_away_brings_with_it_is_not_named_beside_it():
    bench = await healthy()
    bench.consumer._client._conns[0].open = False
    for _ in range(8):
        bench.kernel.contact.look(bench.consumer._client._conns)
    bench.clock.advance(POLL_LIMIT_S + 1)
    assert unready_reasons(bench.kernel) == ["broker unreachable"]


async def test_a_paused_partition_need_not_be_fetched():
    bench = await healthy()
    bench.consumer.pause(TopicPartition(OPENS, 0))
    bench.clock.advance(POLL_LIMIT_S + 1)
    bench.consumer.fetched(ANSWERS, 0, 0)
    assert unready_reasons(bench.kernel) == []


async def test_lag_counts_what_is_not_read():
    bench = await healthy()
    bench.consumer.fetched(OPENS, 0, 7)
    await bench.batch(stored(0, b"q"), stored(1, b"q"))
    assert bench.kernel.lag() == {OPENS: 5, ANSWERS: 0}


async def test_lag_before_the_first_fetch_is_not_known():
    bench = await started()
    assert bench.kernel.lag() == {OPENS: -1, ANSWERS: -1}


async def test_silence_of_one_partition_says_nothing_of_another():
    bench = await started(0, 1)
    await bench.batch(stored(0, b"q"), stored(0, b"q", partition=1))
    await silence(bench)
    assert (bench.values(), bench.values(partition=1)) == ([b"request", b"presumed"], [b"request"])
