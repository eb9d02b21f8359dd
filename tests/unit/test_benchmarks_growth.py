import re

import pytest

from benchmarks.growth import PER_DAY, Filled, Outcomes, Round, measure, name_of, pool_of, sqlite_stores, summary
from benchmarks.scale import BASES, Layout
from benchmarks.systems import SystemRun
from benchmarks.systems import summary as systems_summary
from contracts.records import partition_of

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def pool():
    return pool_of(300)


def test_generated_outcomes_have_new_ids_in_the_order_of_time_on_their_partitions(pool):
    batch = Outcomes(pool).batch(2_000)
    names = [outcome.application_id for *_, outcome in batch]
    assert names == sorted(set(names))
    assert all(UUID7.fullmatch(name) for name in names)
    assert all(at == partition_of(outcome.application_id.encode(), 6) for at, _, outcome in batch)
    assert len({outcome.content_hash for *_, outcome in batch}) == 2_000


def test_weeks_later_outcomes_count_in_later_months(pool):
    outcomes = Outcomes(pool)
    outcomes._number = 60 * PER_DAY
    ((_, _, later),) = outcomes.batch(1)
    assert later.cell.month == "2025-12"
    assert later.cell[1:] == pool[60 * PER_DAY % len(pool)].cell[1:]


def test_a_store_is_filled_through_its_own_write_path(pool):
    with sqlite_stores([500]) as urls:
        filled = Filled(urls[500], pool)
        with filled.store:
            filled.take(500)
            filled.take(250)
            assert sum(one.applications for one in filled.store.snapshot().fingerprints.values()) == 750


def test_every_store_is_compared_with_the_first(pool):
    with sqlite_stores([100, 400]) as urls:
        found = measure(urls, rounds=2, outcomes=100, pool=pool)
    assert len(found["rounds"]) == 2
    assert found["growth_0.4k"] > 0
    assert set(found["preload_s"]) == {"0.1k", "0.4k"}


def test_growth_is_the_median_of_the_ratios_of_the_rounds():
    found = {
        100_000: [Round(10, 20), Round(20, 40), Round(10, 20)],
        5_000_000: [Round(11, 20), Round(24, 40), Round(30, 80)],
    }
    result = summary(found)
    assert result["growth_5m"] == 1.2
    assert result["growth_5m_spread"] == [1.1, 3.0]
    assert result["rounds"] == [1.1, 1.2, 3.0]


@pytest.mark.parametrize(("size", "name"), [(100_000, "100k"), (1_000_000, "1m"), (5_000_000, "5m")])
def test_sizes_are_named_as_they_are_said(size, name):
    assert name_of(size) == name


def test_a_larger_system_is_compared_with_the_smallest_of_its_kind():
    runs = {
        Layout(1, 1).name: [SystemRun(1000, {"intake": 40.0})],
        Layout(16, 1).name: [SystemRun(900, {"intake": 50.0})],
    }
    result = systems_summary(runs, BASES)
    assert result["16 partitions, 1 intake"]["cpu_ratio"] == 1.25
    assert result["16 partitions, 1 intake"]["rate_ratio"] == 0.9
    assert "cpu_ratio" not in result["1 partitions, 1 intake"]
