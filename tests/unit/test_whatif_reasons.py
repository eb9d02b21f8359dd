"""Reasons lifted together, of a store's cells: exact sums, equal to what `paperless why` says of single ones."""

from collections import Counter
from itertools import combinations

import pytest

from domain import load_domain
from paperless.population.scenario import load_scenario, simulated_days
from paperless.whatif.reasons import reason_answer, reason_combinations
from paperless.whatif.terms import World
from services.scoring.rates.why import why_table
from services.scoring.rollup.cells import CellKey, Measures, parse_pattern, pattern_text
from services.vneid_mock.plan_files import named_plan
from tests.support.whatif import decided

DOMAIN = load_domain()


@pytest.fixture(scope="module")
def cells() -> dict[CellKey, Measures]:
    (day,) = simulated_days(load_scenario("national-day", DOMAIN), DOMAIN, seed=3, applications=1_500)
    counts: Counter[CellKey] = Counter()
    for _, decision in decided(World(day), named_plan("mild")):
        parts = tuple([(each.component, each.source, each.cause, each.database) for each in decision.components])
        pattern = pattern_text(decision.outcome, decision.authority, decision.reasons, parts)
        counts[CellKey("2025-10", decision.province, decision.procedure, decision.channel, pattern)] += 1
    return {cell: Measures(n=count) for cell, count in counts.items()}


@pytest.mark.parametrize("run_by", ["province", "ministry", "all"])
def test_a_single_reason_is_worth_what_why_says(cells, run_by):
    found = reason_answer(cells, target=0.8, run_by=run_by)
    table = why_table(cells, DOMAIN, authority=run_by)
    assert found.applications == table.applications
    assert found.d1 == pytest.approx(table.d1.value, abs=1e-6)
    alone = {row.reason: 100 * ((row.d1_if_lifted.value or 0.0) - (table.d1.value or 0.0)) for row in table.reasons}
    # The tables round to six decimals.
    assert {each.name: each.alone for each in found.reasons} == pytest.approx(alone, abs=2e-4)


def test_any_reasons_together_are_the_sum_of_whom_they_leave_nothing(cells):
    found = reason_combinations(cells)
    for lifted in combinations(found.levers, 2):
        free = sum(
            measures.n for cell, measures in cells.items() if {*parse_pattern(cell.pattern).reasons} <= {*lifted}
        )
        assert found.ended[:, :, found.mask(lifted)].sum() == free


def test_the_fewest_reasons_reach_the_target_and_all_reach_everything(cells):
    found = reason_answer(cells, target=0.8)
    assert found.smallest is not None
    assert found.smallest.d1 >= 0.8
    assert found.smallest.steps[-1] == found.smallest.d1
    assert sum(each.shapley for each in found.reasons) == pytest.approx(100 * (1 - found.d1))


def test_a_province_is_asked_for_alone(cells):
    found = reason_answer(cells, target=0.8, province="79")
    assert found.place == "79"
    assert found.applications == sum(
        measures.n
        for cell, measures in cells.items()
        if cell.province == "79" and parse_pattern(cell.pattern).authority == "province"
    )


def test_nothing_stored_is_answered_with_nothing():
    found = reason_answer({}, target=0.8)
    assert (found.applications, found.smallest, found.reasons) == (0, None, ())
