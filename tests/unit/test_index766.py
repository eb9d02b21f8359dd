"""The index of Decision 766: hand-worked scores, ranks and movement, and that every modelled component acts."""

from collections import Counter
from fractions import Fraction

import pytest

from contracts.events import Cause, Outcome, Source
from domain import load_domain
from services.scoring.rates.index766 import Share, index_table, score
from services.scoring.rollup.cells import CellKey, Measures, pattern_text

DOMAIN = load_domain()
COMPONENTS = {component.code: component for component in DOMAIN.index}
BIRTH, LICENCE = "1.001193", "X.900002"  # without a fee, and with one of 50,000 dong
# Slug, source, cause and database.
Component = tuple[str, Source, Cause | None, str | None]
IDENTITY: Component = ("giay_to_tuy_than", "data", None, "dan_cu")
MARRIAGE: Component = ("ket_hon_cha_me", "data", None, "ho_tich")
ON_PAPER: Component = ("giay_to_tuy_than", "paper", "missing", "dan_cu")


def cell(
    n: int,
    *,
    province: str = "01",
    month: str = "2025-10",
    procedure: str = BIRTH,
    channel: str = "online",
    outcome: Outcome = "end_to_end",
    reasons: tuple[str, ...] = (),
    components: tuple[Component, ...] = (IDENTITY,),
    on_time: int | None = None,
) -> tuple[CellKey, Measures]:
    pattern = pattern_text(outcome, "province", reasons, components)
    measures = Measures(n, 0, 0, n if on_time is None else on_time, n)
    return CellKey(month, province, procedure, channel, pattern), measures


def parts(*cells: tuple[CellKey, Measures], province: str = "01") -> dict[str, tuple[int, int, float | None]]:
    table = index_table(dict(cells), DOMAIN, "2025-10")
    (row,) = [row for row in table.rows if row.province == province]
    return {part.code: (part.numerator, part.denominator, part.score) for part in row.parts}


def test_the_points_are_those_of_the_published_groups():
    points: Counter[str] = Counter()
    for component in DOMAIN.index:
        points[component.group] += component.points
    groups = ("openness", "progress", "online", "digitisation", "satisfaction")
    published = [DOMAIN.facts[f"index.group{number}_{name}.max_points"].value for number, name in enumerate(groups, 1)]
    assert [points[name] for name in groups] == published == [18, 20, 22, 22, 18]


def test_what_is_not_modelled_says_why():
    table = index_table({}, DOMAIN, "2025-10")
    assert set(table.not_modelled) == {code for code, each in COMPONENTS.items() if not each.measure}
    assert all(why.startswith("Not modelled:") for why in table.not_modelled.values())
    assert table.modelled_points == 46


@pytest.mark.parametrize(
    ("code", "share", "points"),
    [
        ("2.1", Share(9, 10), Fraction(18)),  # 20 points, target 1: 20 x 0.9
        ("2.1", Share(10, 10), Fraction(20)),
        ("3.3", Share(1, 4), Fraction(2)),  # 4 points, target 0.5: 4 x 0.25 / 0.5
        ("3.3", Share(3, 4), Fraction(4)),  # above the target: all points
        ("4.3", Share(2, 10), Fraction(1, 2)),  # 2 points, target 0.8: 2 x 0.2 / 0.8
        ("5.4", Share(45, 100), Fraction(3)),  # 6 points, target 0.9: 6 x 0.45 / 0.9
        ("3.pay_c", Share(1, 3), Fraction(2)),  # 6 points, no target
        ("4.5b", Share(1, 3), Fraction(2, 3)),  # 2 points, no target
        ("4.1", Share(0, 0), None),  # nothing counted
    ],
)
def test_scores_are_those_of_the_formula(code, share, points):
    assert score(COMPONENTS[code], share) == points


def test_a_province_worked_by_hand():
    """Of ten: six online by data; one licence paid online, one not; one at a counter on paper; one refused."""
    found = parts(
        cell(6, components=(IDENTITY, MARRIAGE), on_time=5),
        cell(1, procedure=LICENCE),
        cell(1, procedure=LICENCE, outcome="partly_online", reasons=("fee_not_paid_online",), on_time=0),
        cell(1, channel="direct", outcome="on_paper", reasons=("filed_in_person",), components=(ON_PAPER,)),
        cell(1, outcome="rejected", reasons=("no_level_2_account",), components=()),
    )
    assert found == {
        "2.1": (8, 10, 16.0),
        "3.3": (8, 10, 4.0),
        "3.pay_c": (1, 2, 3.0),
        "4.1": (9, 9, 6.0),
        "4.3": (8, 9, 2.0),
        "4.5b": (8, 9, 1.777778),
        "5.4": (8, 10, 5.333333),
    }


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("2.1", {"on_time": 0}),
        ("5.4", {"on_time": 0}),
        ("3.3", {"channel": "direct"}),
        ("3.3", {"outcome": "stopped"}),
        ("3.3", {"outcome": "partly_online", "reasons": ("electronic_result_missing",)}),
        ("3.pay_c", {"outcome": "partly_online", "reasons": ("fee_not_paid_online",)}),
        ("3.pay_c", {"channel": "post"}),
        ("4.1", {"outcome": "partly_online", "reasons": ("electronic_result_missing",)}),
        ("4.3", {"components": (ON_PAPER,)}),
        ("4.5b", {"components": (MARRIAGE,)}),
    ],
)
def test_each_component_counts_what_it_is_about(code, changes):
    good, bad = parts(cell(10, procedure=LICENCE))[code], parts(cell(10, procedure=LICENCE, **changes))[code]
    assert good[0] == good[1] == 10
    assert bad[0] == 0


def test_what_ministries_run_is_not_scored():
    key, measures = cell(200)
    ministry = key._replace(procedure="1.004222", pattern=key.pattern.replace("|province|", "|ministry|"))
    assert parts((ministry, measures))["2.1"] == (0, 0, None)


def test_ranks_movement_and_ties():
    """01 leads in September and 79 in October, where 46 and 48 are equal; 92 has too few for a place."""
    cells = dict([
        cell(200, province="01", month="2025-09"),
        cell(200, province="79", month="2025-09", on_time=100),
        cell(200, province="01", on_time=100),
        cell(200, province="79"),
        cell(200, province="46", on_time=50),
        cell(200, province="48", on_time=50),
        cell(99, province="92"),
    ])  # fmt: skip
    table = index_table(cells, DOMAIN, "2025-10")
    assert table.previous_month == "2025-09"
    places = {row.province: (row.rank, row.previous_rank, row.movement) for row in table.rows if row.applications}
    assert places == {
        "79": (1, 2, 1),
        "01": (2, 1, -1),
        "46": (3, None, None),
        "48": (3, None, None),
        "92": (None, None, None),
    }
    assert [row.score for row in table.rows] == sorted((row.score for row in table.rows), reverse=True)


def test_the_first_month_moves_nobody():
    table = index_table(dict([cell(200)]), DOMAIN, "2025-10")
    assert table.previous_month is None
    assert {row.movement for row in table.rows} == {None}
