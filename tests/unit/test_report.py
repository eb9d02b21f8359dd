"""The monthly report: one page that asks nobody, whose numbers are those of the rates."""

import re
from collections import Counter
from html import unescape

import pytest

from domain import load_domain
from paperless.language import texts
from paperless.population.scenario import load_scenario, simulated_days
from paperless.report.levers import LeverGain, Levers, LeverStep
from paperless.report.page import Facts, page, percent
from paperless.verification.correction_backlog import OwnerBacklog
from paperless.whatif.terms import World
from services.scoring.rates.index766 import index_table
from services.scoring.rates.rates import rates_table
from services.scoring.rates.restatement import PublicationSummary, PublishedMonth, restatements
from services.scoring.rates.why import why_table
from services.scoring.rollup.cells import CellKey, Measures, pattern_text
from services.vneid_mock.plan_files import named_plan
from tests.support.whatif import decided

DOMAIN, MONTH = load_domain(), "2025-10"


def cells_of(seed: int) -> dict[CellKey, Measures]:
    (day,) = simulated_days(load_scenario("national-day", DOMAIN), DOMAIN, seed=seed, applications=1_500)
    counts: Counter[CellKey] = Counter()
    for _, decision in decided(World(day), named_plan("mild")):
        parts = tuple([(each.component, each.source, each.cause, each.database) for each in decision.components])
        pattern = pattern_text(decision.outcome, decision.authority, decision.reasons, parts)
        counts[CellKey(MONTH, decision.province, decision.procedure, decision.channel, pattern)] += 1
    return {cell: Measures(n=count, on_time=count) for cell, count in counts.items()}


@pytest.fixture(scope="module")
def facts() -> Facts:
    live, frozen = cells_of(1), cells_of(2)
    index = index_table(live, DOMAIN, MONTH)
    rates = rates_table(live, DOMAIN, authority="province", month=MONTH)
    published = PublishedMonth(
        PublicationSummary(MONTH, "2025-11-03T08:00:00+07:00", {0: 7}, 1_500),
        rates,
        index,
        restatements(frozen, live, DOMAIN, MONTH),
    )
    backlog = [OwnerBacklog("dat_dai", 12, 7, 5, 2, 4, 8, None), OwnerBacklog("unknown", 1, 1, 0, 0, 1, 0, None)]
    why = why_table(live, DOMAIN, authority="province", month=MONTH)
    return Facts(MONTH, DOMAIN, rates, why, index, published, backlog)


@pytest.mark.parametrize("language", ["vi", "en"])
def test_its_numbers_are_those_of_the_rates(facts: Facts, language):
    told_in = texts(language)
    shown = page(told_in, facts)
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", shown)]
    for province in facts.rates.rows:
        (row,) = [cells for cells in rows if len(cells) == 10 and unescape(cells[0]) == told_in.name(province)]
        assert row[2] == told_in.number(province.applications)
        assert row[3:8] == [
            percent(told_in, province.rates[name]) for name in ("d1", "d2", "paperless", "online", "on_time")
        ]
    for authority in facts.rates.by_authority[:2]:
        assert f"<b>{percent(told_in, authority.rates['d1'])}</b>" in shown
    assert f"<b>{told_in.number(facts.rates.total.papers_avoided)}</b>" in shown


@pytest.mark.parametrize("language", ["vi", "en"])
def test_it_asks_nobody_and_says_what_it_is(facts: Facts, language):
    shown = page(texts(language), facts)
    assert not re.search(r"<(script|link|img|iframe)|url\(|@import", shown)
    assert "http" not in shown.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert unescape(shown).count(texts(language)("monthly.simulated")) == 1
    assert "@media print" in shown


def test_every_province_has_a_tile(facts: Facts):
    shown = unescape(page(texts("en"), facts))
    assert all(f">{each.name_en}</text>" in shown for each in DOMAIN.provinces.values())


def test_what_arrived_later_stands_as_a_restatement(facts: Facts):
    assert facts.published is not None
    shown = unescape(page(texts("en"), facts))
    assert facts.published.restatements
    assert "Published 2025-11-03 08:00" in shown
    assert "not published yet" in unescape(page(texts("en"), facts._replace(published=None)))


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_way_to_the_target_is_told_as_simulated(facts: Facts, language):
    told_in = texts(language)
    gains = [LeverGain(f"đòn bẩy {number}", f"lever {number}", 0.5, float(number), "C") for number in range(12)]
    way = [LeverStep("nộp <trực tuyến>", "filing <online>", 0.4), LeverStep("phí", "fees", 0.81)]
    levers = Levers(0.8, 0.166, way, gains, 0.99, 0.302)
    shown = unescape(page(told_in, facts._replace(levers=levers)))
    assert re.search(r"1\. (filing <online>|nộp <trực tuyến>)</td><td>40[.,]00 %<", shown)
    assert told_in.percent(0.302) in shown
    # The largest of them.
    assert told_in.name(gains[11]) in shown
    assert told_in.name(gains[0]) not in shown
    assert told_in("monthly.levers_note").replace("`paperless whatif`", "<code>paperless whatif</code>") in shown
    unreached = unescape(page(told_in, facts._replace(levers=levers._replace(way=(), ceiling=0.7))))
    assert told_in("whatif.unreachable", target=told_in.percent(0.8, 0), ceiling=told_in.percent(0.7)) in unreached


def test_the_backlog_of_corrections_is_by_owner(facts: Facts):
    shown = unescape(page(texts("en"), facts))
    assert DOMAIN.databases["dat_dai"].owner in shown
    assert texts("en")("monthly.backlog") not in unescape(page(texts("en"), facts._replace(backlog=())))
