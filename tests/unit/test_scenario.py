"""Scenarios: which days are played and how a bad file is refused."""

from datetime import date
from pathlib import Path

import pytest

from domain import load_domain
from paperless.population.scenario import (
    DEFAULT_SCENARIO,
    ScenarioError,
    load_scenario,
    parse_scenario,
    scenario_names,
    simulated_days,
)
from services.vneid_mock.plan_files import load_plan

DOMAIN = load_domain()
GOOD = """
name = "mine"
title_vi = "Của tôi"
sentence = "A day of mine."
days = [2025-10-08]
applications_per_day = 1000
"""


def refused(text: str) -> str:
    with pytest.raises(ScenarioError) as error:
        parse_scenario(text, "mine.toml", DOMAIN)
    return str(error.value)


@pytest.mark.parametrize("name", scenario_names())
def test_every_packaged_scenario_can_be_played(name: str):
    scenario = load_scenario(name, DOMAIN)
    days = simulated_days(scenario, DOMAIN, seed=1)
    assert scenario.name == name
    assert scenario.sentence.endswith(".")
    assert [day.date for day in days] == list(scenario.days)
    assert all(day.applications > 0 for day in days)


def test_the_default_scenario_is_named_first():
    assert scenario_names()[0] == DEFAULT_SCENARIO
    assert set(scenario_names()) == {
        "2025-h1",
        "before-october",
        "from-october",
        "land-data-cleaned",
        "mass-announcement",
        "merger-shock",
        "national-day",
        "one-province",
        "quiet-sunday",
        "target-80",
        "trajectory",
        "twenty-five",
        "vneid-outage",
        "week",
    }


def test_the_national_day_is_what_the_counters_record():
    [day] = simulated_days(load_scenario("national-day", DOMAIN), DOMAIN, seed=1)
    assert day.applications == DOMAIN.number("volume.provinces_per_day") == 120_833
    assert day.date == date(2025, 10, 8)
    assert len(day.communes) == 3_321
    assert sum(day.weights) == pytest.approx(1)


def test_one_province_gets_its_part_of_the_country():
    [day] = simulated_days(load_scenario("one-province", DOMAIN), DOMAIN, seed=1)
    assert {commune.province for commune in day.communes} == {"46"}
    assert 500 < day.applications < 4_000


def test_weekends_bring_a_fraction_of_a_working_day():
    days = simulated_days(load_scenario("week", DOMAIN), DOMAIN, seed=1)
    volumes = [day.applications for day in days]
    assert volumes[:5] == [round(20_000 * DOMAIN.number("volume.working_day_factor"))] * 5
    assert volumes[5:] == [round(20_000 * DOMAIN.number("volume.weekend_factor"))] * 2
    assert [day.office_open for day in days] == [True] * 5 + [False] * 2


def test_an_exact_total_is_divided_over_the_days():
    days = simulated_days(load_scenario("week", DOMAIN), DOMAIN, seed=1, applications=1_001)
    assert sum(day.applications for day in days) == 1_001
    assert days[0].applications > 5 * days[6].applications


def test_twenty_five_plays_the_listed_services_alone():
    [day] = simulated_days(load_scenario("twenty-five", DOMAIN), DOMAIN, seed=1)
    assert len(day.procedures) == 25
    assert all(procedure.in_list_25 for procedure in day.procedures)


def test_before_october_centres_still_take_paper():
    [day] = simulated_days(load_scenario("before-october", DOMAIN), DOMAIN, seed=1)
    taken = DOMAIN.number("channel.paper_taken_share")
    assert {shares.paper_taken_share for shares in day.shares.values()} == {taken}
    assert not day.domain.number("channel.no_paper_rule")


@pytest.mark.parametrize("name", ["vneid-outage", "mass-announcement"])
def test_a_scenario_brings_its_fault_plan(name: str):
    plan = load_plan(load_scenario(name, DOMAIN).plan or "")
    assert plan.never_answer_share > load_plan("rough").never_answer_share
    assert plan.sentence.endswith(".")


def test_a_plan_is_found_beside_the_scenario_that_names_it(tmp_path: Path):
    (tmp_path / "mine.toml").write_text(GOOD + 'plan = "storm.toml"\n', encoding="utf-8")
    assert load_scenario(str(tmp_path / "mine.toml"), DOMAIN).plan == str(tmp_path.resolve() / "storm.toml")
    (tmp_path / "mine.toml").write_text(GOOD + 'plan = "rough"\n', encoding="utf-8")
    assert load_scenario(str(tmp_path / "mine.toml"), DOMAIN).plan == "rough"


def test_each_day_of_a_scenario_is_played_in_its_own_world():
    days = simulated_days(load_scenario("merger-shock", DOMAIN), DOMAIN, seed=1)
    online = [sum(shares.online_share for shares in day.shares.values()) / 34 for day in days]
    assert online[2] == online[3] < min(online[0], online[-1]) - 0.1
    assert all(day.domain is DOMAIN.on(day.date) for day in days)


def test_an_unknown_scenario_lists_the_known_ones_and_the_nearest():
    with pytest.raises(ScenarioError, match=r"'natinal-day' is unknown; did you mean 'national-day'\? Known: .*week"):
        load_scenario("natinal-day", DOMAIN)


def test_a_scenario_of_the_users_is_read_from_its_path(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + '[procedures]\n"1.001193" = 3\n"1.000656" = 1\n', encoding="utf-8")
    [day] = simulated_days(load_scenario(str(path), DOMAIN), DOMAIN, seed=1)
    assert (day.applications, [procedure.code for procedure in day.procedures]) == (1000, ["1.001193", "1.000656"])


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path):
    with pytest.raises(ScenarioError, match=r"none\.toml: cannot be read .*check the path"):
        load_scenario(str(tmp_path / "none.toml"), DOMAIN)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        load_scenario(str(path), DOMAIN)


@pytest.mark.parametrize(
    ("wrong", "key", "advice"),
    [
        (GOOD.replace("[2025-10-08]", "[2025-13-08]"), "mine.toml: no TOML", "correct that line"),
        (GOOD.replace('title_vi = "Của tôi"', ""), "key title_vi: missing", "add it"),
        (GOOD + "province = 3\n", "key province: no such key", "did you mean"),
        (GOOD.replace("1000", '"many"'), "key applications_per_day", "correct the value"),
        (GOOD.replace("1000", "0"), "key applications_per_day", "correct the value"),
        (GOOD.replace('"mine"', '"Mine Own"'), "key name", "correct the value"),
        (GOOD.replace("[2025-10-08]", "[]"), "key days", "correct the value"),
        (GOOD.replace("[2025-10-08]", "[2031-10-08]"), "key days", "choose days inside"),
        (GOOD.replace("[2025-10-08]", "[2025-10-09, 2025-10-08]"), "key days: not in order", "sort the days"),
        (GOOD.replace("[2025-10-08]", "[2025-10-08, 2025-10-08]"), "key days: 2025-10-08 is listed twice", "once"),
        (GOOD + 'provinces = ["99"]\n', "key provinces: '99' is unknown", "Known: 01"),
        (GOOD + 'provinces = ["46", "46"]\n', "key provinces: 46 is listed twice", "once"),
        (GOOD + '[procedures]\n"1.00119" = 1\n', "key procedures: '1.00119' is unknown", "did you mean"),
        (GOOD + '[procedures]\n"1.001193" = 0\n', "key procedures", "correct the value"),
        (GOOD + "[shares]\nonline = 0.5\n", "key shares: 'online' is unknown", "did you mean 'online_share'"),
        (GOOD + "[shares]\nonline_share = 1.5\n", "key shares", "less than or equal to 1"),
        (
            GOOD.replace("10-08", "10-12") + '[procedures]\n"X.900006" = 1\n',
            "key procedures: on 2025-10-12 the counters are closed",
            "choose a working day",
        ),
    ],
)
def test_a_bad_file_is_refused_with_file_key_and_advice(wrong: str, key: str, advice: str):
    message = refused(wrong)
    assert message.startswith("mine.toml")
    assert key in message
    assert advice in message
