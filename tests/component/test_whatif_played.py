"""Settings of the levers, played through the real services on the embedded broker: as predicted, one by one."""

from datetime import date

import pytest

from domain import load_domain
from paperless.population.arrivals import arrivals
from paperless.population.population import Population
from paperless.population.scenario import load_scenario, simulated_days
from paperless.testing.system import PLAN, SEED, PaperlessSystem
from paperless.whatif.drawing import matrix_of
from paperless.whatif.evaluator import Evaluator
from paperless.whatif.levers import load_levers
from paperless.whatif.worlds import world_of
from services.vneid_mock.plan_files import named_plan

# One worker: another would start a system of its own.
pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("paperless_system")]

DOMAIN, LEVERS = load_domain(), load_levers()
APPLICATIONS = 80
# On a day of its own each, or they would share ids. The services know the packaged procedures and databases, so these
# settings move what people and offices do; those that change procedures are held against the oracle.
SETTINGS = {
    date(2025, 10, 13): {"online_filing": 1.0, "level2_accounts": 1.0},
    date(2025, 10, 14): {"fee_online": 1.0, "electronic_result": 0.5},
    date(2025, 10, 15): {"no_paper_copy": 1.0, "result_by_post": 0.7},
    date(2025, 10, 16): {"supplement_uploaded": 1.0, "supplement_answered": 1.0},
    date(2025, 10, 17): {"nothing_asked_anyway": 1.0, "online_filing": 0.3, "fee_online": 0.6},
}


@pytest.mark.parametrize("day", SETTINGS, ids=str)
async def test_a_setting_comes_out_as_predicted(paperless_system: PaperlessSystem, day: date):
    scenario = load_scenario("national-day", DOMAIN).model_copy(update={"days": (day,)})
    (usual,) = simulated_days(scenario, DOMAIN, seed=SEED, applications=APPLICATIONS)
    evaluator = Evaluator(matrix_of([usual], named_plan(PLAN), int(DOMAIN.number("lookup.attempts"))))
    world = world_of(usual, SETTINGS[day], LEVERS)
    judged = evaluator.evaluate(world).judgements()
    predicted = dict(zip(evaluator.matrix.keys.tolist(), judged, strict=True))
    population = Population(world.day)
    filed = {
        paperless_system.submit(**population.event(arrival)): predicted[arrival.commune << 20 | arrival.number]
        for arrival in arrivals(world.day)
    }
    for name, (outcome, reasons) in filed.items():
        application = await paperless_system.outcome(name)
        assert application.outcome == outcome
        assert {each.reason for each in application.reasons} == set(reasons)
    assert len(filed) == APPLICATIONS
