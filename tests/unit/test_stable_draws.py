"""Common random numbers: what is changed about the world moves those whom it concerns, and draws nobody anew."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from domain import Procedure, load_domain
from paperless.population.arrivals import SimulatedDay, arrivals
from paperless.population.population import Population
from paperless.population.scenario import load_scenario, simulated_days
from paperless.population.shares import Shares

DOMAIN = load_domain()
INFORMATION = next(each for each in DOMAIN.procedures.values() if each.service_level == "information")
# Who files in another way files at another hour, so the id, too, begins otherwise; and brings what that way asks for.
CHANNEL = {"channel", "assisted", "submitted_at", "application_id", "account_level", "components", "fee_paid_online"}
# Of each share: which fields of a submission may change with it.
MOVED: Mapping[str, set[str]] = {
    "online_share": CHANNEL,
    "postal_share": CHANNEL,
    "assisted_share": {"assisted", "submitted_at", "application_id"},
    "level2_share": {"account_level"},
    "level1_online_share": {"account_level"},
    "refused_consent_share": {"consent_refused"},
    "elsewhere_share": {"home_province", "citizen_number"},
    "paper_taken_share": {"asks_anyway"},
    "paper_taken_other_share": {"asks_anyway"},
    "asked_again_share": {"asks_again"},
    "no_answer_share": {"components"},
    "paper_answer_share": {"components"},
    "online_payment_share": {"fee_paid_online"},
    "electronic_result_share": {"electronic_result", "result_delivery"},
    "paper_on_request_share": {"result_delivery"},
    "post_return_share": {"result_delivery"},
    "physical_by_post_share": {"result_delivery"},
}

Submissions = dict[tuple[str, int], dict[str, Any]]


def day_of(scenario: str = "national-day") -> SimulatedDay:
    return simulated_days(load_scenario(scenario, DOMAIN), DOMAIN, seed=5, applications=1_500)[0]


@pytest.fixture(scope="module")
def usual() -> Submissions:
    return filed_on(day_of())


def filed_on(day: SimulatedDay) -> Submissions:
    """Return the day's submissions by commune and running number."""
    population = Population(day)
    return {
        (day.communes[each.commune].code, each.number): orjson.loads(population.submission(each)[1])
        for each in arrivals(day)
    }


def with_share(day: SimulatedDay, name: str, value: float) -> SimulatedDay:
    return replace(day, shares={code: shares.model_copy(update={name: value}) for code, shares in day.shares.items()})


def with_procedure(day: SimulatedDay, procedure: Procedure) -> SimulatedDay:
    procedures = tuple(procedure if each.code == procedure.code else each for each in day.procedures)
    domain = replace(day.domain, procedures={**day.domain.procedures, procedure.code: procedure})
    return replace(day, domain=domain, procedures=procedures)


def moved(before: Submissions, after: Submissions) -> dict[tuple[str, int], set[str]]:
    """Return which fields of which submissions differ."""
    assert before.keys() == after.keys()
    differing = {
        key: {name for name in filed.keys() | after[key].keys() if after[key].get(name) != filed.get(name)}
        for key, filed in before.items()
    }
    return {key: names for key, names in differing.items() if names}


def test_every_share_is_tried():
    assert set(MOVED) == set(Shares.model_fields)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("name", Shares.model_fields)
def test_a_share_moves_what_it_is_about_and_nothing_else(usual: Submissions, name: str, value: float):
    after = filed_on(with_share(day_of(), name, value))
    changed = moved(usual, after)
    assert set().union(*changed.values()) <= MOVED[name]
    # The drawn part of the id names the fate of the look-ups.
    assert all(after[key]["application_id"][14:] == usual[key]["application_id"][14:] for key in changed)


def test_who_files_online_already_is_not_moved_by_more_who_do(usual: Submissions):
    changed = moved(usual, filed_on(with_share(day_of(), "online_share", 1.0)))
    assert changed
    assert all(usual[key]["channel"] != "online" or names <= {"account_level"} for key, names in changed.items())


@pytest.mark.parametrize("scenario", ["national-day", "quiet-sunday"])
def test_a_service_that_goes_online_moves_its_own_applicants_only(scenario: str):
    day = day_of(scenario)
    before = filed_on(day)
    changed = moved(before, filed_on(with_procedure(day, replace(INFORMATION, service_level="full"))))
    assert {before[key]["procedure"] for key in changed} == ({INFORMATION.code} if day.office_open else set())
