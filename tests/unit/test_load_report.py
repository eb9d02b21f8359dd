"""What is made of results: a page that asks nobody for anything, two runs beside each other, and clear refusals."""

import re

import pytest

from paperless.traffic.load.compare import compare, differences
from paperless.traffic.load.plan import LoadPlan
from paperless.traffic.load.report import report
from paperless.traffic.load.result import LoadError, LoadResult, Step, read_result
from tests.support.cli_runs import Paperless, paperless_in
from tests.support.load_examples import figures_of, recorded, result_of


@pytest.fixture
def paperless(monkeypatch, capsys, tmp_path) -> Paperless:
    # The default state directory lies where the command is typed.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    return paperless_in(monkeypatch, capsys)


@pytest.fixture
def slow() -> LoadResult:
    return result_of(figures_of(recorded([0.4] * 50)))


@pytest.fixture
def fast() -> LoadResult:
    return result_of(figures_of(recorded([0.1] * 50)))


def test_the_page_names_no_other_host_and_runs_no_script(slow):
    page = report(slow)
    addresses = set(re.findall(r"(?:\w+:)?//[^\s\"'<>)]+", page))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "<script" not in page
    assert page.count("<svg") == 4


def test_the_page_has_the_figures_and_spells_out_what_it_quotes(slow):
    page = report(slow)
    assert "<td>to stored cell</td><td>400." in page
    assert "a &lt;fast&gt; one" in page


def test_the_page_of_a_search_lists_its_steps():
    found = figures_of(recorded([0.1] * 50))
    plan = LoadPlan(mode="max", rate=10)
    steps = (Step(rate=10, sustained=True, why="flat", measured=found),)
    page = report(result_of(found, plan=plan).model_copy(update={"steps": steps}))
    assert "Highest sustained rate: 10/s" in page
    assert "10/s: sustained, flat" in page


def test_a_search_that_found_nothing_has_a_page_too():
    page = report(result_of(None, plan=LoadPlan(mode="max")))
    assert "No rate was sustained." in page


def test_one_stored_application_is_enough_for_a_page():
    assert "<svg" in report(result_of(figures_of(recorded([0.1]))))


def test_ratios_are_those_of_the_second_run_to_the_first(slow, fast):
    ratios = {(row.measure, row.figure): row.ratio for row in compare(slow, fast)}
    assert ratios["to stored cell", "p99"] == pytest.approx(0.25, rel=0.01)
    assert ratios["slip of the driver", "p50"] == 1


def test_runs_with_different_settings_are_told_apart(slow, fast):
    assert differences(slow, fast) == ()
    other = fast.model_copy(update={"rate": 20.0, "plan_name": "mild"})
    assert [one.partition(":")[0] for one in differences(slow, other)] == ["rate", "fault plan"]


def test_a_result_survives_its_file(slow, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(slow.model_dump_json())
    again = read_result(path)
    assert again == slow
    assert again.measured
    assert again.measured.to_stored.decoded.get_total_count() == 50


def test_a_file_that_is_no_result_is_refused_with_its_name(tmp_path):
    path = tmp_path / "verdict.json"
    path.write_text('{"verdict": "ok"}')
    with pytest.raises(LoadError, match=r"verdict.json, field command: .*make it anew with `paperless load --json`"):
        read_result(path)


def test_compare_shows_both_runs_and_writes_them(paperless, slow, fast, tmp_path):
    (tmp_path / "a.json").write_text(slow.model_dump_json())
    (tmp_path / "b.json").write_text(fast.model_dump_json())
    ended = paperless("load", "compare", "a.json", "b.json", "--json", "c.json")
    assert ended.code == 0
    assert "0.25" in ended.out
    written = (tmp_path / "c.json").read_text()
    assert '"ratio": 0.25' in written


def test_a_load_without_a_system_says_what_to_do(paperless):
    ended = paperless("load", "--rate", 5)
    assert ended.code == 2
    assert "nothing is running" in ended.err
    assert "start it with `paperless up`" in ended.err


def test_a_search_of_a_closed_loop_is_a_usage_error(paperless):
    ended = paperless("load", "--max", "--closed", 2)
    assert ended.code == 2
    assert "leave --closed out" in ended.error


def test_help_has_examples_and_says_how_applications_are_chosen(paperless):
    text = " ".join(paperless("load", "--help").out.split())
    for words in ("paperless load --max", "paperless load compare a.json b.json", "none was filed before"):
        assert words in text
