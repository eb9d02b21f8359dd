"""Reforms as data: the world of a day is that of the base day with the steps that hold, and each changes something."""

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from domain import BASE_DAY, VN, Domain, Reform, Step, applied, load_domain
from domain.catalogue import MOST_DAYS
from paperless.fidelity.tally import Tallies, oracle_for, tallies_of
from paperless.population.arrivals import SimulatedDay, arrivals
from paperless.population.population import Population
from paperless.population.scenario import load_scenario, simulated_days
from paperless.verification.oracle import Oracle
from paperless.verification.positions import LoggedRecord
from services.intake.core import RuleBook
from services.vneid_mock.plan_files import named_plan
from services.vneid_mock.registry import Registry

DOMAIN = load_domain()
REFORMS = tuple(DOMAIN.reforms.values())
STEPS = [(reform, step) for reform in REFORMS for step in reform.steps]
TURNS = sorted({turn for _, step in STEPS for turn in step.turns})
# Of the procedures that a reform concerns: few enough for a day of each, and enough for a paper that is needed seldom.
APPLICATIONS = 2_000


def name_of(value: object) -> str:
    return value.name if isinstance(value, Reform) else f"{value.row}" if isinstance(value, Step) else ""


def a_day_of(step: Step) -> date:
    """Return a working day on which a step holds, if possible with all steps that begin with it."""
    day = step.start or step.end or BASE_DAY
    while not DOMAIN.calendar.is_working_day(day):
        day += timedelta(days=1 if step.start else -1)
    assert step.holds(day)
    return day


def concerned(reform: Reform) -> dict[str, float]:
    """Return the procedures that a reform's steps name, all of them if one is of the whole country."""
    chosen = {
        code
        for code, procedure in DOMAIN.procedures.items()
        for step in reform.steps
        if step.table == "parameter"
        or step.key.split("/")[0] == code
        or any(step.key in {each.paper, *each.databases} for each in procedure.components.values())
    }
    return {code: weight for code, weight in DOMAIN.mix() if code in chosen}


def played(domain: Domain, day: date, procedures: dict[str, float]) -> tuple[int, Tallies, list[bytes], list[Any]]:
    """Return what a day comes to: its volume, its counts, what is filed, and the first corrections asked for."""
    national = load_scenario("national-day", domain).model_copy(update={"days": (day,), "procedures": procedures})
    (whole,) = simulated_days(national, domain, seed=1)
    (few,) = simulated_days(national, domain, seed=1, applications=APPLICATIONS)
    oracle, values = oracle_for(domain, named_plan("mild"), 1), filed(few)
    return whole.applications, tallies_of(few, oracle), values, corrections(oracle, values[:200])


def corrections(oracle: Oracle, values: list[bytes]) -> list[Any]:
    """Return what is asked to be corrected after some applications."""
    records = [LoggedRecord(0, 0, json.loads(value)["application_id"].encode(), value) for value in values]
    return [oracle.foresee(record, key_partition=0).corrections for record in records]


def filed(day: SimulatedDay) -> list[bytes]:
    population = Population(day)
    return [population.submission(arrival)[1] for arrival in arrivals(day)]


def test_the_files_describe_the_base_day():
    assert DOMAIN.on(BASE_DAY) is DOMAIN


@pytest.mark.parametrize("day", [date.fromordinal(turn) for turn in TURNS], ids=str)
def test_the_world_of_a_day_is_the_base_with_the_steps_in_force(day: date):
    for each in (day - timedelta(days=1), day):
        steps = [step for _, step in STEPS if step.holds(each)]
        assert DOMAIN.on(each) == (applied(DOMAIN, steps) if steps else DOMAIN)
    assert DOMAIN.on(day) != DOMAIN.on(day - timedelta(days=1))


@pytest.mark.parametrize("day", [date.fromordinal(turn) for turn in TURNS], ids=str)
def test_no_reform_leaves_a_range_or_a_part_of_the_mix(day: date):
    world = DOMAIN.on(day)
    for name, each in world.parameters.items():
        assert each.low is None or world.number(name) >= each.low, name
        assert each.high is None or world.number(name) <= each.high, name
    assert sum(share for _, share in world.mix()) == pytest.approx(1)


@pytest.mark.parametrize("reform", REFORMS, ids=name_of)
def test_a_reform_changes_what_is_filed_or_decided(reform: Reform):
    day = a_day_of(reform.steps[-1])
    without = replace(DOMAIN, reforms={name: each for name, each in DOMAIN.reforms.items() if name != reform.name})
    procedures = concerned(reform)
    assert played(DOMAIN, day, procedures) != played(without, day, procedures)


@pytest.mark.parametrize(("reform", "step"), STEPS, ids=name_of)
def test_every_step_changes_its_world(reform: Reform, step: Step):
    day = a_day_of(step)
    others = replace(reform, steps=tuple(each for each in reform.steps if each is not step))
    assert replace(DOMAIN, reforms={**DOMAIN.reforms, reform.name: others}).on(day) != DOMAIN.on(day)


def test_what_nothing_is_known_of_carries_a_range():
    for reform, step in STEPS:
        number = not isinstance(step.value, bool | str)
        assert step.evidence != "C" or not number or step.low != step.high, (reform.name, step.row)


def test_intake_and_vneid_live_in_the_world_of_the_application():
    book, registry = RuleBook.of(DOMAIN, 3), Registry.of(DOMAIN)
    base, late = (datetime(day.year, day.month, day.day, 9, tzinfo=VN) for day in (BASE_DAY, date(2026, 9, 9)))
    assert (book.on(base), registry.on(base)) == (book, registry)
    assert book.on(late) is book.on(late)
    assert registry.on(late) is registry.on(late)
    assert book.on(late).domain is registry.on(late).domain is DOMAIN.on(late)
    assert book.domain.procedures["1.000894"].presence_required
    assert not book.on(late).domain.procedures["1.000894"].presence_required


def test_a_day_late_in_the_evening_is_still_that_day():
    assert DOMAIN.on(datetime(2025, 9, 30, 23, 59, tzinfo=VN)).number("channel.no_paper_rule") == 0
    assert DOMAIN.on(datetime(2025, 10, 1, tzinfo=VN)).number("channel.no_paper_rule") == 1


@pytest.mark.parametrize(("how", "value", "after"), [("set", 0.2, 0.2), ("add", -0.1, 0.59), ("times", 0.5, 0.345)])
def test_a_step_sets_adds_or_multiplies(how: str, value: float, after: float):
    land = next(step for _, step in STEPS if step.key == "dat_dai")
    world = applied(DOMAIN, [replace(land, how=how, value=value)])  # type: ignore[arg-type]  # one of them
    assert world.databases["dat_dai"].usable_rate == pytest.approx(after)
    certificate = world.procedures["1.013831"].components["gcn_qsdd"]
    assert certificate.usable_rates == pytest.approx((after,))
    assert certificate in world.procedures["1.013831"].proofs


def test_a_rate_of_its_own_is_not_moved_by_the_database():
    lodging = DOMAIN.procedures["1.004222"].components["cho_o_hop_phap"]
    (population,) = [step for _, step in STEPS if step.key == "dat_dai"]
    world = applied(DOMAIN, [replace(population, key="dan_cu", how="set", value=0.5)])
    assert world.procedures["1.004222"].components["cho_o_hop_phap"] == lodging


def test_days_beyond_the_calendar_are_not_remembered_for_ever():
    domain = replace(DOMAIN)
    worlds = [domain.on(date.fromordinal(1 + 97 * number)) for number in range(MOST_DAYS + 100)]
    assert len(vars(domain)["_days"]) <= MOST_DAYS
    assert len({id(world) for world in worlds}) <= len(TURNS) + 1
