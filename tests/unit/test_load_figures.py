"""What a run's moments say: latencies from the intended moment, and nothing left out that would be unpleasant."""

import pytest

from paperless.language import texts
from paperless.traffic.load.figures import described, distribution
from paperless.traffic.load.notes import notes
from paperless.traffic.load.plan import LoadPlan
from paperless.traffic.load.recorder import Recorder
from paperless.traffic.load.result import Ceiling, Distribution
from tests.support.load_examples import NEVER, START, figures_of, recorded


def close(ms: float) -> object:
    return pytest.approx(ms, rel=0.002)


def test_the_three_latencies_count_from_the_intended_moment():
    found = figures_of(recorded([0.4] * 20))
    assert found.to_append.percentiles["50"] == close(100)
    assert found.to_outcome.percentiles["50"] == close(200)
    assert found.to_stored.percentiles["50"] == close(400)


def test_percentiles_are_those_of_the_sorted_latencies():
    found = distribution([number / 1000 for number in range(1, 1001)])
    assert {name: round(value) for name, value in found.percentiles.items()} == {
        "50": 500, "90": 900, "95": 950, "99": 990, "99.9": 999, "99.99": 1000,
    }  # fmt: skip
    assert (found.count, round(found.max)) == (1000, 1000)
    assert found.mean == pytest.approx(500.5, rel=0.001)


def test_a_run_without_an_application_has_figures_too():
    found = figures_of(Recorder())
    assert (found.to_stored.count, found.to_stored.max, found.series) == (0, 0, ())


def test_what_is_never_stored_counts_with_the_time_that_it_waited():
    found = figures_of(recorded([0.1] * 90 + [NEVER] * 10), until=60)
    assert (found.counts.missing, found.to_stored.unfinished, found.to_stored.count) == (10, 10, 100)
    assert found.to_stored.percentiles["99"] > 50_000


def test_warm_up_is_left_out_by_the_intended_moment():
    found = figures_of(recorded([5.0] * 10 + [0.1] * 10), warm_up=1.0)
    assert (found.to_stored.count, found.to_stored.max) == (10, close(100))
    assert found.counts.sent == 20


def test_a_generator_that_is_late_shows_it_and_the_latencies_include_it():
    found = figures_of(recorded([0.4] * 20, slip=0.05))
    assert found.slip.percentiles["50"] == close(50)
    assert found.to_stored.percentiles["50"] == close(400)


def test_a_stall_stands_in_the_percentiles_of_an_open_loop():
    # 3 s in which nothing is stored: who should have been sent at its beginning waits longest.
    latencies = [0.02] * 30 + [3.0 - number / 10 for number in range(30)] + [0.02] * 40
    found = figures_of(recorded(latencies))
    assert found.to_stored.percentiles["99"] >= 2_900
    assert max(one.max or 0 for one in found.series) == close(3_000)


def test_the_seconds_tell_what_was_sent_and_what_waited():
    found = figures_of(recorded([0.1] * 10 + [2.0] * 10))
    first, second, *rest = found.series
    assert (first.sent, first.decided, first.backlog) == (10, 10, 0)
    assert (second.sent, second.backlog) == (10, 10)
    assert rest[-1].backlog == 0
    assert second.p50 == close(2_000)


def test_a_second_outcome_does_not_move_the_first():
    recorder = recorded([0.2])
    recorder.see(b"0", 0, 7, START + 9)
    recorder.see(b"of somebody else", 0, 8, START + 9)
    found = figures_of(recorder)
    assert (found.counts.seen_again, found.counts.foreign, found.counts.decided) == (1, 1, 1)
    assert found.to_outcome.max == close(100)


def test_an_outcome_that_the_store_had_before_it_was_seen_is_not_counted_late():
    recorder = Recorder()
    recorder.hand(b"a", START, START)
    recorder.store({0: 3}, START + 0.1)
    recorder.store({0: 9}, START + 0.2)
    recorder.see(b"a", 0, 3, START + 5)
    assert recorder.stored[0] == START + 0.2


def test_an_outcome_waits_until_the_store_says_that_it_has_its_position():
    recorder = Recorder()
    recorder.hand(b"a", START, START)
    recorder.see(b"a", 1, 5, START + 0.1)
    recorder.store({0: 99, 1: 5}, START + 0.2)
    assert (recorder.backlog, recorder.unstored) == (0, 1)
    recorder.store({1: 6}, START + 0.3)
    assert (recorder.unstored, recorder.stored[0]) == (0, START + 0.3)


def test_runs_can_be_merged_from_their_files_without_loss():
    one, other = distribution([0.001 * n for n in range(1, 500)]), distribution([0.001 * n for n in range(500, 1001)])
    merged = Distribution.model_validate_json(one.model_dump_json()).decoded
    merged.add(other.decoded)
    whole = distribution([0.001 * n for n in range(1, 1001)])
    assert described(merged).percentiles == whole.percentiles


CEILING = Ceiling(made_per_s=30_000, handed_per_s=60_000)


def said(plan: LoadPlan, recorder: Recorder, *, rate: float = 10.0) -> str:
    told = notes(plan.mode, figures_of(recorder, rate=rate), CEILING, interrupted=False)
    return " ".join(map(texts("en").say, told))


def test_a_note_says_when_the_generator_was_late():
    assert "slip p99 50" in said(LoadPlan(), recorded([0.4] * 20, slip=0.05))
    assert "slip" not in said(LoadPlan(), recorded([0.4] * 20, slip=0.001))


def test_a_note_says_what_a_closed_loop_hides():
    assert "coordinated omission" in said(LoadPlan(mode="closed", in_flight=1), recorded([0.1]))
    assert "coordinated omission" not in said(LoadPlan(), recorded([0.1]))


def test_a_note_says_when_the_driver_may_be_the_limit():
    assert "driver may be the limit" in said(LoadPlan(), recorded([0.1]), rate=16_000)
    assert "driver may be the limit" not in said(LoadPlan(), recorded([0.1]), rate=1_000)
