"""The search for the highest sustainable rate, against systems whose limit is known."""

import pytest

from paperless.language import texts
from paperless.traffic.load.result import Measured, Second
from paperless.traffic.load.search import Judgement, Search, backlog_growth, judge
from tests.support.load_examples import NEVER, figures_of, recorded


def steps(limit: float, first: float = 1_000) -> list[tuple[float, bool]]:
    search, taken = Search(first), []
    while (rate := search.next_rate()) is not None:
        taken.append((rate, rate <= limit))
        search = search.after(rate, sustained=rate <= limit)
    return taken


@pytest.mark.parametrize("limit", [1_000, 3_456, 17_000, 90])
def test_the_highest_rate_is_found_within_six_percent(limit):
    best = max(rate for rate, sustained in steps(limit) if sustained)
    assert limit / 1.07 <= best <= limit


def test_rates_double_until_one_is_too_much():
    assert [rate for rate, _ in steps(3_456)][:3] == [1_000, 2_000, 4_000]


def test_a_system_that_sustains_nothing_ends_the_search():
    taken = steps(0, first=8)
    assert [rate for rate, _ in taken] == [8, 4, 2, 1]
    assert not any(sustained for _, sustained in taken)


def judged(found: Measured, **options: float) -> Judgement:
    return judge(found, limit_p99_ms=options.get("limit", 1_000), warm_up_s=0)


def test_a_quick_system_sustains_its_rate():
    assert judged(figures_of(recorded([0.05] * 100))).sustained


def test_latencies_over_the_limit_are_not_sustained():
    found = judged(figures_of(recorded([0.05] * 90 + [2.0] * 10)))
    assert not found.sustained
    assert "p99 to the stored cell 2,0" in texts("en").say(found.why)


def test_a_loss_is_not_sustained_however_quick_the_rest_is():
    found = judged(figures_of(recorded([0.05] * 99 + [NEVER])), limit=1e9)
    assert not found.sustained
    assert texts("en").say(found.why) == "1 were not stored"


def test_a_backlog_that_grows_is_not_sustained_even_within_the_limit():
    # Each one waits a little longer than the one before.
    found = judged(figures_of(recorded([number / 20 for number in range(200)])), limit=1e9)
    assert not found.sustained
    assert "the backlog grew by" in texts("en").say(found.why)


def test_a_driver_that_is_late_says_that_this_is_not_the_systems_limit():
    found = judged(figures_of(recorded([0.3] * 100, slip=0.2)))
    assert not found.sustained
    assert "this is not the system's limit" in texts("en").say(found.why)


def backlog(*sizes: int) -> list[Second]:
    return [Second(second=n, sent=1, decided=1, stored=1, backlog=size) for n, size in enumerate(sizes)]


def test_growth_is_the_slope_of_the_backlog():
    assert backlog_growth(backlog(0, 10, 20, 30)) == pytest.approx(10)
    assert backlog_growth(backlog(5, 9, 5, 9, 5)) == pytest.approx(0)
    assert backlog_growth(backlog(0, 100)) == 0
