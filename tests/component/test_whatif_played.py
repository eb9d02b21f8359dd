"""Settings of the levers, played through the real services on the embedded broker: as predicted, one by one."""

import asyncio
from collections.abc import Mapping
from datetime import date

import pytest

from domain import BASE_DAY, load_domain
from paperless.cli.options import System
from paperless.cli.whatif_played import Rehearsal, play
from paperless.local.layout import LocalOptions
from paperless.local.system import running
from paperless.population.scenario import load_scenario, simulated_days
from paperless.supervise import COMMAND
from paperless.verification.verify import RunParameters
from paperless.whatif.facts import steps_of, write_facts
from paperless.whatif.levers import load_levers
from paperless.whatif.prediction import Prediction, predict
from services.vneid_mock.plan_files import named_plan

# One worker: the system is started once.
pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("whatif_played")]

DOMAIN, LEVERS, PLAN, SEED = load_domain(), load_levers(), "mild", 1
APPLICATIONS = 400
# On a day of its own each, so that one system plays them all: what people and offices do, what the databases hold,
# which procedures there are and how they are done.
SETTINGS: Mapping[date, Mapping[str, float]] = {
    BASE_DAY: {
        "online_filing": 1.0,
        "level2_accounts": 1.0,
        "fee_online": 0.6,
        "information_online": 1.0,
        "presence_lifted": 1.0,
    },
    date(2025, 10, 14): {"land_data": 1.0, "other_data": 0.5, "presence_lifted": 1.0, "supplement_uploaded": 1.0},
    date(2025, 10, 15): {"commune_originals": 1.0, "province_originals": 1.0, "result_by_post": 0.7},
    date(2025, 10, 16): {"certification_abolished": 1.0, "other_data": 1.0, "nothing_asked_anyway": 1.0},
    date(2025, 11, 12): {**dict.fromkeys(LEVERS, 1.0), "certification_abolished": 0.0, "other_data": 0.3},
}


def prediction_of(day: date, setting: Mapping[str, float]) -> Prediction:
    scenario = load_scenario("national-day", DOMAIN).model_copy(update={"days": (day,)})
    (usual,) = simulated_days(scenario, DOMAIN, seed=SEED, applications=APPLICATIONS)
    return predict(usual, setting, LEVERS, named_plan(PLAN))


@pytest.fixture(scope="module")
def predictions() -> list[Prediction]:
    return [prediction_of(day, setting) for day, setting in SETTINGS.items()]


@pytest.fixture(scope="module")
def rehearsal(predictions: list[Prediction], tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    facts, state = tmp_path_factory.mktemp("facts"), tmp_path_factory.mktemp("run")
    write_facts(facts, [step for each in predictions for step in steps_of(each.usual, each.world.day)])
    parameters = RunParameters(plan=named_plan(PLAN).model_dump(mode="json"), seed=SEED, facts=facts)
    with running(LocalOptions(state_dir=state, seed=SEED, plan=PLAN, facts=facts), COMMAND, print) as local:
        return asyncio.run(play(predictions, System.of(local).target, parameters))


def test_five_settings_come_out_as_predicted_application_by_application(
    rehearsal: Rehearsal, predictions: list[Prediction]
):
    assert [each.differences for each in rehearsal.played] == [()] * len(SETTINGS)
    assert all(each.equal for each in rehearsal.played)
    assert [each.applications for each in rehearsal.played] == [len(each.decided) for each in predictions]
    assert rehearsal.verified
    assert rehearsal.ok


def test_each_setting_changes_what_the_services_have_to_know(predictions: list[Prediction]):
    """Else they could ignore it, and still decide as predicted."""
    for predicted, (day, setting) in zip(predictions, SETTINGS.items(), strict=True):
        # What people do is in what they file; the rest is what the services must know.
        same_people = prediction_of(day, {name: value for name, value in setting.items() if LEVERS[name].shares})
        knows = [name for name, each in predicted.decided.items() if same_people.decided.get(name) not in {None, each}]
        assert len(knows) >= 5, (day, len(knows))


def test_what_is_abolished_is_not_filed(rehearsal: Rehearsal):
    assert [each.applications < APPLICATIONS for each in rehearsal.played] == [False, False, False, True, False]
