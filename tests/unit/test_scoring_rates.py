from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import load_domain
from services.scoring.rates.definitions import MeasureName, published_for_country, published_for_province
from services.scoring.rates.rates import Counts, count, province_rates, rates_of, rates_table, select
from services.scoring.rollup.cells import Measures
from services.scoring.rollup.outcome import ApplicationOutcome
from services.scoring.rollup.rollup import Rollup
from tests.support.scoring_examples import BIRTH, MARRIAGE, RESIDENCE, component, decided, outcomes, partition

DOMAIN = load_domain()
ON_PAPER = {"outcome": "partly_online", "reasons": ("supplement_on_paper",)}


def cells(outcomes: Iterable[ApplicationOutcome]):
    rollup = Rollup()
    rollup.apply_all([(partition(outcome), outcome) for outcome in outcomes])
    return rollup.cells


def fraction(name: MeasureName, decisions: Iterable[ApplicationOutcome]) -> tuple[int, int]:
    rate = rates_of(count(cells(decisions), DOMAIN))[name]
    return rate.numerator, rate.denominator


def test_d1_counts_end_to_end_among_all_applications():
    assert fraction("d1", [decided(1), decided(2, **ON_PAPER), decided(3, procedure=MARRIAGE, **ON_PAPER)]) == (1, 3)


def test_d2_leaves_procedures_that_need_presence_out():
    assert fraction("d2", [decided(1), decided(2, **ON_PAPER), decided(3, procedure=MARRIAGE, **ON_PAPER)]) == (1, 2)


def test_an_upload_keeps_the_case_online_but_not_paperless():
    uploaded = decided(1, components=(component("giay_khai_sinh", "upload", "missing"), component("cccd")))
    assert fraction("d1", [uploaded]) == (1, 1)
    assert fraction("paperless", [uploaded]) == (0, 1)
    assert fraction("components_by_data", [uploaded]) == (1, 2)


def test_an_application_without_proofs_is_no_evidence_of_paperless():
    plain = decided(1, components=(component("to_khai", "form", None, None),))
    assert fraction("paperless", [plain, decided(2, components=(component("cccd"),))]) == (1, 1)


def test_a_paper_asked_anyway_counts_although_data_were_there():
    asked = decided(1, components=(component("cccd", "paper", "asked_anyway"), component("cu_tru")), **ON_PAPER)
    assert fraction("papers_asked_although_data_were_there", [asked]) == (1, 2)


def test_only_papers_count_as_avoided_not_forms():
    procedure = DOMAIN.procedures[BIRTH]
    parts = tuple(component(slug) for slug in procedure.components)
    papers = sum(one.kind == "paper" for one in procedure.components.values())
    assert 0 < papers < len(parts)
    assert count(cells([decided(1, procedure=BIRTH, components=parts)]), DOMAIN).papers_avoided == papers


def test_mean_time_is_minutes_over_applications():
    rate = rates_of(count(cells([decided(1, minutes=10), decided(2, minutes=25)]), DOMAIN))["minutes_to_result"]
    assert (rate.numerator, rate.denominator, rate.value) == (35, 2, 17.5)


def test_nothing_counted_gives_no_value():
    assert {rate.value for rate in rates_of(Counts()).values()} == {None}


def test_the_table_shows_all_34_provinces_even_empty_ones():
    table = rates_table(cells([decided(1, procedure=BIRTH)]), DOMAIN)
    assert sorted(row.key for row in table.rows) == sorted(DOMAIN.provinces)
    assert [row.rank for row in table.rows if row.applications == 0] == [None] * 33


def test_the_default_table_leaves_ministry_run_applications_out():
    table = rates_table(cells([decided(1, procedure=BIRTH), decided(2, procedure=RESIDENCE)]), DOMAIN)
    assert table.total.applications == 1
    assert [row.applications for row in table.by_authority] == [1, 1, 2]


def test_equal_rates_share_a_rank():
    decisions = [
        decided(1, procedure=BIRTH, province="01"),
        decided(2, procedure=BIRTH, province="79"),
        decided(3, procedure=BIRTH, province="48", **ON_PAPER),
    ]
    table = rates_table(cells(decisions), DOMAIN)
    assert [(row.key, row.rank) for row in table.rows[:3]] == [("01", 1), ("79", 1), ("48", 3)]


def test_published_rates_stand_beside_the_simulated_ones():
    table = rates_table(cells([decided(1)]), DOMAIN)
    provinces, ministries, both = table.by_authority
    assert (provinces.published["d1"].value, ministries.published["d1"].value) == (0.1694, 0.5446)
    assert both.published == {}


def test_the_country_is_compared_at_the_published_mix():
    table = rates_table(
        cells([decided(1, procedure=BIRTH), decided(2, procedure=BIRTH, **ON_PAPER), decided(3, procedure=RESIDENCE)]),
        DOMAIN,
    )
    country = table.country_d1
    assert country is not None
    assert country.published is not None
    assert country.value == pytest.approx(0.386 * 0.5 + 0.614 * 1.0)
    assert country.published.value == 0.3998


def test_without_ministries_the_country_has_no_rate():
    country = rates_table(cells([decided(1, procedure=BIRTH)]), DOMAIN).country_d1
    assert country is not None
    assert country.value is None


def test_one_procedure_is_not_held_against_a_figure_of_all():
    table = rates_table(cells([decided(1, procedure=BIRTH)]), DOMAIN, procedure=BIRTH)
    assert table.total.published == {}


def test_figures_of_2026_or_of_old_borders_are_not_used():
    assert published_for_province(DOMAIN, "25", "province") == {}
    assert published_for_province(DOMAIN, "79", "province")["online"].value == pytest.approx(0.965)
    assert "2025" in (published_for_country(DOMAIN, "province")["d1"].period_end or "")


def test_a_provinces_counters_are_not_held_against_ministries():
    assert published_for_province(DOMAIN, "79", "ministry") == {}


def test_a_provinces_breakdowns_add_up_to_its_total():
    decisions = [decided(1, procedure=BIRTH), decided(2, procedure=RESIDENCE), decided(3, minutes=60_000)]
    view = province_rates(cells(decisions), DOMAIN, "01")
    assert sum(row.applications for row in view.by_month) == sum(row.applications for row in view.by_procedure) == 3
    assert view.by_authority[-1].applications == 3


@given(st.lists(outcomes(), max_size=30))
def test_every_filter_splits_the_applications_completely(decisions):
    everything = cells(decisions)
    total = count(everything, DOMAIN)
    by_province = [count(select(everything, province=code), DOMAIN) for code in DOMAIN.provinces]
    by_procedure = [count(select(everything, procedure=code), DOMAIN) for code in DOMAIN.procedures]
    for parts in (by_province, by_procedure):
        assert [sum(column) for column in zip(*parts, strict=True)] == list(total)
    assert total.applications == sum(measures.n for measures in everything.values())


def test_an_empty_selection_counts_nothing():
    assert count({}, DOMAIN) == Counts()
    assert select({decided(1).cell: Measures(n=1)}, month="2024-01") == {}
