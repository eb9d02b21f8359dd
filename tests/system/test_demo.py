"""The demo as its user sees it: one command, a verdict, and rates that only seed and plan decide."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.system.front_door import Ended, paperless

pytestmark = pytest.mark.timeout(240)

APPLICATIONS = 3_000
RUNS = {
    "seven": ("--seed", 7, "--pace", "max"),
    "seven_slower": ("--seed", 7, "--pace", 3),
    "eight": ("--seed", 8, "--pace", "max"),
    "rough": ("--seed", 7, "--plan", "rough", "--pace", "max"),
    "rough_slower": ("--seed", 7, "--plan", "rough", "--pace", 2),
}


class Demo(NamedTuple):
    ended: Ended
    text: str

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)
        return found

    @property
    def rates(self) -> str:
        """The rates as they stand in the file, byte for byte."""
        return self.text[self.text.index('"rates": {') : self.text.index('"timing": {')]


def play(folder: Path, *options: object) -> Demo:
    result = folder / "verdict.json"
    ended = paperless(
        "demo", "--applications", APPLICATIONS, "--state", folder / "run", "--json", result, *options, within_s=150
    )
    return Demo(ended, result.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def demos(tmp_path_factory) -> Iterator[dict[str, Demo]]:
    """One demo for each of the runs, two at a time: most of a run is waiting."""
    folders = {name: tmp_path_factory.mktemp(name) for name in RUNS}
    with ThreadPoolExecutor(2) as pool:
        runs = {name: pool.submit(play, folders[name], *options) for name, options in RUNS.items()}
        yield {name: run.result() for name, run in runs.items()}


def test_the_demo_ends_with_a_verdict_and_counts(demos):
    ended = demos["seven"].ended
    assert (ended.code, ended.err) == (0, "")
    lines = [line.strip() for line in ended.out.splitlines()]
    verdict = lines[lines.index("verdict: ok") :]
    names = ["submitted", "decided", "dead-lettered", "lost", "counted twice"]
    names += ["moved", "replayed", "dropped", "re-delivered", "presumed", "overruled"]
    found = {line.rsplit(maxsplit=1)[0]: line.rsplit(maxsplit=1)[-1] for line in verdict[1:12]}
    assert list(found) == names
    assert (found["submitted"], found["decided"]) == ("3,000", "3,000")
    assert (found["dead-lettered"], found["lost"], found["counted twice"]) == ("0", "0", "0")
    assert "live = recount = oracle" in verdict


def test_the_demo_shows_provinces_and_reasons(demos):
    out = demos["seven"].ended.out
    for words in ("  Lạng Sơn  ", "Simulated beside published", "Run by ministries", "did not end end to end"):
        assert words in out, words


def test_the_demo_says_where_to_look_next(demos):
    out = demos["seven"].ended.out
    assert "next: paperless demo --keep, then paperless why --province 79" in out
    for words in ("where to look", "run/logs", "/docs", "paperless status --state"):
        assert words in out, words


def test_what_was_seen_stands_before_the_details(demos):
    lines = demos["seven"].ended.out.splitlines()
    seen = next(number for number, line in enumerate(lines) if line.startswith("seen: 3,000 filed"))
    assert lines[seen].endswith("verdict: ok")
    assert [line.partition(":")[0] for line in lines[seen + 1 : seen + 3]] == ["rate", "next"]
    assert lines.index("verdict: ok") > seen + 2
    assert max(len(line) for line in lines[seen:]) <= 80


def test_the_result_as_json_has_the_promised_keys(demos):
    result = demos["seven"].result
    assert {"verdict", "counts", "rates", "timing"} <= result.keys()
    assert result["verdict"] == "ok"
    assert (result["counts"]["submitted"], result["counts"]["decided"]) == (APPLICATIONS, APPLICATIONS)
    assert {result["counts"][name] for name in ("dead_lettered", "lost", "counted_twice", "conflicts")} == {0}
    assert result["rates"]["all"]["total"]["applications"] == APPLICATIONS
    names = {"broker", "portal", "intake", "intake_2", "vneid_mock", "scoring", "scoring_api", "planner"}
    assert set(result["timing"]["processes"]) == names


def test_a_demo_leaves_no_process_recorded(demos, tmp_path_factory):
    folders = [path for path in tmp_path_factory.getbasetemp().glob("*/run") if (path / "logs").is_dir()]
    assert len(folders) >= len(RUNS)
    assert [path for path in folders if (path / "state.json").exists()] == []


def test_every_plan_and_pace_ends_well(demos):
    assert {name: demo.result["verdict"] for name, demo in demos.items()} == dict.fromkeys(RUNS, "ok")
    assert {demo.ended.code for demo in demos.values()} == {0}


def test_the_same_seed_gives_the_same_rates_at_any_pace(demos):
    assert demos["seven"].rates == demos["seven_slower"].rates


def test_the_rough_plan_gives_the_same_rates_again(demos):
    assert demos["rough"].rates == demos["rough_slower"].rates
    assert demos["rough"].rates != demos["seven"].rates


def test_another_seed_gives_other_rates(demos):
    assert demos["eight"].rates != demos["seven"].rates


def test_the_rough_plan_presumes_and_the_verdict_holds(demos):
    assert demos["rough"].result["counts"]["presumed"] > 0
    assert demos["rough"].result["readings"] == "live = recount = oracle"
