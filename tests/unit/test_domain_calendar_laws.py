"""Laws of working time that hold for every instant of the calendar."""

from datetime import datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain import VN
from tests.support.working_time import CALENDAR, accepted_at, after, due_at

PER_DAY = CALENDAR.hours.minutes_per_day
LAST = CALENDAR.position(datetime(2026, 12, 31, 17, tzinfo=VN))

# Two months before the end leave room for the longest limit.
instants = st.datetimes(datetime(2025, 1, 1), datetime(2026, 10, 31)).map(lambda at: at.replace(tzinfo=VN))  # noqa: DTZ001
positions = st.integers(0, LAST - 1)
limits = st.one_of(
    st.tuples(st.integers(1, 30), st.just("working_day")),
    st.tuples(st.integers(1, 80), st.just("hour")),
    st.just((0, "same_day")),
)


def counted_by_hand(start: datetime, end: datetime) -> int:
    """Working minutes between two whole minutes, one minute at a time."""
    minutes, at = 0, start
    while at < end:
        office = time(8) <= at.time() < time(12) or time(13) <= at.time() < time(17)
        minutes += office and CALENDAR.is_working_day(at.date())
        at += timedelta(minutes=1)
    return minutes


@given(instants, instants)
def test_a_later_instant_never_has_an_earlier_position(one, other):
    early, late = sorted((one, other))
    assert CALENDAR.position(early) <= CALENDAR.position(late)


@given(instants, st.integers(0, 3000))
def test_positions_count_the_minutes_one_would_count(at, span):
    start = at.replace(second=0, microsecond=0)
    end = start + timedelta(minutes=span)
    assert CALENDAR.position(end) - CALENDAR.position(start) == counted_by_hand(start, end)


@given(positions)
def test_start_and_end_lead_back_to_their_position(position):
    assert CALENDAR.position(CALENDAR.start_at(position)) == position
    assert CALENDAR.position(CALENDAR.end_at(position)) == position


@given(positions)
def test_an_end_never_lies_after_the_next_start(position):
    start, end = CALENDAR.start_at(position), CALENDAR.end_at(position)
    assert end <= start
    assert (end == start) == (position == 0 or position % (PER_DAY // 2) != 0)


@given(instants)
def test_the_start_is_the_first_working_moment_from_then(at):
    start = CALENDAR.start_at(CALENDAR.position(at))
    assert start >= at
    assert CALENDAR.is_working_day(start.date())
    assert time(8) <= start.time() < time(12) or time(13) <= start.time() < time(17)


@given(instants, st.integers(0, 5000), st.integers(0, 5000))
def test_two_stretches_of_work_add_up(at, first, second):
    assert after(after(at, first), second) in {
        after(at, first + second),
        CALENDAR.start_at(CALENDAR.position(at) + first + second),
    }


@given(instants, st.booleans(), limits)
def test_a_case_is_due_after_it_is_accepted(at, online, limit):
    accepted = accepted_at(at, online=online)
    assert at <= accepted < due_at(accepted, *limit)


@given(instants)
def test_data_are_never_accepted_later_than_paper(at):
    assert accepted_at(at, online=True) <= accepted_at(at, online=False)


@given(instants, limits)
def test_a_due_date_lies_in_office_time(at, limit):
    due = due_at(accepted_at(at, online=True), *limit)
    assert CALENDAR.is_working_day(due.date())
    assert time(8) < due.time() <= time(12) or time(13) < due.time() <= time(17)


@given(instants, st.integers(1, 29))
def test_one_more_day_of_limit_is_one_more_working_day(at, days):
    accepted = accepted_at(at, online=True)
    shorter = due_at(accepted, days, "working_day")
    longer = due_at(accepted, days + 1, "working_day")
    assert CALENDAR.position(longer) - CALENDAR.position(shorter) == PER_DAY
