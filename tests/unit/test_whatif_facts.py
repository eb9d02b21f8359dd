"""A setting as data files that services read, and what is said where they decide otherwise than predicted."""

import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from domain import BASE_DAY, DomainError, load, load_domain, loading
from paperless.cli import whatif_played
from paperless.cli.main import app
from paperless.cli.whatif_played import Rehearsal
from paperless.population.scenario import load_scenario, simulated_days
from paperless.verification.verify import RunParameters
from paperless.whatif.facts import SupposedStep, steps_of, write_facts
from paperless.whatif.levers import load_levers
from paperless.whatif.prediction import Count, Decided, Difference, compared
from paperless.whatif.worlds import world_of
from services.vneid_mock.plan_files import named_plan

DOMAIN, LEVERS = load_domain(), load_levers()
# Before, on and after the day that the files describe; reforms hold on two of them.
DAYS = (date(2025, 7, 8), BASE_DAY, date(2026, 9, 9))


def usual_day(day: date):
    scenario = load_scenario("national-day", DOMAIN).model_copy(update={"days": (day,)})
    return simulated_days(scenario, DOMAIN, seed=1, applications=10)[0]


def setting_of_some_levers() -> st.SearchStrategy[dict[str, float]]:
    values = {
        name: st.sampled_from([0.0, 1.0]) if lever.whole else st.floats(0, 1, allow_subnormal=False)
        for name, lever in LEVERS.items()
    }
    return st.fixed_dictionaries({}, optional=values)


@settings(max_examples=15)
@given(st.lists(setting_of_some_levers(), min_size=len(DAYS), max_size=len(DAYS)))
def test_files_of_settings_make_the_same_worlds_each_on_its_day(tmp_path_factory: pytest.TempPathFactory, chosen):
    usual = [usual_day(day) for day in DAYS]
    supposed = [world_of(day, setting, LEVERS).day for day, setting in zip(usual, chosen, strict=True)]
    folder = tmp_path_factory.mktemp("facts")
    write_facts(folder, [step for pair in zip(usual, supposed, strict=True) for step in steps_of(*pair)])
    written = load(folder)
    for day in supposed:
        assert written.on(day.date).procedures == day.domain.procedures
    for other in (date(2025, 10, 9), date(2026, 9, 10)):
        assert written.on(other).procedures == DOMAIN.on(other).procedures


def test_nothing_supposed_is_the_packaged_facts(tmp_path: Path):
    write_facts(tmp_path, steps_of(usual_day(BASE_DAY), usual_day(BASE_DAY)))
    assert load(tmp_path) == DOMAIN


def test_a_process_reads_the_facts_that_its_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    step = SupposedStep(BASE_DAY, "look_up", "1.012831/giay_chung_nhan/dat_dai", "usable_rate", "0.5")
    code, slug = "1.013831", next(each.slug for each in DOMAIN.procedures["1.013831"].proofs if each.databases)
    database = DOMAIN.procedures[code].components[slug].databases[0]
    write_facts(tmp_path, [step._replace(key=f"{code}/{slug}/{database}")])
    monkeypatch.setenv(loading.FOLDER_VARIABLE, str(tmp_path))
    found = loading.load_domain.__wrapped__().on(BASE_DAY)
    assert found.procedures[code].components[slug].usable_rates[0] == 0.5
    assert DOMAIN.procedures[code].components[slug].usable_rates[0] != 0.5


def test_a_look_up_that_no_procedure_makes_is_refused(tmp_path: Path):
    write_facts(tmp_path, [SupposedStep(BASE_DAY, "look_up", "1.013831/nothing/dat_dai", "usable_rate", "0.5")])
    with pytest.raises(DomainError, match="is no look_up that may change by day"):
        load(tmp_path)


def test_the_oracle_has_the_facts_of_the_services(tmp_path: Path):
    setting = {"commune_originals": 1.0}
    usual = usual_day(BASE_DAY)
    write_facts(tmp_path, steps_of(usual, world_of(usual, setting, LEVERS).day))
    parameters = RunParameters(plan=named_plan("calm").model_dump(mode="json"), seed=1, facts=tmp_path)
    assert parameters.oracle(1).book.domain.on(BASE_DAY).procedures["X.900004"].service_level == "full"


ENDED, ON_PAPER = Decided("end_to_end", ()), Decided("on_paper", ("original_required",))


def test_what_differs_is_counted_and_the_first_are_named():
    predicted = {str(number): ENDED for number in range(30)} | {"paper": ON_PAPER}
    decided = predicted | {str(number): ON_PAPER for number in range(12)} | {"of somebody else": ENDED}
    del decided["29"]
    played = compared(predicted, decided)
    assert (played.equal, played.applications, played.differing) == (False, 31, 13)
    assert played.outcomes == {"end_to_end": Count(30, 17), "on_paper": Count(1, 13)}
    assert played.differences[0] == Difference("0", ENDED, ON_PAPER)
    assert len(played.differences) == 10
    assert compared({"29": ENDED}, decided).differences == (Difference("29", ENDED, None),)
    assert json.loads(json.dumps(played.to_json()))["differences"][0]["services"]["outcome"] == "on_paper"


def test_reasons_are_compared_as_well():
    assert not compared({"a": ON_PAPER}, {"a": Decided("on_paper", ("asked_anyway",))}).equal


@pytest.mark.parametrize(
    ("decided", "verified", "code"), [(ENDED, True, 0), (ENDED, False, 1), (ON_PAPER, True, 1), (None, True, 1)]
)
def test_the_command_fails_where_services_decide_otherwise(
    monkeypatch: pytest.MonkeyPatch, decided: Decided | None, verified, code
):
    played = compared({"a": ENDED}, {"a": decided} if decided else {})
    monkeypatch.setattr(whatif_played, "rehearse", lambda *_: Rehearsal((played,), verified))
    asked = ["whatif", "--lever", "land_data=1", "--play", "--applications", "200"]
    ended = CliRunner().invoke(app, [*asked, "--json"])
    assert ended.exit_code == code
    told = json.loads(ended.output)
    assert (told["applications"], told["played"]["equal"]) == (200, decided == ENDED)
    assert told["played"]["verified"] is verified
    shown = CliRunner().invoke(app, [*asked, "--lang", "en"])
    assert shown.exit_code == code
    assert ("came out as predicted" in shown.output) is (decided == ENDED)
    assert ("not in order" in shown.output) is not verified


def test_one_day_is_played():
    ended = CliRunner().invoke(app, ["whatif", "--play", "--seeds", "3"])
    assert ended.exit_code == 2
    assert "leave --seeds out" in " ".join(ended.output.replace("│", " ").split())


def test_help_tells_every_lever_with_range_mark_and_source_in_80_columns():
    shown = CliRunner().invoke(app, ["whatif", "--help"], env={"COLUMNS": "80"})
    assert shown.exit_code == 0
    assert max(map(len, shown.output.splitlines())) <= 80
    _, _, levers = shown.output.partition("Levers, 0 (as today) to 1 (its best)")
    for name, lever in LEVERS.items():
        (line,) = [each for each in levers.splitlines() if each.startswith(f"{name} ")]
        assert line.split()[1 : 4 if lever.whole else 3] == [
            *(("0,", "1") if lever.whole else ("0–1",)),
            lever.evidence,
        ]
        assert " ".join(lever.source.split()[:3]) in levers
