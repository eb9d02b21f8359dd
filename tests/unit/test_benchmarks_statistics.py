"""What makes a ratio believable: rounds side by side, medians, nobody always first."""

import pytest

from benchmarks.containers import MIB, Memory, Sample
from benchmarks.goals import GOALS, Goal
from benchmarks.intake import Intake
from benchmarks.peers.job import Job, Measurement, Meter
from benchmarks.rounds import Spread, ratios, turns
from benchmarks.suite import SUITE, chosen


def test_a_machine_that_slows_down_does_not_move_a_ratio():
    assert ratios([100.0, 50.0, 25.0], [200.0, 100.0, 50.0]) == [0.5, 0.5, 0.5]


def test_a_ratio_needs_both_sides_of_every_round():
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_one_lucky_round_does_not_move_the_figure():
    assert Spread.of([1.0, 9.0, 1.1]) == (1.1, 1.0, 9.0)


def test_every_variant_begins_a_round():
    orders = [order for _, order in turns(["a", "b", "c"], 4)]
    assert [order[0] for order in orders] == ["a", "b", "c", "a"]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)


def test_the_clock_runs_from_the_first_record_read_to_the_last_one_published():
    moments = iter([(10.0, 1.0), (12.0, 1.5)])
    meter = Meter(1_000, lambda: next(moments))
    meter.begin()
    for published in (0, 700, 1_000, 1_200):
        meter.begin()
        meter.reached(published)
    assert meter.measurement() == Measurement(per_s=500.0, cpu_us=500.0)


def test_a_run_that_is_not_over_has_no_measurement():
    meter = Meter(10)
    meter.begin()
    meter.reached(9)
    with pytest.raises(ValueError, match="not over"):
        meter.measurement()


def test_an_application_costs_a_submission_and_its_share_of_replies():
    found = Intake.of(
        Measurement(per_s=1_000, cpu_us=10), Measurement(per_s=500, cpu_us=20), replies_per_application=0.5
    )
    assert found == (500.0, 20.0)


def test_a_job_arrives_as_it_was_sent():
    job = Job(servers="127.0.0.1:1", source="in", target="out", group="g", records=7, partitions=6)
    assert Job.from_command_line(["variant", job.to_json()]) == job


@pytest.mark.parametrize(
    ("goal", "met", "missed"),
    [(Goal("≥", 0.95), [0.95, 2], [0.949]), (Goal("≤", 300), [300, 1], [300.1]), (Goal("<", 100), [99.9], [100])],
)
def test_a_goal_knows_its_side(goal: Goal, met: list[float], missed: list[float]):
    assert [goal.met(figure) for figure in met] == [True] * len(met)
    assert [goal.met(figure) for figure in missed] == [False] * len(missed)


def test_every_goal_has_its_benchmark_and_one_only():
    keys = [key for benchmark in SUITE for key in benchmark.keys]
    assert len(keys) == len(set(keys))
    assert set(GOALS) <= set(keys)


def test_what_needs_containers_or_many_minutes_is_measured_only_when_asked_for():
    default = {key for _, keys in chosen([]) for key in keys}
    assert set(GOALS) - default == {
        "flow_per_s",
        "flow_kafka_postgres_per_s",
        "load_max_per_s",
        "rss_mb_max",
        "verify_s",
    }
    assert sum(benchmark.minutes for benchmark, _ in chosen([])) <= 20
    assert [keys for _, keys in chosen(["rss_mb_max", "hop_vs_quix"])] == [("hop_vs_quix",), ("rss_mb_max",)]
    assert len({key for _, keys in chosen([], everything=True) for key in keys}) > len(default)


def test_an_unknown_key_is_told_with_the_known_ones():
    with pytest.raises(ValueError, match="'hop_vs_x' is no key; use one of hop_vs_aiokafka"):
        chosen(["hop_vs_x"])


def memory_of(*megabytes: int) -> Memory:
    return Memory.of([Sample(float(at), 0.0, mb * MIB) for at, mb in enumerate(megabytes)], 0, len(megabytes) - 1)


def test_memory_that_only_warms_up_is_flat():
    assert memory_of(50, 120, 120, 119, 120) == (120.0, 0.0, 0.0)


def test_memory_that_grows_to_the_end_is_seen():
    assert memory_of(50, 100, 150, 200, 250) == (250.0, 100.0, 0.0)


def test_memory_of_a_container_that_ended_early_is_its_peak():
    assert Memory.of([Sample(0.0, 0.0, 7 * MIB)], 0, 100) == (7.0, 0.0, 0.0)


def test_what_comes_after_the_time_is_told_apart():
    samples = [Sample(float(at), 0.0, mb * MIB) for at, mb in enumerate([5, 6, 6, 90, 80])]
    assert Memory.of(samples, 0, 2) == (6.0, 0.0, 90.0)
