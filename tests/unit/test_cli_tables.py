"""Every table in both languages: within 80 columns unless all columns are asked for, and in one language at a time."""

import io
import re
from dataclasses import fields, replace
from datetime import date, datetime

import pytest
from rich.cells import cell_len
from rich.console import Console

from domain import VN, load_domain
from paperless.cli.corrections import backlog_table
from paperless.cli.demo_output import DemoResult, show
from paperless.cli.load_output import print_comparison, print_result
from paperless.cli.rate_tables import league_table, rates_shown, why_shown
from paperless.cli.signposts import Signposts
from paperless.cli.terminal import FULL_WIDTH, Terminal
from paperless.language import LANGUAGES, texts
from paperless.traffic.load.compare import compare, differences
from paperless.verification.checkers import Verdict
from paperless.verification.correction_backlog import OwnerBacklog
from services.scoring.rates.rates import Counts, RatesTable, ranked, rate, rates_table, row_of
from services.scoring.rates.why import REASON_NAMES, DatabaseRow, PairRow, ReasonRow, WhyTable
from tests.support.load_examples import figures_of, recorded, result_of

DOMAIN = load_domain()
# Of the country in ten days.
MANY = 1_450_000
VIETNAMESE = re.compile(r"[ăâđêôơưàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ]", re.IGNORECASE)


def counts(n: int) -> Counts:
    """Counts whose every rate is 100 %, the widest that it can be."""
    return Counts(*[n] * len(Counts._fields))


def full_rates() -> RatesTable:
    """The league table with every province, the longest names and the greatest numbers."""
    empty = rates_table({}, DOMAIN)
    each = counts(MANY // 10)
    rows = ranked(row_of(row.key, (row.name_vi, row.name_en), each, row.published) for row in empty.rows)
    both = [row_of(row.key, (row.name_vi, row.name_en), counts(MANY), row.published) for row in empty.by_authority]
    assert empty.country_d1
    country = replace(empty.country_d1, value=1.0)
    return replace(empty, rows=rows, by_authority=both, country_d1=country, total=both[0])


def full_why() -> WhyTable:
    """Every reason, the longest pair and every database."""
    reasons = [
        ReasonRow(key, vi, en, MANY, MANY, rate(MANY, MANY), upper_bound=True) for key, (vi, en) in REASON_NAMES.items()
    ]
    longest = sorted(REASON_NAMES, key=lambda key: max(map(len, REASON_NAMES[key])))[-2:]
    pairs = [PairRow((longest[0], longest[1]), MANY, rate(MANY, MANY), upper_bound=True)]
    counted = {field.name: MANY for field in fields(DatabaseRow) if field.type is int}
    databases = [DatabaseRow(slug, each.name_vi, each.name_en, **counted) for slug, each in DOMAIN.databases.items()]
    return WhyTable(None, "province", None, None, MANY, 0, MANY, {}, rate(MANY, MANY), reasons, pairs, [], databases)


VERDICT = Verdict(
    submitted=MANY, decided=MANY, dead_lettered=3, lost=0, counted_twice=0, moved=4, re_delivered=17, presumed=2,
    overruled=1, conflicts=0, replayed=0, dropped=0, live_equals_recount=True, recount_equals_oracle=True,
    dead_letters={},
)  # fmt: skip
TIMING = {"sending": {"sent": MANY}, "traffic_s": 3_600.0, "applications_per_s": 4_000.0, "verify_s": 600.0}


def terminal(language, *, wide: bool = False) -> Terminal:
    width = FULL_WIDTH if wide else 80
    return Terminal(texts(language), Console(file=io.StringIO(), width=width, highlight=False), wide=wide)


def written(screen: Terminal) -> list[str]:
    assert isinstance(screen.console.file, io.StringIO)
    return screen.console.file.getvalue().splitlines()


def shown_demo(screen: Terminal, verdict: Verdict, posts: Signposts) -> None:
    result = DemoResult(verdict, {"province": full_rates()}, full_why(), TIMING)
    show(screen, result, posts, None, kept=False)


NOWHERE = Signposts("paperless", "", {})


def everything(language, *, wide: bool = False) -> list[str]:
    screen = terminal(language, wide=wide)
    rates, why = full_rates(), full_why()
    screen.show(*rates_shown(screen.texts, rates, wide=wide), *why_shown(screen.texts, why, wide=wide))
    backlogs = [
        OwnerBacklog(slug, MANY, MANY, MANY, MANY, MANY, MANY, datetime(2025, 10, 8, tzinfo=VN))
        for slug in DOMAIN.databases
    ]
    screen.show(backlog_table(screen.texts, backlogs, date(2025, 10, 31), wide=wide))
    shown_demo(screen, VERDICT, NOWHERE)
    slow, fast = (result_of(figures_of(recorded([each] * 50))) for each in (400.0, 100.0))
    print_result(screen, slow)
    print_comparison(screen, ["a.json", "b.json"], compare(slow, fast), differences(slow, fast))
    return written(screen)


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_fits_80_columns(language):
    lines = everything(language)
    # Sentences go on in the next line by themselves; what is drawn must not.
    too_wide = [line for line in lines if cell_len(line) > 80 and "  " in line.strip()]
    assert too_wide == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_number_and_no_header_is_broken_over_two_lines_or_cut(language):
    lines = everything(language)
    assert not [line for line in lines if "…" in line]
    for number in (MANY, MANY // 10):
        assert sum(line.count(texts(language).number(number)) for line in lines) >= 34
    hundred = texts(language).percent(1.0)
    assert sum(line.count(hundred) for line in lines) > 100


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_columns_show_more_and_need_more_room(language):
    usual, wide = everything(language), everything(language, wide=True)
    assert max(map(cell_len, wide)) > 120
    on_time = texts(language)("rates.on_time")
    assert not any(on_time in line.split("  ") for line in usual)
    assert any(on_time in line for line in wide)


def test_in_english_only_names_of_places_are_vietnamese():
    names = {row.name_vi for row in full_rates().rows}
    for line in everything("en"):
        rest = line
        for name in names:
            rest = rest.replace(name, "")
        assert not VIETNAMESE.search(rest), line


def test_in_vietnamese_no_table_has_an_english_header():
    english, lines = texts("en").sentences, everything("vi")
    # What both call the same is no mixture.
    words = {
        said
        for key, said in english.items()
        if key.startswith(("rates.", "why.", "corrections.", "verdict.")) and " " in said
    }
    same = {said for key, said in english.items() if texts("vi").sentences[key] == said}
    assert [(word, line) for word in words - same for line in lines if word in line] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_has_no_rank_has_a_dash_and_an_interval(language):
    few = ranked(
        row_of(row.key, (row.name_vi, row.name_en), Counts(applications=11, end_to_end=4)) for row in full_rates().rows
    )
    screen = terminal(language)
    screen.show(league_table(screen.texts, replace(full_rates(), rows=few)))
    rows = [line.split() for line in written(screen) if "36" in line]
    assert len(rows) == 34
    assert {row[0] for row in rows} == {"–"}
    low, high = screen.texts.number(15.17, 2), screen.texts.number(64.62, 2)
    assert all(f"{low}–{high}" in row for row in rows)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_demo_begins_with_three_lines_that_say_what_was_seen_and_what_to_do(language):
    screen = terminal(language)
    shown_demo(screen, VERDICT, NOWHERE)
    seen, rate_line, next_line, empty, verdict, *_ = written(screen)
    said = screen.texts
    assert said.number(MANY) in seen
    assert said("verdict.ok") in seen
    assert said.percent(1.0) in rate_line
    assert "paperless demo --keep" in next_line
    assert "paperless why --province 79" in next_line
    assert (empty, verdict) == ("", said("verdict.ok"))
    assert max(map(cell_len, (rate_line, next_line))) <= 80


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", REASON_NAMES)
def test_the_chief_obstacle_is_cut_at_a_word_where_there_is_no_room(language, reason):
    why = full_why()
    first = [row for row in why.reasons if row.reason == reason]
    screen = terminal(language)
    result = DemoResult(VERDICT, {"province": full_rates()}, replace(why, reasons=first), TIMING)
    show(screen, result, NOWHERE, None, kept=False)
    line, name = written(screen)[1], screen.texts.name(first[0])
    assert cell_len(line) <= 80
    shown = line.rpartition(": ")[2].removesuffix(" …")
    assert name.startswith(shown)
    assert name in line or name[len(shown)] == " "


def test_a_verdict_that_is_not_ok_sends_to_the_differences_and_the_logs():
    screen, wrong = terminal("en"), replace(VERDICT, lost=1, differences=("application x: lost",))
    posts = Signposts("paperless", "", {"logs": "build/run/logs"})
    shown_demo(screen, wrong, posts)
    lines = written(screen)
    assert "verdict: NOT OK" in lines[0]
    assert lines[2] == "next: the differences below, and the logs: build/run/logs"
