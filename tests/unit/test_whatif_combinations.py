"""All combinations of the levers at once: equal to the evaluator, and what follows from them."""

from functools import cache
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import load_domain
from paperless.population.scenario import load_scenario, simulated_days
from paperless.whatif.combinations import (
    AUTHORITIES,
    Combinations,
    all_combinations,
    best_sequence,
    cheapest,
    shapley,
    smallest,
)
from paperless.whatif.drawing import matrix_of
from paperless.whatif.evaluator import Evaluator
from paperless.whatif.levers import load_costs, load_levers
from paperless.whatif.masses import ALWAYS, moebius
from paperless.whatif.worlds import world_of
from services.vneid_mock.plan_files import named_plan

DOMAIN, LEVERS, COSTS = load_domain(), load_levers(), load_costs()
FEW = ("online_filing", "nothing_asked_anyway", "commune_originals", "province_originals", "certification_online")


@cache
def played(scenario: str) -> tuple[Evaluator, Combinations]:
    (day,) = simulated_days(load_scenario(scenario, DOMAIN), DOMAIN, seed=4, applications=4_000)[:1]
    evaluator = Evaluator(matrix_of([day], named_plan("rough"), 3))
    return evaluator, all_combinations(evaluator.matrix, day, LEVERS)


def day_of(scenario: str):
    return simulated_days(load_scenario(scenario, DOMAIN), DOMAIN, seed=4, applications=4_000)[0]


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(sorted(LEVERS))), st.sampled_from(["national-day", "quiet-sunday"]))
def test_a_combination_is_what_the_evaluator_says_of_it_in_every_province(taken: set[str], scenario: str):
    evaluator, found = played(scenario)
    day = day_of(scenario)
    applications, ended = evaluator.counts(world_of(day, dict.fromkeys(taken, 1.0), LEVERS))
    mask = found.mask(sorted(taken))
    for place, authority in enumerate(AUTHORITIES):
        chosen = [procedure.authority == authority for procedure in day.procedures]
        assert found.ended[:, place, mask].tolist() == ended[chosen].sum(axis=0).tolist()
        assert found.applications[:, place, mask].tolist() == applications[chosen].sum(axis=0).tolist()


@given(st.integers(0, 4).flatmap(lambda levers: st.lists(st.booleans(), min_size=1 << levers, max_size=1 << levers)))
def test_subset_sums_of_the_masses_give_the_truth_table_back(table: list[bool]):
    levers = [3, 5, 8, 11][: len(table).bit_length() - 1]
    masses = moebius(np.array(table), levers).times(ALWAYS)
    for subset, holds in enumerate(table):
        taken = sum(1 << lever for bit, lever in enumerate(levers) if subset >> bit & 1)
        inside = (masses.sets & ~taken) == 0
        assert masses.values[inside].sum() == holds


def few() -> tuple[Combinations, np.ndarray]:
    evaluator, _ = played("national-day")
    found = all_combinations(evaluator.matrix, day_of("national-day"), {name: LEVERS[name] for name in FEW})
    return found, found.rates(found.provinces, "province")


def test_the_smallest_and_the_cheapest_set_are_those_of_trying_all():
    found, rates = few()
    target = float(np.quantile(rates, 0.8))
    reaching = [mask for mask in range(len(rates)) if rates[mask] >= target]
    fewest, cheap = smallest(found, rates, target, COSTS), cheapest(found, rates, target, COSTS)
    assert fewest is not None
    assert cheap is not None
    assert len(fewest.levers) == min(mask.bit_count() for mask in reaching)
    assert cheap.cost == min(sum(COSTS[name] for name in found.names(mask)) for mask in reaching)
    assert fewest.rate == max(rates[mask] for mask in reaching if mask.bit_count() == len(fewest.levers))


def test_a_target_that_nothing_reaches_has_no_way():
    found, rates = few()
    assert smallest(found, rates, float(rates.max()) + 1e-9, COSTS) is None
    assert cheapest(found, rates, 1.01, COSTS) is None


def test_the_target_of_today_needs_nothing():
    found, rates = few()
    assert smallest(found, rates, float(rates[0]), COSTS) == ((), rates[0], 0)


def test_shapley_shares_are_the_mean_gains_over_all_orders_and_add_up():
    found, rates = few()
    shares = shapley(found, rates)
    assert sum(shares.values()) == pytest.approx(rates[-1] - rates[0])
    name = "online_filing"
    gains = []
    for order in permutations(FEW):
        before = found.mask(order[: order.index(name)])
        gains.append(rates[before | found.mask([name])] - rates[before])
    assert shares[name] == pytest.approx(np.mean(gains))


def test_the_best_sequence_stands_highest_on_the_way():
    found, rates = few()
    steps = best_sequence(found, rates, FEW)
    sums = [sum(rates[found.mask(order[:end])] for end in range(1, len(order) + 1)) for order in permutations(FEW)]
    assert {step.lever for step in steps} == set(FEW)
    assert sum(step.rate for step in steps) == pytest.approx(max(sums))


def test_too_many_levers_are_refused():
    evaluator, _ = played("national-day")
    many = {f"{name} {copy}": lever for copy in range(2) for name, lever in LEVERS.items()}
    with pytest.raises(ValueError, match="20 at most"):
        all_combinations(evaluator.matrix, day_of("national-day"), many)
