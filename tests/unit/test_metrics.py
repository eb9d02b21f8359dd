"""What an operator reads off a member at the moment of a scrape."""

import pytest

from runtime.health import measure
from runtime.metrics import Metric, Metrics
from tests.support.fakes_runtime import ANSWERS, OPENS, PATIENCE_S, Bench, stored


def gauge(bench: Bench, name: str, **labels: str) -> float | None:
    measure(bench.kernel, bench.metrics)
    return bench.metrics.registry.get_sample_value(f"paperless_{name}", labels)


async def test_lag_is_told_by_partition():
    bench = Bench()
    await bench.assign(0, 1)
    await bench.batch(stored(0), stored(1))
    bench.consumer.fetched(OPENS, 0, 7)
    bench.consumer.fetched(OPENS, 1, 3)
    assert gauge(bench, "consumer_lag_records", topic=OPENS, partition="0") == 5
    assert gauge(bench, "consumer_lag_records", topic=OPENS, partition="1") == 3
    assert gauge(bench, "consumer_lag_records", topic=ANSWERS, partition="0") == 0


async def test_the_oldest_open_record_grows_older_until_it_is_closed():
    bench = Bench()
    await bench.assign()
    assert gauge(bench, "window_oldest_seconds", partition="0") == 0
    await bench.batch(stored(0, key=b"a"))
    bench.clock.advance(PATIENCE_S - 1)
    await bench.batch(stored(1, key=b"b"))
    bench.clock.advance(0.5)
    assert gauge(bench, "window_open_records", partition="0") == 2
    assert gauge(bench, "window_oldest_seconds", partition="0") == PATIENCE_S - 0.5
    await bench.batch(stored(0, key=b"a", topic=ANSWERS))
    assert gauge(bench, "window_oldest_seconds", partition="0") == 0.5


async def test_a_record_that_comes_again_does_not_grow_young():
    bench = Bench()
    await bench.assign()
    await bench.batch(stored(0, key=b"a"))
    bench.clock.advance(1.0)
    await bench.batch(stored(1, key=b"a"))
    assert gauge(bench, "window_oldest_seconds", partition="0") == 1.0


async def test_a_partition_that_was_given_away_is_told_of_no_more():
    bench = Bench()
    await bench.assign(0, 1)
    assert gauge(bench, "window_open_records", partition="1") == 0
    await bench.revoke()
    await bench.assign(0)
    assert gauge(bench, "window_open_records", partition="1") is None
    assert gauge(bench, "consumer_lag_records", topic=OPENS, partition="1") is None
    assert gauge(bench, "partitions_assigned") == 1


async def test_a_member_that_cannot_publish_says_so():
    bench = Bench()
    await bench.assign()
    assert gauge(bench, "publishing_failing") == 0
    bench.kernel.publisher.failing = True
    assert gauge(bench, "publishing_failing") == 1
    assert gauge(bench, "member_ready") == 0


async def test_a_topic_nobody_filed_on_yet_is_seen_to_stand_still():
    bench = Bench()
    bench.metrics.exposition()
    assert bench.metrics.registry.get_sample_value("paperless_records_consumed_total", {"topic": OPENS}) == 0


def test_what_runs_is_told_by_name_and_version():
    told = Metrics("intake", ()).exposition().decode()
    assert 'paperless_build_info{service="intake",version="0.1.0"} 1.0' in told
    assert "process_resident_memory_bytes" in told


def test_an_undeclared_name_is_refused():
    metrics = Metrics("intake", (Metric("counter", "known_total", "Known."),))
    with pytest.raises(KeyError):
        metrics.count("unknown_total")
    with pytest.raises(KeyError):
        metrics.gauge("unknown", 1)
