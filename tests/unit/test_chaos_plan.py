"""Plans of faults: drawn from a seed, each kind in them, and no part hit twice at a time; arrivals beside them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperless.chaos.hazards import BURST, container_hazards, local_hazards
from paperless.chaos.plan import REST_S, Fault, Hazard, Kind, chaos_plan, fits
from paperless.chaos.schedule import arrivals, mean_rate, steady_rate

PARTS = ("broker", "intake", "intake_2", "vneid_mock", "scoring", "scoring_api")
LOCAL = local_hazards(PARTS, disk_full=True)
SEEDS = st.integers(min_value=0, max_value=2**64 - 1)
HAZARDS = st.sampled_from([LOCAL, local_hazards(PARTS[:2], disk_full=False), container_hazards()])


@given(SEEDS, st.integers(min_value=0, max_value=60), st.floats(min_value=1, max_value=1_000), HAZARDS)
def test_a_part_has_one_fault_at_a_time_and_rests_between_two(seed, faults, seconds, hazards):
    plan = chaos_plan(seed, faults, seconds, hazards)
    for part in {fault.part for fault in plan}:
        own = [fault for fault in plan if fault.part == part]
        assert all(later.begins_s >= earlier.ends_s + REST_S - 0.02 for earlier, later in pairwise(own))


@given(SEEDS, st.integers(min_value=0, max_value=60), HAZARDS)
def test_a_plan_has_as_many_faults_as_asked_for_in_their_order_and_of_what_may_happen(seed, faults, hazards):
    plan = chaos_plan(seed, faults, 300.0, hazards, after_s=5.0)
    assert len(plan) == faults
    assert [fault.begins_s for fault in plan] == sorted(fault.begins_s for fault in plan)
    assert all(fault.begins_s >= 5.0 for fault in plan)
    possible = {(hazard.kind, hazard.target): hazard for hazard in hazards}
    for fault in plan:
        hazard = possible[fault.kind, fault.target]
        assert hazard.shortest_s <= fault.lasts_s <= hazard.longest_s


@given(SEEDS, HAZARDS, st.integers(min_value=0, max_value=20))
def test_each_kind_happens_where_there_are_as_many_faults_as_kinds(seed, hazards, more):
    kinds = {hazard.kind for hazard in hazards}
    plan = chaos_plan(seed, len(kinds) + more, 300.0, hazards)
    assert {fault.kind for fault in plan} == kinds


@given(SEEDS, HAZARDS)
def test_with_eight_seconds_for_each_of_thirty_faults_the_plan_fits(seed, hazards):
    assert fits(chaos_plan(seed, 30, 240.0, hazards), 240.0 + 30.0)


def test_one_seed_gives_one_plan_and_another_seed_another():
    assert chaos_plan(7, 30, 240.0, LOCAL) == chaos_plan(7, 30, 240.0, LOCAL)
    assert chaos_plan(7, 30, 240.0, LOCAL) != chaos_plan(8, 30, 240.0, LOCAL)


def test_every_target_is_hit_under_some_seed():
    hit = {(fault.kind, fault.target) for seed in range(60) for fault in chaos_plan(seed, 30, 240.0, LOCAL)}
    assert hit == {(hazard.kind, hazard.target) for hazard in LOCAL}


def test_a_network_of_a_part_is_the_parts():
    hazards = [Hazard(Kind.DISCONNECT, "scoring/store", 2.0, 2.0), Hazard(Kind.KILL, "scoring", 0.0, 0.0)]
    first, second = chaos_plan(1, 2, 1.0, hazards)
    assert second.begins_s >= first.ends_s + REST_S - 0.02
    assert not fits((first, second), 1.0)


def test_without_hazards_there_is_no_plan():
    assert chaos_plan(1, 0, 10.0, []) == ()
    with pytest.raises(ValueError, match="no hazards"):
        chaos_plan(1, 1, 10.0, [])


def test_the_embedded_broker_is_never_killed_and_kafka_is():
    killed = {hazard.target for hazard in LOCAL if hazard.kind in {Kind.KILL, Kind.STOP}}
    assert killed == {"intake", "intake_2", "vneid_mock", "scoring", "scoring_api"}
    assert Hazard(Kind.KILL, "kafka", 0.5, 5.0) in container_hazards()


def test_where_files_cannot_be_limited_no_disk_is_full():
    assert Kind.DISK_FULL not in {hazard.kind for hazard in local_hazards(PARTS, disk_full=False)}


bursts = st.lists(st.tuples(st.floats(0.1, 5.0), st.floats(0.1, 2.0)), max_size=4)


@given(st.integers(min_value=1, max_value=3_000), bursts)
def test_all_applications_arrive_in_order_within_the_seconds(applications, gaps_and_lengths):
    plan, at = [], 0.0
    for gap, length in gaps_and_lengths:
        plan.append(Fault(Kind.BURST, "load", at + gap, length))
        at = plan[-1].ends_s
    moments = list(arrivals(applications, at + 5.0, plan))
    assert len(moments) == applications
    assert moments == sorted(moments)
    assert 0 <= moments[0] <= moments[-1] <= at + 5.0


def test_in_a_burst_ten_times_as_many_arrive():
    plan = (Fault(Kind.BURST, "load", 10.0, 2.0), Fault(Kind.KILL, "intake", 3.0, 0.0))
    rate = steady_rate(3_800, 20.0, plan)
    moments = list(arrivals(3_800, 20.0, plan))
    assert rate == pytest.approx(100.0)
    assert sum(10 <= moment < 12 for moment in moments) == pytest.approx(2 * rate * BURST, abs=2)
    assert sum(moment < 10 for moment in moments) == pytest.approx(10 * rate, abs=2)


def test_the_usual_rate_leaves_each_fault_eight_seconds_and_no_machine_without_rest():
    assert mean_rate(100_000, 30) == pytest.approx(100_000 / 240)
    assert mean_rate(1_000_000, 30) == 500.0
    assert mean_rate(400, 0) == 50.0
