from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import VN
from paperless.verification.checkers import merged
from services.scoring.rollup.cells import Measures, Snapshot, difference, parse_pattern
from services.scoring.rollup.outcome import ApplicationOutcome, outcome_of
from services.scoring.rollup.rollup import Rollup
from tests.support.scoring_examples import MONDAY, component, decided, event, outcomes, partition, value_of

LOGS = st.lists(outcomes(), max_size=40)


def rolled_up(log: Iterable[ApplicationOutcome]) -> Rollup:
    rollup = Rollup()
    rollup.apply_all([(partition(outcome), outcome) for outcome in log])
    return rollup


def strength(outcome: ApplicationOutcome) -> tuple[int, str, int]:
    return outcome.revision, outcome.submission, outcome.content_hash


def strongest(log: Iterable[ApplicationOutcome]) -> list[ApplicationOutcome]:
    best: dict[str, ApplicationOutcome] = {}
    for outcome in sorted(log, key=strength):
        best[outcome.application_id] = outcome
    return list(best.values())


@given(LOGS, st.randoms(use_true_random=False))
def test_only_the_strongest_outcome_of_an_application_counts(log, shuffler):
    delivered = log + log[::2]
    shuffler.shuffle(delivered)
    assert rolled_up(delivered).snapshot() == rolled_up(strongest(log)).snapshot()


@given(LOGS, st.data())
def test_how_a_log_is_cut_into_batches_changes_nothing(log, data):
    one_by_one = Rollup()
    for outcome in log:
        one_by_one.apply(outcome, partition(outcome))
    cut = data.draw(st.integers(0, len(log)))
    halves = Rollup()
    for half in (log[:cut], log[cut:]):
        halves.apply_all([(partition(outcome), outcome) for outcome in half])
    assert one_by_one.snapshot() == halves.snapshot() == rolled_up(log).snapshot()
    assert one_by_one.counters == halves.counters == rolled_up(log).counters


@given(LOGS)
def test_partitions_rolled_up_apart_merge_to_the_whole(log):
    whole = rolled_up(log).snapshot()
    apart = [rolled_up(each for each in log if partition(each) == at) for at in {partition(each) for each in log}]
    total = merged(rollup.snapshot() for rollup in apart)
    assert total == whole
    assert total.counters == whole.counters


@given(LOGS)
def test_every_outcome_is_applied_overruling_or_ignored(log):
    counters = rolled_up(log).counters
    assert sum(counters[name] for name in ("applied", "overruled", "ignored_equal", "ignored_weaker")) == len(log)
    assert counters["applied"] == len({outcome.application_id for outcome in log})


@given(LOGS, st.randoms(use_true_random=False))
def test_conflicting_submissions_are_counted_in_any_order(log, shuffler):
    seen: dict[str, set[str]] = {}
    for outcome in log:
        seen.setdefault(outcome.application_id, set()).add(outcome.submission)
    shuffler.shuffle(log)
    assert rolled_up(log).counters["conflicts"] == sum(len(digests) > 1 for digests in seen.values())


def test_a_conflict_is_not_forgotten_by_later_revisions():
    first, second = "a" * 16, "b" * 16
    rollup = Rollup()
    for revision, submission in [(0, first), (1, second), (2, second), (0, first)]:
        rollup.apply(decided(1, revision=revision, submission=submission), 0)
    assert rollup.counters["conflicts"] == 1


@given(LOGS)
def test_a_reading_survives_its_json_form(log):
    snapshot = rolled_up(log).snapshot()
    assert Snapshot.from_json(snapshot.to_json()) == snapshot


def test_a_presumed_outcome_after_the_real_one_is_ignored():
    real = decided(revision=2)
    rollup = rolled_up([real, decided(revision=1, presumed=True)])
    assert rollup.cells == {real.cell: real.measures}
    assert rollup.counters["ignored_weaker"] == 1


def test_an_outcome_on_the_minute_due_is_on_time():
    assert decided(minutes=600, due_after=600).measures.on_time == 1
    assert decided(minutes=601, due_after=600).measures.on_time == 0


def test_a_month_is_that_of_the_decision_in_vietnam():
    last_evening = MONDAY.replace(day=31, hour=23, minute=59)
    assert decided(decided_at=last_evening).cell.month == "2025-10"
    assert decided(decided_at=last_evening + timedelta(minutes=1)).cell.month == "2025-11"


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(VN)))  # noqa: DTZ001  Vietnam's
def test_stored_times_are_epoch_seconds(at):
    outcome = decided(submitted_at=at, due_at=at, decided_at=at)
    seconds = int(at.replace(microsecond=0).timestamp())
    assert (outcome.submitted_at, outcome.due_at, outcome.decided_at) == (seconds, seconds, seconds)
    assert outcome.cell.month == f"{at:%Y-%m}"


def test_minutes_to_the_result_are_whole_ones():
    assert decided(decided_at=MONDAY + timedelta(minutes=3, seconds=59)).measures == Measures(1, 0, 0, 1, 3)


def test_a_lost_outcome_is_named_by_its_cell():
    kept, lost = decided(1), decided(2, province="79")
    found = [str(each) for each in difference(rolled_up([kept, lost]).snapshot(), rolled_up([kept]).snapshot())]
    assert any("province=79" in line and "n 1 != 0" in line for line in found)


def test_a_loss_and_a_double_in_one_cell_do_not_cancel():
    """As if application 1 was lost and 2 counted twice: the cells agree, the hashes do not."""
    first, second = decided(1), decided(2)
    right = rolled_up([first, second]).snapshot()
    wrong = rolled_up([second, second._replace(application_id=first.application_id)]).snapshot()
    assert right.cells == wrong.cells
    assert {each.measure for each in difference(right, wrong)} == {"hash_sum"}


def test_an_outcome_counted_twice_is_named_by_its_cell():
    """As if a redelivery had been taken for another application."""
    once, twice = decided(1), decided(1, minutes=60)._replace(application_id=decided(9).application_id)
    found = difference(rolled_up([once]).snapshot(), rolled_up([once, twice]).snapshot())
    assert {(each.measure, each.right - each.left) for each in found} >= {("n", 1), ("minutes", 60)}


def test_the_application_that_differs_can_be_found():
    right, wrong = rolled_up([decided(1), decided(2)]), rolled_up([decided(1), decided(2, minutes=61)])
    differing = right.content_hashes().items() ^ wrong.content_hashes().items()
    assert {name for name, _ in differing} == {decided(2).application_id}


def test_equal_snapshots_differ_in_nothing():
    assert difference(rolled_up([decided(1)]).snapshot(), rolled_up([decided(1), decided(1)]).snapshot()) == []


def test_one_changed_cell_is_named_with_both_values():
    outcome = decided(1)
    snapshot = rolled_up([outcome]).snapshot()
    edited = Snapshot({outcome.cell: outcome.measures._replace(minutes=61)}, snapshot.fingerprints)
    (found,) = difference(snapshot, edited)
    assert (found.measure, found.left, found.right) == ("minutes", 60, 61)


def test_a_pattern_does_not_depend_on_the_order_of_components():
    parts = (component("to_khai", "form", None, None), component("giay_khai_sinh", "paper", "missing", "ho_tich"))
    ordered = event(components=parts, outcome="partly_online", reasons=("b_reason", "a_reason"))
    turned = event(components=parts[::-1], outcome="partly_online", reasons=("a_reason", "b_reason"))
    texts = {outcome_of(one, value_of(one)).cell.pattern for one in (ordered, turned)}
    assert len(texts) == 1
    pattern = parse_pattern(texts.pop())
    assert pattern.reasons == ("a_reason", "b_reason")
    assert pattern.components == parts[::-1]


def test_an_edited_pattern_is_refused_with_its_text():
    with pytest.raises(ValueError, match="end_to_end"):
        parse_pattern("end_to_end|province")
