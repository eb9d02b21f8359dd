"""The simulated figures beside the published ones: what is counted, and what is expected without simulating."""

from collections import Counter, defaultdict
from dataclasses import replace
from math import sqrt

import pytest

from domain import DomainError, load_domain
from paperless.fidelity.accepted_draws import read_accepted_draws, to_toml
from paperless.fidelity.calibration import FREE, SCOPES, Problem, accepted, excess, fitted, nearest
from paperless.fidelity.expected import expected_by_authority, expected_d1
from paperless.fidelity.figures import figures_of, share_of, simulated
from paperless.fidelity.tally import Tallies, Tally, TallyKey, oracle_for, summed, tallies_of
from paperless.population.arrivals import SimulatedDay
from paperless.population.scenario import load_scenario, simulated_days
from services.vneid_mock.plan_files import named_plan

DOMAIN = load_domain()
PLAN = "rough"
DRAWS_DAY = DOMAIN.targets[0].day


def day_of(applications: int = 40_000, seed: int = 11) -> SimulatedDay:
    (day,) = simulated_days(load_scenario("national-day", DOMAIN), DOMAIN, seed=seed, applications=applications)
    return day


def decided(day: SimulatedDay, plan: str) -> Tallies:
    return tallies_of(day, oracle_for(DOMAIN, named_plan(plan), day.seed))


@pytest.fixture(scope="module")
def day() -> SimulatedDay:
    return day_of()


@pytest.fixture(scope="module")
def tallies(day: SimulatedDay) -> Tallies:
    return decided(day, PLAN)


def test_every_application_of_the_day_is_counted_once(day: SimulatedDay, tallies: Tallies):
    assert summed(tallies.values()).applications == day.applications


@pytest.mark.parametrize("procedure", list(DOMAIN.procedures))
def test_the_expected_rate_is_the_simulated_one(day: SimulatedDay, tallies: Tallies, procedure: str):
    """Four standard deviations of the sampling, per procedure over all provinces."""
    expected = expected_d1(day, named_plan(PLAN))
    mean = variance = found = 0.0
    for key, tally in tallies.items():
        if key.procedure == procedure:
            chance = expected[key.province, procedure]
            mean += tally.applications * chance
            variance += tally.applications * chance * (1 - chance)
            found += tally.end_to_end
    assert abs(found - mean) <= 4 * sqrt(variance)


def test_the_expected_rate_of_a_province_is_the_simulated_one(day: SimulatedDay, tallies: Tallies):
    expected = expected_d1(day, named_plan(PLAN))
    found, means, variances = Counter[str](), defaultdict[str, float](float), defaultdict[str, float](float)
    for key, tally in tallies.items():
        chance = expected[key.province, key.procedure]
        means[key.province] += tally.applications * chance
        variances[key.province] += tally.applications * chance * (1 - chance)
        found[key.province] += tally.end_to_end
    assert all(abs(found[code] - means[code]) <= 4 * sqrt(variances[code]) for code in DOMAIN.provinces)


def test_the_expected_rate_of_an_authority_weighs_provinces_by_volume(day: SimulatedDay, tallies: Tallies):
    for authority, expected in expected_by_authority(day, named_plan(PLAN)).items():
        tally = summed(each for key, each in tallies.items() if key.authority == authority)
        rate = share_of("d1_rate", tally)
        spread = sqrt(rate * (1 - rate) / tally.applications)
        assert abs(rate - expected) <= 4 * spread


# --- the fit ------------------------------------------------------------------------------------------------------

ACCEPTED = read_accepted_draws()
DRAWS = ACCEPTED.draws
PROBLEM = Problem(DOMAIN, named_plan("mild"))


def test_only_assumed_values_are_fitted_each_inside_its_range():
    assert ACCEPTED.parameters == FREE
    assert {DOMAIN.parameters[name].evidence for name in FREE} == {"C"}
    for draw in DRAWS:
        assert all(low <= value <= high for value, (low, high) in zip(draw.values, PROBLEM.ranges, strict=True))


def test_evidence_is_never_fitted():
    with pytest.raises(DomainError, match="has evidence or no range"):
        Problem(DOMAIN, named_plan("mild"), ("channel.postal_share",)).ranges  # noqa: B018  looked up here


def test_every_accepted_draw_comes_to_the_fitted_figures():
    assert len(DRAWS) >= 200
    # The file keeps rates to a hundredth of a point.
    assert max(excess(fitted(DOMAIN), draw.rates) for draw in DRAWS) <= 0.01


def test_the_first_draw_is_in_use_and_comes_to_the_figures_themselves():
    targets = fitted(DOMAIN)
    in_use = [DOMAIN.number(name) for name in FREE]
    assert DRAWS[0].values == pytest.approx(in_use, abs=0.002)
    assert nearest(PROBLEM) == pytest.approx(in_use, abs=0.002)
    errors = [
        abs(DRAWS[0].rates[each.day, SCOPES[each.observation.scope]] - each.observation.value) for each in targets
    ]
    assert max(errors) < 0.002


def test_kept_rates_are_the_expected_ones():
    """A change of rules or data makes the draws stale: run the command that the file names."""
    assert ACCEPTED.command.startswith("paperless calibrate")
    for draw in (DRAWS[0], DRAWS[77]):
        days = sorted({day for day, _ in draw.rates})
        assert PROBLEM.rates(draw.values, days) == pytest.approx(draw.rates, abs=0.002)


def test_values_that_leave_less_than_nothing_are_no_draw():
    assert Problem(DOMAIN, named_plan("mild"), ("volume.share_25_services",)).rates([0.2], [DRAWS_DAY]) == {}
    assert excess(fitted(DOMAIN), {}) == float("inf")


def test_draws_are_kept_as_they_are_read():
    text = to_toml(FREE, DRAWS[:3], seed=5, command="paperless calibrate")
    again = read_accepted_draws(text)
    assert (again.seed, again.command, again.parameters) == (5, "paperless calibrate", FREE)
    assert again.draws == DRAWS[:3]


def test_a_walk_is_named_by_its_seed_and_stays_inside():
    few = Problem(
        DOMAIN,
        named_plan("mild"),
        (
            "volume.full_groups_share",
            "channel.paper_taken_share_no_paper_rule",
            "result.electronic_share",
            "result.paper_on_request_share",
        ),
    )
    one, other = (list(accepted(few, 2, seed)) for seed in (1, 2))
    assert one == list(accepted(few, 2, 1))
    assert one[0] == other[0]
    assert one[1] != other[1]
    assert excess(fitted(DOMAIN), one[1].rates) == 0


# --- the rows -----------------------------------------------------------------------------------------------------


def one_of_each() -> Tallies:
    """Hà Nội at both levels, and a ministry there: 10 applications each, of which 1, 2 and 5 end end to end."""
    return {
        TallyKey("01", "province", "commune", "1.001193"): Tally(10, end_to_end=1, online=4, on_time=9),
        TallyKey("01", "province", "province", "1.013831"): Tally(10, end_to_end=2, online=8, on_time=10),
        TallyKey("01", "ministry", "commune", "1.004194"): Tally(10, end_to_end=5, online=10, on_time=10),
    }


def value_of(metric: str, scope: str, name: str | None = None) -> float:
    target = next(
        each
        for each in DOMAIN.targets
        if (each.observation.metric, each.observation.scope) == (metric, scope)
        and name in {None, each.observation.name}
    )
    return simulated(target, one_of_each(), DOMAIN)


def test_each_scope_counts_its_own_applications():
    assert value_of("d1_rate", "all_provinces") == 0.15
    assert value_of("d1_rate", "all_ministries") == 0.5
    assert value_of("online_share", "province_communes", "Hà Nội") == 0.4
    assert value_of("online_share", "province", "TP.HCM") == 0
    assert value_of("d1_rate_highest", "all_provinces") == 0.15


def test_the_country_is_weighed_by_the_published_mix_of_the_month():
    assert value_of("d1_rate", "national") == pytest.approx(0.614 * 0.5 + 0.386 * 0.15)


def test_a_row_tells_error_and_spread_over_the_seeds():
    runs = {target.day: [one_of_each(), one_of_each()] for target in DOMAIN.targets}
    first = figures_of(DOMAIN, runs, DRAWS)[0]
    assert (first.figure, first.scope, first.role, first.published) == ("d1_rate", "all_provinces", "fit", 0.1694)
    assert (first.simulated, first.low, first.high) == (0.15, 0.15, 0.15)
    assert first.error_points == -1.94
    assert not first.within


def test_a_bound_that_is_kept_has_no_error():
    bound = next(each for each in DOMAIN.targets if each.observation.comparison == "lt")
    domain = replace(DOMAIN, targets=(bound,))
    (row,) = figures_of(domain, {bound.day: [one_of_each()]}, DRAWS)
    assert (row.simulated, row.error_points) == (0.0, 0.0)
