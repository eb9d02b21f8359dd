from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import load_domain
from services.scoring.rates.definitions import MeasureName, published_for_country, published_for_province
from services.scoring.rates.rates import (
    Counts,
    RateRow,
    count,
    province_rates,
    ranked,
    rate,
    rates_of,
    rates_table,
    row_of,
    select,
    wilson,
)
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


def row(key: str, end_to_end: int, applications: int) -> RateRow:
    counts = Counts(applications=applications, end_to_end=end_to_end)
    return row_of(key, (key, key), counts)


def places(*rows: RateRow) -> list[tuple[str, int | None]]:
    return [(each.key, each.rank) for each in ranked(rows)]


def test_equal_rates_share_a_rank():
    rows = row("48", 60, 200), row("79", 50, 100), row("01", 100, 200)
    assert places(*rows) == [("01", 1), ("79", 1), ("48", 3)]


def test_who_has_few_applications_follows_without_a_rank():
    rows = row("11", 4, 11), row("08", 13, 100), row("14", 0, 99), row("01", 12, 100), row("04", 0, 0)
    assert places(*rows) == [("08", 1), ("01", 2), ("11", None), ("14", None), ("04", None)]


def test_a_share_has_the_wilson_interval():
    """Against Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29, without continuity correction."""
    shares = [(81, 263), (15, 148), (0, 20), (1, 29)]
    intervals = [tuple(round(end, 4) for end in wilson(*share)) for share in shares]
    assert intervals == [(0.2553, 0.3662), (0.0624, 0.1605), (0.0, 0.1611), (0.0061, 0.1718)]


@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_share_and_stays_within_bounds(share):
    each = rate(*share)
    assert each.value is not None
    assert each.interval is not None
    low, high = each.interval
    assert 0 <= low <= each.value <= high <= 1


def test_a_mean_and_what_was_not_counted_have_no_interval():
    assert rates_of(Counts(applications=2, minutes=35))["minutes_to_result"].interval is None
    assert rates_of(Counts())["d1"].interval is None


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
