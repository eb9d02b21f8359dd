"""When applications should be sent: fixed before the run, by the seed."""

from itertools import pairwise
from statistics import mean, pstdev

import pytest

from paperless.traffic.load.schedule import moments
from paperless.traffic.load.supply import Supply, population_seed


def gaps(schedule: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(schedule)]


def test_the_same_seed_gives_the_same_moments_and_another_seed_gives_others():
    first, again, other = (list(moments("poisson", rate=50, seconds=4, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_strangers_arrive_at_the_rate_asked_for_with_gaps_that_vary_as_much_as_their_mean():
    schedule = list(moments("poisson", rate=500, seconds=60, seed=3))
    assert len(schedule) == pytest.approx(30_000, rel=0.03)
    assert pstdev(gaps(schedule)) == pytest.approx(mean(gaps(schedule)), rel=0.05)


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
def test_moments_rise_and_stay_within_the_run(arrivals):
    schedule = list(moments(arrivals, rate=333, seconds=3, seed=1))
    assert all(gap >= 0 for gap in gaps(schedule))
    assert schedule[0] >= 0
    assert schedule[-1] < 3


def test_constant_arrivals_do_not_drift():
    schedule = list(moments("constant", rate=7, seconds=1_000, seed=1))
    assert len(schedule) == 7_000
    assert schedule[-1] == 6_999 / 7


def test_a_rate_of_nothing_is_refused():
    with pytest.raises(ValueError, match="rate is 0"):
        moments("constant", rate=0, seconds=1, seed=1)


def taken(seed: int, number: int) -> list[bytes]:
    supply = Supply(seed=seed, applications=50, partitions=3)
    return [supply.take().key for _ in range(number)]


def test_a_second_load_on_a_grown_log_files_nobody_again():
    first, second, step = (population_seed(1, length, step) for length, step in ((0, 0), (50, 0), (0, 1)))
    assert not set(taken(first, 50)) & set(taken(second, 50))
    assert not set(taken(first, 50)) & set(taken(step, 50))


def test_the_same_load_on_a_log_of_the_same_length_files_the_same():
    assert taken(population_seed(1, 0, 0), 50) == taken(population_seed(1, 0, 0), 50)


def test_a_closed_loop_never_runs_out_of_applications():
    keys = taken(5, 170)
    assert len(set(keys)) == 170
