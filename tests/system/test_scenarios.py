"""Months played through the running services: the trajectory, scenarios in their worlds, a month that is published."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.system.front_door import Ended, System, paperless

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.slow(reason="plays months through whole systems, and verifies each"),
]

APPLICATIONS = 1_600
SCENARIOS = ("merger-shock", "vneid-outage", "target-80")
MONTHS = ("2025-06", "2025-07", "2025-08", "2025-09", "2025-10", "2025-11", "2025-12", "2026-01")


def play(folder: Path, scenario: str, *options: object) -> Ended:
    result = folder / "verdict.json"
    state = ("--state", folder / "run", "--json", result, "--intake-members", 1)
    return paperless(
        "demo", "--scenario", scenario, "--applications", APPLICATIONS, "--pace", "max", *state, *options, within_s=240
    )


def verdict_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "verdict.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each scenario once, two at a time: most of a run is waiting."""
    folders = {name: tmp_path_factory.mktemp(name) for name in SCENARIOS}
    with ThreadPoolExecutor(2) as pool:
        runs = {name: pool.submit(play, folder, name) for name, folder in folders.items()}
        assert {name: run.result().code for name, run in runs.items()} == dict.fromkeys(SCENARIOS, 0)
    return folders


@pytest.fixture(scope="module")
def trajectory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("trajectory")
    system = System(folder / "run")
    try:
        ended = play(folder, "trajectory", "--keep")
        assert ended.code == 0, ended
        yield system
    finally:
        system.run("down")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_comes_to_what_the_oracle_says(played: dict[str, Path], scenario: str):
    verdict = verdict_of(played[scenario])
    assert (verdict["verdict"], verdict["readings"]) == ("ok", "live = recount = oracle")
    assert verdict["counts"]["submitted"] == APPLICATIONS


def test_an_outage_leaves_many_look_ups_without_an_answer(played: dict[str, Path]):
    presumed = {name: verdict_of(folder)["counts"]["presumed"] for name, folder in played.items()}
    assert presumed["vneid-outage"] > 10 * max(presumed["merger-shock"], presumed["target-80"], 1)


def d1_of(folder: Path) -> float:
    return float(verdict_of(folder)["rates"]["province"]["total"]["rates"]["d1"]["value"])


def test_each_day_is_decided_in_its_own_world(played: dict[str, Path]):
    """Half of it is filed after everything is changed that the target would take: intake and VNeID know it."""
    assert d1_of(played["target-80"]) > 2 * d1_of(played["merger-shock"])


def test_the_months_are_those_that_were_played(trajectory: System):
    verdict = verdict_of(trajectory.folder.parent)
    assert (verdict["verdict"], verdict["readings"]) == ("ok", "live = recount = oracle")
    for month in MONTHS:
        table = json.loads(trajectory.must("rates", "--json", "--authority", "all", "--month", month))
        assert table["total"]["applications"] > 0, month


def test_the_index_ranks_a_month_against_the_one_before(trajectory: System):
    table = json.loads(trajectory.must("index", "--json", "--month", "2025-10"))
    assert (table["month"], table["previous_month"], table["modelled_points"]) == ("2025-10", "2025-09", 46)
    assert sum(row["applications"] for row in table["rows"]) > 0
    assert "Index of Decision 766, 2025-10" in trajectory.must("index", "--month", "2025-10")


def test_a_published_month_stays_and_what_comes_later_is_a_restatement(trajectory: System):
    publication = json.loads(trajectory.must("publish", "--month", "2025-10", "--json"))
    # Some outcomes are written twice.
    assert sum(publication["offsets"].values()) >= APPLICATIONS
    published = json.loads(trajectory.must("index", "--month", "2025-10", "--published", "--json"))
    assert (published["restatements"], published["publication"]["offsets"]) == ([], publication["offsets"])
    trajectory.must("send", "--scenario", "national-day", "--applications", 800)
    code, verdict = trajectory.verify()
    assert (code, verdict["verdict"]) == (0, "ok")
    later = json.loads(trajectory.must("index", "--month", "2025-10", "--published", "--json"))
    assert later["rates"] == published["rates"]
    assert later["index"] == published["index"]
    assert sum(row["restated"]["applications"] - row["published"]["applications"] for row in later["restatements"]) > 0
    again = trajectory.run("publish", "--month", "2025-10")
    assert (again.code, "is published since" in again.err) == (2, True)
