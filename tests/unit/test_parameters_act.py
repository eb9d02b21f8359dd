"""No dead parameter: each one changes what is filed, decided or counted; what is only quoted stands in facts.csv."""

from itertools import islice

import pytest

from domain import Domain, Parameter, load_domain, with_values
from paperless.fidelity.tally import oracle_for
from paperless.population.arrivals import arrivals
from paperless.population.population import Population
from paperless.population.scenario import load_scenario, simulated_days
from services.vneid_mock.plan_files import named_plan

DOMAIN = load_domain()
# Enough for a change of the rarest share, and few enough for one small day per parameter.
APPLICATIONS = 1_500


class Record:
    partition = 0

    def __init__(self, key: bytes, value: bytes) -> None:
        self.key, self.value = key, value


def traces(domain: Domain) -> list[object]:
    """Return what a small day and the volumes of two scenarios come to."""
    national, week = (load_scenario(name, domain) for name in ("national-day", "week"))
    (day,) = simulated_days(national, domain, seed=3, applications=APPLICATIONS)
    population, oracle = Population(day), oracle_for(domain, named_plan("rough"), 3)
    records = [Record(*population.submission(arrival)) for arrival in arrivals(day)]
    volumes = [each.applications for scenario in (national, week) for each in simulated_days(scenario, domain, seed=3)]
    foreseen = [oracle.foresee(each, key_partition=0) for each in records]
    return [volumes, [record.value for record in records], foreseen, _filed_again(domain)]


def _filed_again(domain: Domain) -> list[object]:
    """Return what comes of some applications, half of them of people who filed before: usually nobody did."""
    again = with_values(domain, {"correction.files_again_share": domain.number("correction.files_again_share") or 0.5})
    (day,) = simulated_days(load_scenario("national-day", again), again, seed=3, applications=APPLICATIONS)
    population, oracle = Population(day), oracle_for(again, named_plan("calm"), 3)
    return [
        oracle.decide(Record(*population.submission(arrival)), key_partition=0)
        for arrival in islice(arrivals(day), APPLICATIONS // 2)
    ]


@pytest.fixture(scope="module")
def usual() -> list[object]:
    return traces(DOMAIN)


def changed(parameter: Parameter) -> Domain:
    """Return the domain with this parameter at the end of its range, or a little less."""
    value = DOMAIN.number(parameter.name)
    ends = [end for end in (parameter.high, parameter.low) if end is not None and end != value]
    return with_values(DOMAIN, {parameter.name: ends[0] if ends else value - 1})


@pytest.mark.parametrize("parameter", DOMAIN.parameters.values(), ids=lambda parameter: parameter.name)
def test_a_changed_parameter_changes_something(usual: list[object], parameter: Parameter):
    domain = changed(parameter)
    assert domain.parameters[parameter.name].value != parameter.value
    assert traces(domain) != usual


def test_a_parameter_has_a_range_unless_it_is_published_or_law():
    without = {
        name for name, each in DOMAIN.parameters.items() if each.evidence == "C" and None in {each.low, each.high}
    }
    assert without == set()


def test_what_is_only_quoted_is_no_parameter():
    assert set(DOMAIN.facts).isdisjoint(DOMAIN.parameters)
