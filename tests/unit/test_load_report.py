"""What is made of results: a page that asks nobody for anything, two runs beside each other, and clear refusals."""

import re

import pytest

from paperless.language import LANGUAGES, texts
from paperless.traffic.load.charts import COLOURS
from paperless.traffic.load.compare import compare, differences
from paperless.traffic.load.plan import LoadPlan
from paperless.traffic.load.report import TERMS, report
from paperless.traffic.load.result import LoadError, LoadResult, Step, read_result
from tests.support.cli_runs import Paperless, paperless_in
from tests.support.load_examples import figures_of, recorded, result_of

EN = texts("en")


@pytest.fixture
def paperless(monkeypatch, capsys, tmp_path) -> Paperless:
    # The default state directory lies where the command is typed.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return paperless_in(monkeypatch, capsys)


@pytest.fixture
def slow() -> LoadResult:
    return result_of(figures_of(recorded([0.4] * 50)))


@pytest.fixture
def fast() -> LoadResult:
    return result_of(figures_of(recorded([0.1] * 50)))


def test_the_page_names_no_other_host_and_runs_no_script(slow):
    page = report(slow, EN)
    addresses = set(re.findall(r"(?:\w+:)?//[^\s\"'<>)]+", page))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "<script" not in page
    # Four charts, each for a screen and for a phone.
    assert page.count("<svg") == 8


def test_the_page_has_the_figures_and_spells_out_what_it_quotes(slow):
    page = report(slow, EN)
    assert "<th>to stored cell</th>" in page
    median = re.search(r"<td>p50</td><td>[\d.]+</td><td>[\d.]+</td><td>([\d.]+)</td>", page)
    assert median
    assert float(median[1]) == pytest.approx(400, rel=0.01)
    assert "a &lt;fast&gt; one" in page


def test_the_page_of_a_search_lists_its_steps():
    found = figures_of(recorded([0.1] * 50))
    plan = LoadPlan(mode="max", rate=10)
    steps = (Step(rate=10, sustained=True, why="flat", measured=found),)
    page = report(result_of(found, plan=plan).model_copy(update={"steps": steps}), EN)
    assert "Highest sustained rate: 10/s" in page
    assert "10/s: sustained, flat" in page


def test_a_search_that_found_nothing_has_a_page_too():
    page = report(result_of(None, plan=LoadPlan(mode="max")), EN)
    assert "No rate was sustained." in page


def test_one_stored_application_is_enough_for_a_page():
    assert "<svg" in report(result_of(figures_of(recorded([0.1]))), EN)


def test_ratios_are_those_of_the_second_run_to_the_first(slow, fast):
    ratios = {(row.measure, row.figure): row.ratio for row in compare(slow, fast)}
    assert ratios["to_stored", "p99"] == pytest.approx(0.25, rel=0.01)
    assert ratios["slip", "p50"] == 1


def test_runs_with_different_settings_are_told_apart(slow, fast):
    assert differences(slow, fast) == ()
    other = fast.model_copy(update={"rate": 20.0, "plan_name": "mild"})
    assert [each.setting for each in differences(slow, other)] == ["rate", "plan"]


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


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_chart_names_its_axes_with_units_in_one_language(slow, language):
    said = texts(language)
    page = report(slow, said)
    drawn = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    titles = [re.findall(r'<text[^>]*class="title"[^>]*>([^<]*)</text>', svg) for svg in drawn]
    x = [said("report.percentile"), *[said("report.second")] * 3]
    y = [*[said("report.latency_ms")] * 2, said("report.applications_per_s"), said("report.applications")]
    assert titles == [list(pair) for pair in zip(x, y, strict=True) for _ in ("screen", "phone")]


def test_what_is_not_measured_is_shaded_and_the_legend_says_so(slow):
    warm = slow.model_copy(update={"warm_up_s": 2.0})
    for result, over_time in ((warm, 3), (slow.model_copy(update={"warm_up_s": 0.0}), 0)):
        page = report(result, EN)
        # Latency, throughput and backlog, each for a screen and for a phone.
        assert page.count('class="warm-up"/>') == 2 * over_time
        assert page.count("warm-up, not measured") == over_time


def test_a_colour_means_the_same_in_every_chart(slow):
    meant: dict[str, set[str]] = {}
    page = report(slow, EN)
    for colour, name in re.findall(r'class="swatch" style="border-top: 3px \w+ (#\w+)"></span> ([^<]+)<', page):
        meant.setdefault(colour, set()).add(name)
    assert meant.keys() == set(COLOURS.values())
    assert meant.pop(COLOURS["stored"]) == {"to stored cell", "stored"}
    assert meant.pop(COLOURS["decided"]) == {"to outcome", "decided"}
    assert {len(names) for names in meant.values()} == {1}
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert set(re.findall(r"stroke: ?(#[0-9a-f]{6})", svg)) & set(COLOURS.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_term_of_the_page_is_explained_at_its_end(slow, language):
    page = report(slow, texts(language))
    glossary = page[page.index("<dl>") :]
    assert re.findall(r"<dt>([^<]+)</dt><dd>[^<]+", glossary) == [
        texts(language)(f"term.{name}.name") for name in TERMS
    ]
    assert page.index("<dl>") > page.rindex("</svg>")


def test_what_is_drawn_for_a_phone_is_no_wider_than_one_and_is_shown_only_there(slow):
    page = report(slow, EN)
    widths = set(re.findall(r'viewBox="0 0 (\d+) \d+"', page))
    assert widths == {"900", "366"}
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert "@media (max-width: 640px) { .phone { display: block; } .screen { display: none; } }" in page
