"""The months beside what was published of them, and what each reform does to a month."""

from dataclasses import replace
from datetime import date

import pytest

from domain import load_domain
from paperless.cli.trajectory import SCENARIO, day_of
from paperless.fidelity.accepted_draws import read_accepted_draws
from paperless.fidelity.expected import expected_by_authority
from paperless.fidelity.trajectory import Month, effects, months, online_share
from paperless.population.scenario import load_scenario
from services.vneid_mock.plan_files import named_plan

DOMAIN, PLAN = load_domain(), named_plan("mild")
DAYS = load_scenario(SCENARIO, DOMAIN).days
JULY, OCTOBER, NOVEMBER = date(2025, 7, 16), date(2025, 10, 8), date(2025, 11, 12)


@pytest.fixture(scope="module")
def rows() -> list[Month]:
    return months(DOMAIN, DAYS, day_of, PLAN, read_accepted_draws().draws)


def of(rows: list[Month], day: date, scope: str) -> Month:
    return next(row for row in rows if (row.day, row.scope) == (day, scope))


def test_every_month_from_june_to_january_has_its_three_scopes(rows: list[Month]):
    assert [(day.year, day.month) for day in DAYS] == [*((2025, month) for month in range(6, 13)), (2026, 1)]
    assert {(row.day, row.scope) for row in rows} == {
        (day, scope) for day in DAYS for scope in ("provinces", "ministries", "country")
    }


def test_every_published_monthly_rate_is_held_against(rows: list[Month]):
    scopes = {"all_provinces", "all_ministries", "national"}
    published = [
        row.value
        for row in DOMAIN.published("d1_rate")
        if row.scope in scopes and row.period_end is not None and row.period_end >= date(2025, 6, 1)
    ]
    assert sorted(row.published for row in rows if row.published is not None) == sorted(published)


def test_the_merger_explains_july(rows: list[Month]):
    assert of(rows, JULY, "provinces").reached == "yes"
    without = replace(DOMAIN, reforms={k: v for k, v in DOMAIN.reforms.items() if k != "two-level-government"})
    assert expected_by_authority(day_of(without, JULY), PLAN)["province"] > 0.1181 + 0.04


def test_october_is_the_fitted_month(rows: list[Month]):
    for scope in ("provinces", "ministries", "country"):
        row = of(rows, OCTOBER, scope)
        assert abs(row.error_points or 0) < 0.05
        assert row.low == row.high == row.expected


def test_novembers_ministries_are_out_of_every_range(rows: list[Month]):
    row = of(rows, NOVEMBER, "ministries")
    assert row.low < row.expected < row.high < (row.published or 0)
    assert row.reached == "no"


def test_the_ends_of_the_ranges_hold_every_single_end(rows: list[Month]):
    """One step at an end, all others as they are, leads not out of what all of them at their ends come to."""
    row = of(rows, NOVEMBER, "ministries")
    for name, reform in DOMAIN.reforms.items():
        for place, step in enumerate(reform.steps):
            for end in (step.low, step.high):
                if end is None or not step.holds(NOVEMBER):
                    continue
                steps = (*reform.steps[:place], replace(step, value=end), *reform.steps[place + 1 :])
                world = replace(DOMAIN, reforms={**DOMAIN.reforms, name: replace(reform, steps=steps)})
                rate = expected_by_authority(day_of(world, NOVEMBER), PLAN)["ministry"]
                assert row.low - 1e-6 <= rate <= row.high + 1e-6, (name, step.row, end)


def test_an_effect_is_the_difference_that_a_reform_makes():
    found = {row.reform: row for row in effects(DOMAIN, [NOVEMBER], day_of, PLAN)}
    without = replace(DOMAIN, reforms={k: v for k, v in DOMAIN.reforms.items() if k != "results-through-vneid"})
    rates = [expected_by_authority(day_of(each, NOVEMBER), PLAN)["ministry"] for each in (DOMAIN, without)]
    assert found["results-through-vneid"].ministries_points == pytest.approx(100 * (rates[0] - rates[1]), abs=0.01)
    assert "filing-anywhere" not in found
    assert effects(DOMAIN, [OCTOBER], day_of, PLAN) == []


def test_online_filing_of_the_second_half_is_as_published():
    days = [day_of(DOMAIN, day) for day in DAYS if day >= date(2025, 7, 1)]
    published = next(row for row in DOMAIN.published("online_share", "all_provinces") if row.evidence == "D")
    assert online_share(days) == pytest.approx(published.value, abs=0.015)
